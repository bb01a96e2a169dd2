"""Progressive growing: table 2 of the paper, the schedule, plain computations, and real runs in the midst of growth."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from ganzoo_zoo.discriminators.progan import Discriminator
from ganzoo_zoo.equalized import Convolution, Linear, PixelNorm
from ganzoo_zoo.generators.progan import Generator, Growth
from torch import Tensor, nn

import ganzoo
from ganzoo import GAN, Component, ImageShape, configure
from ganzoo.errors import Incompatible
from ganzoo.registry.discovery import Plugin, Registered, installed
from ganzoo.run.folder import Run
from ganzoo.strategy.networks import progress_followers
from ganzoo.testing import check_component
from ganzoo.training.assemble import assemble
from ganzoo.training.trainer import Trainer
from tests.training.support import differing, weights
from tests.training.test_processes import SCRIPT, torchrun

F64 = torch.float64
SHAPE = ImageShape(3, 16, 16, 3)
TINY: dict[str, Any] = {"width": 6, "z_dim": 5, "base": 64}
RUN: dict[str, Any] = {
    "gen": "progan",
    "disc": "progan",
    "gen.width": 8,
    "disc.width": 8,
    "gen.z_dim": 8,
    "loss": "wasserstein",
    "penalties.gradient-penalty.weight": 10.0,
    "ssl": "none",
    "data.source": "digits",
    "data.size": 16,
    "batch_size": 8,
    "precision": "fp32",
    "ema": 0.9,
    "steps": 8,
}


def small(kind: type[nn.Module], channels: int = 3, **options: Any) -> Any:
    """Return a small network in fp64 whose biases are at work, as after some training."""
    allowed = TINY if kind is Generator else {"width": 6, "base": 64, "group": 0}
    made = kind(ImageShape(channels, 16, 16, 3), **allowed | options).double()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("bias"):
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return made


def at(network: Any, progress: float) -> Any:
    network.growth.set_progress(progress)
    return network


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# --- table 2 --------------------------------------------------------------------------------------------------------

# Layers by side, each (kernel, inputs, outputs).
GENERATOR = {
    4: [(4, 512, 512), (3, 512, 512)],
    8: [(3, 512, 512), (3, 512, 512)],
    16: [(3, 512, 512), (3, 512, 512)],
    32: [(3, 512, 512), (3, 512, 512)],
    64: [(3, 512, 256), (3, 256, 256)],
    128: [(3, 256, 128), (3, 128, 128)],
    256: [(3, 128, 64), (3, 64, 64)],
    512: [(3, 64, 32), (3, 32, 32)],
    1024: [(3, 32, 16), (3, 16, 16)],
}
DISCRIMINATOR = {
    1024: [(3, 16, 16), (3, 16, 32)],
    512: [(3, 32, 32), (3, 32, 64)],
    256: [(3, 64, 64), (3, 64, 128)],
    128: [(3, 128, 128), (3, 128, 256)],
    64: [(3, 256, 256), (3, 256, 512)],
    32: [(3, 512, 512), (3, 512, 512)],
    16: [(3, 512, 512), (3, 512, 512)],
    8: [(3, 512, 512), (3, 512, 512)],
    4: [(3, 513, 512), (4, 512, 512)],
}


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for m in modules for p in m.parameters())


def parameters(layers: list[tuple[int, int, int]]) -> int:
    return sum(k * k * a * b + b for k, a, b in layers)


def test_both_networks_are_those_of_table_2_layer_by_layer() -> None:
    shape = ImageShape(3, 1024, 1024, 0)
    with torch.device("meta"):
        made, trunk = Generator(shape), Discriminator(shape)
        last = trunk.last_layer(1)
    for block, layers in zip(made.blocks, GENERATOR.values(), strict=True):
        assert count(block) == parameters(layers)
    for block, layers in zip([*reversed(trunk.blocks), trunk.end], DISCRIMINATOR.values(), strict=True):
        assert count(block) == parameters(layers)
    assert count(made.to_image[-1]) == parameters([(1, 16, 3)]) == 51  # as the table has it
    assert count(trunk.from_image[-1]) == parameters([(1, 3, 16)]) == 64
    assert count(last) == 513
    assert count(made) - count(*made.to_image[:-1]) == 23_071_507
    assert count(trunk, last) - count(*trunk.from_image[:-1]) == 23_077_137
    for total in (count(made), count(trunk, last)):
        assert round(total / 1e6, 1) == 23.1
    for doc, numbers in ((Generator, ("23,071,507", "7,608")), (Discriminator, ("23,077,137", "10,112"))):
        assert all(number in doc.__doc__ for number in numbers)
    assert (count(*made.to_image[:-1]), count(*trunk.from_image[:-1])) == (7_608, 10_112)


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (16, 24), (48, 48), (64, 32)])
def test_images_of_every_grid_that_doubles(size: tuple[int, int]) -> None:
    shape = ImageShape(1, *size, 0)
    made, trunk = Generator(shape, width=4, z_dim=3), Discriminator(shape, width=4)
    for progress in (0.0, 0.2, 0.3, 0.45, 1.0):
        x = at(made, progress)(torch.randn(4, 3))
        assert x.shape == (4, 1, *size)
        assert at(trunk, progress)(x).shape == (4, 4)


# --- the schedule ---------------------------------------------------------------------------------------------------


def test_phases_alternate() -> None:
    growth = Growth(stages=4, grow=0.6)
    found = [growth.level(tenth / 10) for tenth in range(11)]
    assert found == pytest.approx([0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 3])
    assert growth.level(0.15) == pytest.approx(0.5)
    assert growth.level(0.525) == pytest.approx(2.25)
    levels = [growth.level(i / 10_000) for i in range(10_001)]
    steps = [b - a for a, b in itertools.pairwise(levels)]
    assert min(steps) >= 0
    assert max(steps) < 0.0011  # nothing jumps
    growth.set_progress(0.15)
    assert growth() == [1, pytest.approx(0.5)]
    growth.set_progress(0.25)
    assert growth() == [1, pytest.approx(1)]


@pytest.mark.parametrize("grow", [0.0, 0.3, 1.0])
def test_all_stages_are_in_use_after_growth_and_before_anything_is_told(grow: float) -> None:
    growth = Growth(stages=5, grow=grow)
    assert growth() == growth.eval()() == [1] * 5
    assert growth.level(grow) == growth.level(1.0) == 4
    assert Growth(5, 0.0).level(0.0) == 4


@pytest.mark.parametrize("grow", [-0.1, 1.1, math.nan])
def test_a_fraction_is_a_fraction(grow: float) -> None:
    with pytest.raises(Incompatible, match=r"\[0, 1\]"):
        Generator(SHAPE, **TINY, grow=grow)


def test_training_reads_nothing_from_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    growth = Growth(3, 0.5)
    growth.set_progress(0.2)
    monkeypatch.setattr(Tensor, "__float__", lambda self: pytest.fail("waits for the device"))
    assert len(growth()) == 2
    with pytest.raises(pytest.fail.Exception):
        growth.eval()()


def test_the_buffer_counts_where_it_was_loaded() -> None:
    growth, other = Growth(3, 0.5), Growth(3, 0.5)
    growth.set_progress(0.0)
    other.set_progress(1.0)
    other.load_state_dict(growth.state_dict())
    assert growth() == other() == other.eval()() == [1]


# --- against plain computations -------------------------------------------------------------------------------------


def plain(layer: Convolution, x: Tensor, he: float) -> Tensor:
    out, fan_in = layer.weight.shape[0], layer.weight[0].numel()
    y = F.conv2d(x, layer.weight * he / math.sqrt(fan_in), padding=layer.weight.shape[2] // 2)
    return y + layer.bias.reshape(1, out, 1, 1)


def leaky(x: Tensor) -> Tensor:
    return torch.maximum(x, 0.2 * x)


def pixel_norm(x: Tensor) -> Tensor:
    return x / (x.pow(2).sum(1, keepdim=True) / x.shape[1] + 1e-8).sqrt()


def plain_image(made: Generator, z: Tensor, level: float) -> Tensor:
    """The image of a generator, from its newest stage downwards as figure 2 has it."""

    def maps(stage: int) -> Tensor:
        first, second = made.blocks[stage][0], made.blocks[stage][3]
        if stage == 0:
            weight = first.weight * math.sqrt(2) / math.sqrt(first.weight.shape[0] * 16)
            x = torch.einsum("bi,iohw->bohw", pixel_norm(z), weight) + first.bias[:, None, None]
        else:
            x = plain(first[1], maps(stage - 1).repeat_interleave(2, 2).repeat_interleave(2, 3), math.sqrt(2))
        return pixel_norm(leaky(plain(second, pixel_norm(leaky(x)), math.sqrt(2))))

    newest = math.ceil(level)
    image = plain(made.to_image[newest], maps(newest), 1)
    if newest > level:
        before = plain(made.to_image[newest - 1], maps(newest - 1), 1)
        alpha = 1 - (newest - level)
        image = (1 - alpha) * before.repeat_interleave(2, 2).repeat_interleave(2, 3) + alpha * image
    factor = 16 // image.shape[2]
    return image.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def averaged(x: Tensor, side: int) -> Tensor:
    return F.adaptive_avg_pool2d(x, side)


def plain_features(trunk: Discriminator, x: Tensor, level: float) -> Tensor:
    """The features of a discriminator, as figure 2 has it."""
    newest = math.ceil(level)
    maps = leaky(plain(trunk.from_image[newest][0], averaged(x, 4 << newest), math.sqrt(2)))
    for stage in range(newest, 0, -1):
        block = trunk.blocks[stage - 1]
        maps = leaky(plain(block[2], leaky(plain(block[0], maps, math.sqrt(2))), math.sqrt(2)))
        maps = averaged(maps, 2 << stage)
        if stage > level:
            alpha = 1 - (stage - level)
            before = leaky(plain(trunk.from_image[stage - 1][0], averaged(x, 2 << stage), math.sqrt(2)))
            maps = (1 - alpha) * before + alpha * maps
    maps = leaky(plain(trunk.end[0], maps, math.sqrt(2)))
    dense = trunk.end[3]
    gain = math.sqrt(2) / math.sqrt(dense.weight.shape[1])
    return leaky(maps.flatten(1) @ dense.weight.T * gain + dense.bias)


LEVELS = {0.0: 0, 0.1: 0, 0.15: 0.2, 0.2: 0.6, 0.25: 1, 0.3: 1, 0.45: 1.6, 0.5: 2, 0.9: 2}  # of three stages


@pytest.mark.parametrize("progress", LEVELS)
def test_the_generator_against_plain_computations(progress: float) -> None:
    made, z = small(Generator), torch.randn(3, 5, dtype=F64)
    assert made.growth.level(progress) == pytest.approx(LEVELS[progress])
    image = at(made, progress)(z)
    torch.testing.assert_close(image, plain_image(made, z, LEVELS[progress]), atol=1e-9, rtol=1e-9)
    shown = made.eval()(z)
    assert shown.abs().max() <= 1
    torch.testing.assert_close(shown, image.clamp(-1, 1), atol=1e-6, rtol=0)  # the buffer is fp32


@pytest.mark.parametrize("progress", LEVELS)
def test_the_discriminator_against_plain_computations(progress: float) -> None:
    trunk, x = small(Discriminator), torch.randn(3, 3, 16, 16, dtype=F64)
    features = at(trunk, progress)(x)
    torch.testing.assert_close(features, plain_features(trunk, x, LEVELS[progress]), atol=1e-9, rtol=1e-9)


def test_minibatch_standard_deviation_is_one_more_map() -> None:
    trunk, x = Discriminator(SHAPE, width=6), torch.randn(8, 3, 16, 16)
    assert trunk.end[1].weight.shape[1] == 7
    assert not torch.allclose(trunk(x)[:4], trunk(x[[0, 0, 0, 0, 4, 5, 6, 7]])[:4], atol=1e-5)
    trunk.eval()
    torch.testing.assert_close(trunk(x)[:1], trunk(x[:1]), atol=1e-5, rtol=0)


def test_layers_start_as_the_paper_has_it() -> None:
    for made in (Generator(SHAPE, width=64), Discriminator(SHAPE, width=64)):
        for name, parameter in made.named_parameters():
            if name.endswith("bias"):
                assert not parameter.any()
            elif parameter.numel() > 1000:
                assert parameter.std().item() == pytest.approx(1, abs=0.05)
    x = torch.randn(256, 50)
    assert Linear(50, 64, gain=2.0)(x).std().item() == pytest.approx(2, abs=0.1)
    maps = PixelNorm()(torch.randn(2, 7, 3, 3) * 5)
    torch.testing.assert_close(maps.square().mean(1), torch.ones(2, 3, 3))


def test_features_neither_grow_nor_fade() -> None:
    trunk = Discriminator(ImageShape(3, 32, 32, 0), width=64)
    x = F.interpolate(torch.randn(16, 3, 4, 4), size=32)
    for progress in (0.0, 0.2, 1.0):
        assert 0.1 < at(trunk, progress)(x).square().mean().item() < 10


# --- growth ---------------------------------------------------------------------------------------------------------


def test_at_first_an_image_is_four_pixels_a_side() -> None:
    made, z = small(Generator), torch.randn(2, 5, dtype=F64)
    for progress, block in ((0.0, 4), (0.12, 4), (0.13, 2), (0.37, 2), (0.38, 1)):
        x = at(made, progress)(z)
        squares = x.unfold(2, block, block).unfold(3, block, block)
        assert torch.equal(squares, squares[..., :1, :1].expand_as(squares)), progress
        finer = x.unfold(2, 2 * block, 2 * block).unfold(3, 2 * block, 2 * block)
        assert not torch.equal(finer, finer[..., :1, :1].expand_as(finer))


def test_at_first_the_discriminator_sees_four_pixels_a_side() -> None:
    trunk, x = small(Discriminator), torch.randn(2, 3, 16, 16, dtype=F64)
    coarse = averaged(x, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(at(trunk, 0.0)(x), trunk(coarse))
    assert not torch.allclose(at(trunk, 0.2)(x), trunk(coarse))


@pytest.mark.parametrize("border", [0.125, 0.25, 0.375, 0.5])
def test_growth_is_continuous(border: float) -> None:
    made, trunk = small(Generator), small(Discriminator)
    z, x = torch.randn(4, 5, dtype=F64), torch.randn(4, 3, 16, 16, dtype=F64)
    for network, given in ((made, z), (trunk, x)):
        before, after = (at(network, border + d)(given) for d in (-1e-7, 1e-7))
        torch.testing.assert_close(before, after, atol=1e-4, rtol=0)
        far = at(network, border + (0.06 if border in (0.125, 0.375) else -0.06))(given)
        assert (far - after).abs().max() > 1e-2


@pytest.mark.parametrize("progress", [0.0, 0.2, 0.3, 0.45, 0.5])
def test_stages_that_are_not_in_use_get_no_gradient(progress: float) -> None:
    made, trunk = small(Generator), small(Discriminator)
    at(trunk, progress)(at(made, progress)(torch.randn(4, 5, dtype=F64))).square().sum().backward()
    level = LEVELS.get(progress, made.growth.level(progress))
    stages = math.ceil(level)
    for i in range(3):
        for used, module in [(i <= stages, made.blocks[i]), (i <= stages, made.to_image[i])]:
            assert all((p.grad is not None) == used for p in module.parameters())
        assert all((p.grad is not None) == (i <= stages) for p in trunk.from_image[i].parameters())
        if i:
            assert all((p.grad is not None) == (i <= stages) for p in trunk.blocks[i - 1].parameters())
        retired = i < math.floor(level)
        for layer in (made.to_image[i], trunk.from_image[i][0]):
            assert i > stages or bool(layer.weight.grad.any()) != retired


def test_a_gradient_penalty_passes_through_every_stage() -> None:
    trunk = small(Discriminator)
    last = trunk.last_layer(1).double()
    for progress in (0.0, 0.2, 0.45, 1.0):
        at(trunk, progress)
        x = torch.randn(4, 3, 16, 16, dtype=F64, requires_grad=True)

        def penalty(x: Tensor = x) -> Tensor:
            (gradient,) = torch.autograd.grad(last(trunk(x)).sum(), x, create_graph=True)
            return (gradient.square().sum((1, 2, 3)).sqrt() - 1).square().mean()

        found = [(n, p) for n, p in trunk.named_parameters() if n.endswith("weight")]
        gradients = torch.autograd.grad(penalty(), [p for _, p in found], allow_unused=True)
        for (name, weight), gradient in zip(found, gradients, strict=True):
            if gradient is None:
                continue
            step, values = torch.randn_like(weight), []
            for sign in (1, -1, 0):
                with torch.no_grad():
                    before = weight.clone()
                    weight.add_(step, alpha=sign * 1e-6)
                values.append(penalty().item())
                with torch.no_grad():
                    weight.copy_(before)
            slope = (values[0] - values[1]) / 2e-6
            assert slope == pytest.approx((gradient * step).sum().item(), rel=1e-3, abs=1e-6), name


# --- classes --------------------------------------------------------------------------------------------------------


def test_hard_and_soft_labels_agree() -> None:
    made = small(Generator, conditional=True).eval()
    z, y = torch.randn(4, 5, dtype=F64), torch.tensor([0, 2, 1, 2])
    assert made.blocks[0][0].weight.shape[0] == 8
    x = made(z, y)
    assert torch.equal(x, made(z, F.one_hot(y, 3).double()))
    assert not torch.equal(x, made(z, (y + 1) % 3))


# --- real runs ------------------------------------------------------------------------------------------------------


def trainer(values: dict[str, Any], run: Run | None = None) -> Trainer:
    return Trainer(assemble(configure("default", values={**RUN, **values})), run)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("ssl", ["none", "kplus1", "projection", "acgan"])
def test_it_grows_under_strategies(ssl: str, precision: str) -> None:
    needs = {"gen.conditional": True} if ssl in ("projection", "acgan") else {}
    run = trainer({"ssl": ssl, "precision": precision, "gen.grow": 0.9, "disc.grow": 0.9, **needs})
    stages = []
    before = {n: t.clone() for n, t in run.state.learned.state_dict().items()}
    for _ in range(8):
        run.train_step()
        assert all(math.isfinite(value) for value in run._metrics().values())
        found = {len(m()) for m in progress_followers(run.gan.networks)}  # type: ignore[operator]
        assert len(found) == 1  # generator and discriminator grow together
        stages += found
    assert stages == [1, 1, 2, 2, 2, 2, 3, 3]
    after = run.state.learned.state_dict()
    weight = [n for n in after if n.endswith("weight")]
    assert [n for n in weight if torch.equal(before[n], after[n])] == []


def test_averaged_copies_and_model_folders_generate_alike_in_the_midst_of_growth(tmp_path: Path) -> None:
    values = {"ema": 0.0, "steps": 16}  # the average is then the newest weights
    run = trainer(values, Run.open(tmp_path / "run", configure("default", values={**RUN, **values}), installed()))
    z = torch.randn(6, 8)
    for stop, block in ((1, 4), (4, 2), (8, 1)):
        while run.state.step < stop:
            run.train_step()
        live, averaged = run.gan.networks["generator"].eval(), run.averaged.networks["generator"]
        x = live(z)
        assert torch.equal(x, averaged(z))
        assert torch.equal(x, F.interpolate(x[:, :, ::block, ::block], scale_factor=float(block)))
        assert torch.equal(x, run.gan.copy().networks["generator"](z))
        run.recorder.save_checkpoint()
        run.recorder.save_model()
        loaded = GAN.from_pretrained(tmp_path / "run")
        assert torch.equal(loaded.networks["generator"](z), x)
        judged = [n["discriminator"].eval()(x).adv for n in (run.gan.networks, loaded.networks)]
        torch.testing.assert_close(*judged)
    run.recorder.run.close()


def test_a_finished_model_has_all_stages(tmp_path: Path) -> None:
    gan = ganzoo.train(configure("default", values=RUN), tmp_path / "run")
    growth = gan.networks["generator"].growth
    assert growth.progress == 7 / 8
    assert growth() == [1, 1, 1]


@pytest.mark.parametrize("cut", [1, 3, 4])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stopped_and_continued_in_the_midst_of_growth_is_bit_identical(
    tmp_path: Path, cut: int, precision: str
) -> None:
    values = {**RUN, "gen.grow": 0.9, "disc.grow": 0.9, "precision": precision, "optimizer.weight_decay": 0.01}
    config = configure("default", values=values)
    ganzoo.train(config, tmp_path / "whole")
    run = Run.open(tmp_path / "cut", config, installed())
    first = Trainer(assemble(config), run)
    first.restore()
    for _ in range(cut):
        first.train_step()
    first.recorder.save_checkpoint()
    run.close()
    optimizer = first.state.optimizers["generator"]
    known = len(optimizer.state), len(optimizer.param_groups[0]["params"])
    assert known[0] < known[1]  # there is a state of those that have been in use only
    ganzoo.train(None, tmp_path / "cut")
    assert differing(weights(tmp_path / "whole"), weights(tmp_path / "cut")) == {}


def test_stages_that_are_not_in_use_stay_as_they_are() -> None:
    run = trainer({"optimizer.weight_decay": 0.1, "steps": 16})
    before = {n: t.clone() for n, t in run.state.learned.state_dict().items()}
    for _ in range(2):
        run.train_step()
    after = run.state.learned.state_dict()
    for name in before:
        idle = any(f"blocks.{i}" in name for i in ((1, 2) if "generator" in name else (0, 1)))
        idle |= any(f"{layer}_image.{i}" in name for layer in ("to", "from") for i in (1, 2))
        assert not idle or torch.equal(before[name], after[name]), name
        assert idle or "weight" not in name or not torch.equal(before[name], after[name]), name
    averaged = run.averaged.networks["generator"].state_dict()
    assert torch.equal(averaged["blocks.2.0.1.weight"], after["generator.blocks.2.0.1.weight"])


def test_growth_follows_accumulation_and_several_updates() -> None:
    run = trainer({"gradient_accumulation_steps": 2, "players.discriminator.updates_per_step": 2})
    for _ in range(8):
        run.train_step()
    assert all(math.isfinite(value) for value in run._metrics().values())


def test_two_processes_grow_alike(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)  # it takes five steps
    torchrun(tmp_path, "script.py", json.dumps({**RUN, "gen.grow": 0.9, "disc.grow": 0.9}), "grown")
    a, b = (json.loads((tmp_path / f"grown-{rank}.json").read_text()) for rank in (0, 1))
    assert a["world"] == 2
    assert a["state"] == b["state"]


def test_the_preset_is_the_authors_configuration() -> None:
    config = configure("progan-cifar10", values={"data.source": "digits"})
    generator, discriminator = config.generator.options, config.discriminator.options
    assert generator["grow"] == discriminator["grow"] == pytest.approx(6 * 400_000 / 20_000_000)
    assert config.steps * config.batch_size == 20_000_000
    with torch.device("meta"):
        made = Generator(ImageShape(3, 32, 32, 10), **generator)
        trunk = Discriminator(ImageShape(3, 32, 32, 10), **discriminator)
    assert {m.weight.shape[0] for m in made.modules() if isinstance(m, Convolution)} == {128, 3}
    assert {m.weight.shape[0] for m in trunk.modules() if isinstance(m, Convolution)} == {128}
    assert made.z_dim == 128


# --- contracts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "target", "options"),
    [
        ("generator", "generators.progan:Generator", TINY),
        ("generator", "generators.progan:Generator", {**TINY, "conditional": True}),
        ("discriminator", "discriminators.progan:Discriminator", {"width": 4}),
        ("discriminator", "discriminators.progan:Discriminator", {"width": 4, "group": 0}),
    ],
)
@pytest.mark.parametrize("size", [8, 16])
def test_contract(kind: str, target: str, options: dict[str, Any], size: int) -> None:
    component = Component("made", f"ganzoo_zoo.{target}", "one to check", sizes=(size,))
    check_component(Registered(kind, Plugin("test", None), component), **options)


@pytest.mark.parametrize("kind", ["generator", "discriminator"])
def test_the_built_in_components(kind: str) -> None:
    check_component(kind, "progan", width=4)

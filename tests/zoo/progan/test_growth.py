"""ProGAN: growth, and real runs that are stopped in the middle of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from ganzoo_zoo.discriminators.progan import Discriminator
from ganzoo_zoo.equalized import Convolution
from ganzoo_zoo.generators.progan import Generator
from torch import Tensor

import ganzoo
from ganzoo import GAN, ImageShape, configure
from ganzoo.registry.discovery import installed
from ganzoo.run.folder import Run
from ganzoo.strategy.networks import progress_followers
from ganzoo.training.assemble import assemble
from ganzoo.training.trainer import Trainer
from tests.training.support import differing, weights
from tests.training.test_processes import SCRIPT, torchrun
from tests.zoo.progan.support import F64, LEVELS, RUN, at, averaged, small


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

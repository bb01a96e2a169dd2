"""ProGAN: counts of table 2, the schedule, and both networks against plain computations."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from ganzoo_zoo.discriminators.progan import Discriminator
from ganzoo_zoo.equalized import Convolution, Linear, PixelNorm
from ganzoo_zoo.generators.progan import Generator, Growth
from torch import Tensor, nn

from ganzoo import Component, ImageShape
from ganzoo.errors import Incompatible
from ganzoo.registry.discovery import Plugin, Registered
from ganzoo.testing import check_component
from tests.zoo.progan.support import F64, LEVELS, SHAPE, TINY, at, averaged, small

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


def test_hard_and_soft_labels_agree() -> None:
    made = small(Generator, conditional=True).eval()
    z, y = torch.randn(4, 5, dtype=F64), torch.tensor([0, 2, 1, 2])
    assert made.blocks[0][0].weight.shape[0] == 8
    x = made(z, y)
    assert torch.equal(x, made(z, F.one_hot(y, 3).double()))
    assert not torch.equal(x, made(z, (y + 1) % 3))


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

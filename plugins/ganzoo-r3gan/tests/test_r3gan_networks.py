"""R3GAN's networks: parameter counts, initialisation, resampling and outputs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from ganzoo_r3gan.discriminator import Discriminator
from ganzoo_r3gan.generator import Generator
from ganzoo_r3gan.layers import Block, Resample, channels_of
from ganzoo_zoo.ssl.conditional import ProjectionHead
from torch import Tensor, nn

from ganzoo import ImageShape, create
from ganzoo.errors import BadOption, Incompatible
from ganzoo.strategy import RealnessHead
from ganzoo.testing import check_component

F64 = torch.float64
CIFAR10 = ImageShape(3, 32, 32, 10)
BLOCK = 768 * 1536 + 1536 + 1536 * 16 * 9 + 1536 + 1536 * 768


def count(module: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(p.numel() for p in module.parameters())


def trained(network: nn.Module) -> nn.Module:
    """Return a network whose blocks are not the identity."""
    for block in network.modules():
        if isinstance(block, Block):
            nn.init.normal_(block.reduce.weight, 0.0, 0.3)
            nn.init.normal_(block.grouped.bias, 0.0, 0.3)
    return network


# --- parameters -----------------------------------------------------------------------------------------------------


def test_generator_has_the_papers_parameters() -> None:
    """Count the generator's parameters."""
    with torch.device("meta"):
        conditional, plain = Generator(CIFAR10, conditional=True), Generator(CIFAR10)
    assert BLOCK == 2_583_552
    assert count(conditional) == 10 * 64 + 128 * 768 + 768 * 16 + 8 * BLOCK + 768 * 3 == 20_781_952
    assert count(plain) == 64 * 768 + 768 * 16 + 8 * BLOCK + 768 * 3 == 20_732_160


def test_discriminator_has_the_papers_parameters() -> None:
    """Count the discriminator's parameters, with and without projection."""
    with torch.device("meta"):
        plain, projection = Discriminator(CIFAR10), Discriminator(CIFAR10, projection=True)
        plain_head, pairs = RealnessHead(plain), ProjectionHead(projection, CIFAR10)
    assert count(plain) == 3 * 768 + 8 * BLOCK + 768 * 16 == 20_683_008
    assert count(plain) + count(plain_head) == 20_683_008 + 768 == 20_683_776
    assert count(projection) == 20_683_008 + 768 * 768 == 21_272_832
    assert count(projection) + count(pairs.embedding) == 21_272_832 + 10 * 768 == 21_280_512
    assert count(projection) + count(pairs) == 21_280_512 + 768  # the projection head also has ψ


def test_architecture() -> None:
    """Both networks have stages of two blocks with 96 groups, and resample between the stages."""
    with torch.device("meta"):
        networks = Generator(CIFAR10), Discriminator(CIFAR10)
    for network in networks:
        blocks = [m for m in network.modules() if isinstance(m, Block)]
        assert [m.grouped.groups for m in blocks] == [96] * 8
        assert [m.up for m in network.modules() if isinstance(m, Resample)] == [isinstance(network, Generator)] * 3
    names = [type(m).__name__ for m in networks[0].layers]
    assert names == ["Block", "Block", *["Resample", "Block", "Block"] * 3, "Conv2d"]
    names = [type(m).__name__ for m in networks[1].layers]
    assert names == ["Conv2d", "Block", "Block", *["Resample", "Block", "Block"] * 3, "Conv2d", "Flatten"]


@pytest.mark.parametrize(
    ("doublings", "width", "expected"),
    [(1, 768, [768] * 2), (3, 768, [768] * 4), (6, 768, [768] * 4 + [384, 192, 96]), (5, 1, [1] * 6)],
)
def test_default_widths(doublings: int, width: int, expected: list[int]) -> None:
    """Channels are halved beyond a side of 32."""
    assert channels_of(doublings, width, None) == expected


def test_impossible_options_are_refused() -> None:
    """Image sizes, widths and cardinalities that do not fit are refused."""
    for size in (4, 7, 30, 33):
        with pytest.raises(Incompatible, match=f"images of {size}×{size} do not fit this network"):
            create("generator", "r3gan", ImageShape(3, size, size, 0), width=8)
    with pytest.raises(BadOption, match=r"widths needs 3 numbers, one for each of the sides \[4, 8, 16\], not 2"):
        create("discriminator", "r3gan", ImageShape(3, 16, 16, 0), widths=[8, 8])
    for cardinality in (3, 0, -2):
        with pytest.raises(BadOption, match=f"16 channels cannot be divided into {cardinality} groups"):
            create("generator", "r3gan", ImageShape(3, 8, 8, 0), width=8, cardinality=cardinality)


# --- what they compute ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [None, "falling"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_shapes(size: int, channels: int, widths: str | None) -> None:
    """Outputs have the right shapes for all sizes, channels and widths."""
    torch.manual_seed(0)
    shape = ImageShape(channels, size, size, 3)
    table = tuple(16 >> min(i, 2) for i in range(size.bit_length() - 2)) if widths else None
    options: dict[str, Any] = {"widths": table, "cardinality": 4} if widths else {"width": 12}
    generator = Generator(shape, conditional=True, **options)
    discriminator = Discriminator(shape, projection=True, **options)
    x = generator(torch.randn(2, 64), torch.tensor([0, 2]))
    assert x.shape == (2, channels, size, size)
    assert discriminator(x).shape == (2, discriminator.num_features) == (2, 16 if widths else 12)
    assert discriminator.last_layer(5)(discriminator(x)).shape == (2, 5)
    assert {m.grouped.groups for m in discriminator.modules() if isinstance(m, Block)} == ({4} if widths else {3})


def test_contracts() -> None:
    """Check the contracts of all components."""
    check_component("generator", "r3gan", width=8, conditional=True)
    check_component("discriminator", "r3gan", width=8, projection=True)
    check_component("penalty", "r3gan")


def test_initial_weights() -> None:
    """Weights have the standard deviations of Fixup's scaling."""
    torch.manual_seed(0)
    shape, width = ImageShape(3, 32, 32, 10), 192
    gain = math.sqrt(2 / 1.04) * 8**-0.25
    generator = Generator(shape, width, conditional=True)
    discriminator = Discriminator(shape, width, projection=True)
    for network in (generator, discriminator):
        for block in (m for m in network.modules() if isinstance(m, Block)):
            assert block.expand.weight.std().item() == pytest.approx(gain / math.sqrt(width), rel=0.02)
            assert block.grouped.weight.std().item() == pytest.approx(gain / math.sqrt(16 * 9), rel=0.02)
            for zero in (block.expand.bias, block.grouped.bias, block.reduce.weight):
                assert zero is not None
                assert not zero.any()
            assert block.reduce.bias is None
    for weight, expected in (
        (generator.embedding, 1),
        (generator.basis, 1),
        (generator.linear.weight, 1 / math.sqrt(128)),
        (generator.layers[-1].weight, 1 / math.sqrt(width)),
        (discriminator.layers[0].weight, 1 / math.sqrt(3)),
        (discriminator.layers[-3].weight, 1 / 4),
        (discriminator.layers[-1].weight, 1 / math.sqrt(width)),
        (discriminator.last_layer(50).weight, 1 / math.sqrt(width)),
    ):
        assert isinstance(weight, Tensor)
        assert weight.mean().item() == pytest.approx(0, abs=0.1 * expected)
        assert weight.std().item() == pytest.approx(expected, rel=0.1)
    biased = {
        n.rpartition(".")[0] for net in (generator, discriminator) for n, _ in net.named_parameters() if "bias" in n
    }
    assert all(n.endswith((".expand", ".grouped")) for n in biased)


def test_initial_weights_depend_on_the_depth() -> None:
    """The scale depends on the number of blocks."""
    torch.manual_seed(0)
    block = next(m for m in Generator(ImageShape(3, 8, 8, 0), 192).modules() if isinstance(m, Block))
    expected = math.sqrt(2 / 1.04) * 4**-0.25 / math.sqrt(192)
    assert block.expand.weight.std().item() == pytest.approx(expected, rel=0.02)


def test_block() -> None:
    """A block is the identity at initialisation; with other weights it equals its formula."""
    torch.manual_seed(0)
    block, x = Block(4, None, 1.0).double(), torch.randn(2, 4, 5, 5, dtype=F64)
    assert torch.equal(block(x), x)
    for p in block.parameters():
        nn.init.normal_(p)
    a = lambda t: torch.where(t > 0, t, 0.2 * t)  # noqa: E731
    first = a(torch.einsum("oi,bihw->bohw", block.expand.weight[:, :, 0, 0], x) + block.expand.bias[:, None, None])
    second = a(F.conv2d(first, block.grouped.weight, block.grouped.bias, padding=1, groups=block.grouped.groups))
    expected = x + torch.einsum("oi,bihw->bohw", block.reduce.weight[:, :, 0, 0], second)
    torch.testing.assert_close(block(x), expected)


def test_initial_generator_resamples_its_basis() -> None:
    """At initialisation the generator only resamples its basis."""
    torch.manual_seed(0)
    generator, z = Generator(ImageShape(3, 16, 16, 0), 8), torch.randn(2, 64)
    maps = torch.einsum("oi,bi->bo", generator.linear.weight, z)[:, :, None, None] * generator.basis
    maps = Resample(up=True)(Resample(up=True)(maps))
    torch.testing.assert_close(generator(z), F.conv2d(maps, generator.layers[-1].weight))


@pytest.mark.parametrize("up", [True, False])
def test_resampling(up: bool) -> None:
    """Resampling equals a convolution written as loops."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 6, dtype=F64)
    box, smooth = [1.0, 1.0], [1.0, 2.0, 1.0]
    taps = [sum(box[i] * smooth[k - i] for i in range(2) if 0 <= k - i < 3) for k in range(4)]
    assert taps == [1, 3, 3, 1]
    side = 12 if up else 3
    expected = torch.zeros(2, 3, side, side, dtype=F64)
    for r in range(side):
        for c in range(side):
            for i in range(4):
                for j in range(4):
                    # up: pixel n of the image is at 2n between zeros, and the filter's centre half a position behind
                    row, column = ((r + i - 2) / 2, (c + j - 2) / 2) if up else (2 * r + i - 1, 2 * c + j - 1)
                    if row % 1 or column % 1 or not (0 <= row < 6 and 0 <= column < 6):
                        continue
                    weight = taps[i] * taps[j] / (16 if up else 64)
                    expected[:, :, r, c] += weight * x[:, :, int(row), int(column)]
    torch.testing.assert_close(Resample(up).double()(x), expected)
    if up:  # equal to bilinear interpolation inside the border
        bilinear = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        torch.testing.assert_close(Resample(up).double()(x)[:, :, 1:-1, 1:-1], bilinear[:, :, 1:-1, 1:-1])


def test_resampling_preserves_constants() -> None:
    """Resampling preserves constants."""
    x = torch.ones(1, 2, 8, 8)
    for up in (True, False):
        y = Resample(up)(x)
        torch.testing.assert_close(y[:, :, 1:-1, 1:-1], torch.ones_like(y[:, :, 1:-1, 1:-1]))


def test_soft_labels() -> None:
    """One-hot vectors and integer labels give the same images."""
    torch.manual_seed(0)
    generator = trained(Generator(ImageShape(3, 8, 8, 4), 8, conditional=True)).eval()
    z, y = torch.randn(4, 64), torch.arange(4)
    soft = F.one_hot(y, 4).float()
    assert torch.equal(generator(z, y), generator(z, soft))
    assert not torch.allclose(generator(z, y), generator(z, y.flip(0)))
    mixed = generator(z, (soft + soft.flip(0)) / 2)
    assert torch.isfinite(mixed).all()


def test_images_are_clamped_in_evaluation_mode() -> None:
    """Images are clamped in evaluation mode only."""
    torch.manual_seed(0)
    generator, z = trained(Generator(ImageShape(3, 16, 16, 0), 8)), 5 * torch.randn(16, 64)
    free, clamped = generator(z), generator.eval()(z)
    assert free.abs().max() > 1
    assert clamped.min() >= -1
    assert clamped.max() <= 1
    assert torch.equal(clamped, free.clamp(-1, 1))

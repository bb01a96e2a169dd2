"""What both networks are made of. Huang et al. 2024, arXiv:2501.05441, §3 and appendix."""

from __future__ import annotations

import math
from typing import TypeVar

import torch.nn.functional as F
from ganzoo_zoo.resample import Resample as Filter
from torch import Tensor, nn

from ganzoo.errors import BadOption, Incompatible

BLOCKS = 2
EXPANSION = 2
GROUP = 16
SLOPE = 0.2
FULL_WIDTH = 32

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


def channels_of(size: int, width: int, widths: tuple[int, ...] | None) -> list[int]:
    """Return the channels of the stages 4×4, 8×8, …, size×size: `widths`, or `width`, halved at each side beyond 32.

    Raises Incompatible for a size that is no power of two from 8 on, BadOption for another number of widths.
    """
    if size < 8 or size & (size - 1):
        raise Incompatible(f"r3gan makes and judges images whose side is 8, 16, 32, …, not {size}; see --size")
    sides = [4 << i for i in range(size.bit_length() - 2)]
    if widths is None:
        return [max(width * FULL_WIDTH // max(side, FULL_WIDTH), 1) for side in sides]
    if len(widths) != len(sides):
        raise BadOption(f"widths has a number for each of the sides {sides}, that is {len(sides)}, not {len(widths)}")
    return list(widths)


def normal(layer: Layer, gain: float = 1.0) -> Layer:
    """Draw a layer's weights from N(0, gain/√fan_in), and set its bias to 0."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def pointwise(before: int, after: int) -> nn.Conv2d:
    """Return a 1×1 convolution without bias: no activation follows it."""
    return normal(nn.Conv2d(before, after, 1, bias=False))


def stage(width: int, cardinality: int | None, stages: int) -> list[nn.Module]:
    """Return the blocks of one of a network's stages.

    The more blocks there are, the smaller are their weights at the start: L^(-1/4) for L blocks of three layers.
    Zhang et al. 2019 (Fixup), arXiv:1901.09321, §2.
    """
    gain = math.sqrt(2 / (1 + SLOPE**2)) * (stages * BLOCKS) ** -0.25
    return [Block(width, cardinality, gain) for _ in range(BLOCKS)]


class Block(nn.Module):
    """x + W₃ a(W₂ a(W₁ x + b₁) + b₂): 1×1 to twice the channels, 3×3 in groups, 1×1 back; a is leaky ReLU 0.2.

    W₃ is 0 at the start, and the block the identity.

    cardinality: groups of the 3×3 convolution; None for groups of 16 channels.

    Raises BadOption where it does not divide the channels evenly.
    """

    def __init__(self, width: int, cardinality: int | None, gain: float) -> None:
        super().__init__()
        wide = EXPANSION * width
        groups = wide // math.gcd(wide, GROUP) if cardinality is None else cardinality
        if groups < 1 or wide % groups:
            raise BadOption(f"{wide} channels cannot be convolved in {groups} groups of equal size; see cardinality")
        self.expand = normal(nn.Conv2d(width, wide, 1), gain)
        self.grouped = normal(nn.Conv2d(wide, wide, 3, padding=1, groups=groups), gain)
        self.reduce = normal(nn.Conv2d(wide, width, 1, bias=False), 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map maps `[B, width, H, W]` to such maps."""
        wide = F.leaky_relu(self.expand(x), SLOPE)
        wide = F.leaky_relu(self.grouped(wide), SLOPE)
        out: Tensor = x + self.reduce(wide)
        return out


class Resample(Filter):
    """Twice (`up`) or half the side, each channel by the filter [1, 2, 1] ⊛ [1, 1] = [1, 3, 3, 1] both ways.

    Upwards that is bilinear interpolation, and downwards its transpose, scaled so that what is even stays as it is.
    There are zeros beyond the border.
    """

    def __init__(self, up: bool) -> None:
        super().__init__(stride=2, padding=1, transposed=up, gain=4.0 if up else 1.0)  # up: a pixel is spread over four
        self.up = up

    def extra_repr(self) -> str:
        """Show the direction."""
        return "up" if self.up else "down"

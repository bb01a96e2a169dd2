"""Layers of both networks. Huang et al. 2024, arXiv:2501.05441, §3 and appendix."""

from __future__ import annotations

import math
from typing import TypeVar

import torch.nn.functional as F
from ganzoo_zoo.resample import Resample as Filter
from torch import Tensor, nn

from ganzoo.errors import BadOption

BLOCKS = 2
EXPANSION = 2
GROUP = 16
SLOPE = 0.2
FULL_WIDTH = 32

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


def channels_of(doublings: int, width: int, widths: tuple[int, ...] | None) -> list[int]:
    """Return the channels of the stages of sides 4, 8, ….

    Args:
        doublings: Number of doublings from 4×4.
        width: Channels at every side up to 32; halved with each doubling beyond.
        widths: Channels of each stage, instead of `width`.

    Raises:
        BadOption: `widths` has another length than there are stages.
    """
    sides = [4 << i for i in range(doublings + 1)]
    if widths is None:
        return [max(width * FULL_WIDTH // max(side, FULL_WIDTH), 1) for side in sides]
    if len(widths) != len(sides):
        raise BadOption(f"widths needs {len(sides)} numbers, one for each of the sides {sides}, not {len(widths)}")
    return list(widths)


def normal(layer: Layer, gain: float = 1.0) -> Layer:
    """Initialise a layer: weights from N(0, gain²/fan_in), bias 0.

    Args:
        layer: Layer to change in place.
        gain: Gain of the standard deviation.
    """
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def pointwise(before: int, after: int) -> nn.Conv2d:
    """Return a 1×1 convolution without bias, for use without an activation.

    Args:
        before: Input channels.
        after: Output channels.
    """
    return normal(nn.Conv2d(before, after, 1, bias=False))


def stage(width: int, cardinality: int | None, stages: int) -> list[nn.Module]:
    """Return the blocks of one stage.

    The initial weights decrease with the number L of blocks, by L^(-1/4) for blocks of three layers. Zhang et al. 2019
    (Fixup), arXiv:1901.09321, §2.

    Args:
        width: Number of channels.
        cardinality: Groups of the 3×3 convolutions; None for groups of 16 channels.
        stages: Number of stages of the network.
    """
    gain = math.sqrt(2 / (1 + SLOPE**2)) * (stages * BLOCKS) ** -0.25
    return [Block(width, cardinality, gain) for _ in range(BLOCKS)]


class Block(nn.Module):
    """A residual block: x + W₃ a(W₂ a(W₁ x + b₁) + b₂), where a is leaky ReLU 0.2.

    W₁ is a 1×1 convolution to twice the channels, W₂ a grouped 3×3 convolution, W₃ a 1×1 convolution back. W₃ is 0 at
    initialisation, so the block is the identity.

    Args:
        width: Number of channels.
        cardinality: Groups of the 3×3 convolution; None for groups of 16 channels.
        gain: Gain of the initial weights W₁ and W₂.

    Raises:
        BadOption: The channels cannot be divided into that many groups.
    """

    def __init__(self, width: int, cardinality: int | None, gain: float) -> None:
        super().__init__()
        wide = EXPANSION * width
        groups = wide // math.gcd(wide, GROUP) if cardinality is None else cardinality
        if groups < 1 or wide % groups:
            raise BadOption(f"{wide} channels cannot be divided into {groups} groups of equal size; see cardinality")
        self.expand = normal(nn.Conv2d(width, wide, 1), gain)
        self.grouped = normal(nn.Conv2d(wide, wide, 3, padding=1, groups=groups), gain)
        self.reduce = normal(nn.Conv2d(wide, width, 1, bias=False), 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, width, H, W]` to the same shape."""
        wide = F.leaky_relu(self.expand(x), SLOPE)
        wide = F.leaky_relu(self.grouped(wide), SLOPE)
        out: Tensor = x + self.reduce(wide)
        return out


class Resample(Filter):
    """Double (`up`) or halve the side, each channel filtered by [1, 2, 1] ⊛ [1, 1] = [1, 3, 3, 1] in both directions.

    Upsampling is bilinear interpolation; downsampling is its transpose, scaled to preserve constants. The border is
    padded with zeros.

    Args:
        up: Double the side instead of halving it.
    """

    def __init__(self, up: bool) -> None:
        super().__init__(
            stride=2, padding=1, transposed=up, gain=4.0 if up else 1.0
        )  # up: each pixel contributes to four
        self.up = up

    def extra_repr(self) -> str:
        """Return the direction as text."""
        return "up" if self.up else "down"

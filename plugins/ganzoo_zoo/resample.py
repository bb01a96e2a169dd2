"""Low-pass filters that change the side of maps. Zhang 2019, arXiv:1904.11486; as in Karras et al. 2020, appendix B."""

from __future__ import annotations

import functools
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Resample(nn.Module):
    """The low-pass filter [1, 3, 3, 1] ⊗ [1, 3, 3, 1] / 64 · gain, with a stride or, transposed, between pixels."""

    def __init__(self, stride: int = 1, padding: int = 0, transposed: bool = False, gain: float = 1.0) -> None:
        super().__init__()
        self.how = gain, stride, padding, transposed

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, C, H', W']`, each channel alone."""
        return cast(Tensor, FilterFunction.apply(x, *self.how))


@functools.cache
def low_pass(gain: float, kind: torch.dtype, device: torch.device) -> Tensor:
    """Return the filter `[4, 4]`, once for a type and a device: a constant, and nothing that a network has to keep."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=kind, device=device) / 8
    return torch.outer(taps, taps) * gain


class FilterFunction(torch.autograd.Function):
    """A convolution of each channel with a constant; its derivative is the transposed one, and so on.

    Torch differentiates a grouped convolution twice by a loop over the groups, for the sake of weights that are a
    constant here. R1 needs the second derivative.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: float, stride: int, padding: int, transposed: bool) -> Tensor:
        """Filter x `[B, C, H, W]` in its own precision. On a CPU the transposed filter is 30 times as slow in bf16."""
        ctx.how = gain, stride, padding, transposed
        convolution = F.conv_transpose2d if transposed else F.conv2d
        slow = transposed and x.device.type == "cpu"
        kind = torch.promote_types(x.dtype, torch.float32) if slow else x.dtype
        weight = low_pass(gain, kind, x.device).expand(x.shape[1], 1, -1, -1)
        with torch.autocast(x.device.type, enabled=False):
            return convolution(x.to(kind), weight, stride=stride, padding=padding, groups=x.shape[1]).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Filter the gradient the other way."""
        (gradient,), (gain, stride, padding, transposed) = gradients, ctx.how
        return FilterFunction.apply(gradient, gain, stride, padding, not transposed), None, None, None, None

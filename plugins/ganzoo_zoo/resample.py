"""Low-pass filters for resampling: Zhang 2019, arXiv:1904.11486; Karras et al. 2020, arXiv:1912.04958, appendix B."""

from __future__ import annotations

import functools
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Resample(nn.Module):
    """The low-pass filter [1, 3, 3, 1] ⊗ [1, 3, 3, 1] / 64 · gain, applied to each channel.

    Args:
        stride: Stride of the convolution.
        padding: Zeros added at each side of the input.
        transposed: Use the transposed convolution, which upsamples.
        gain: Factor of the filter; 4 keeps the mean of an image that is upsampled with stride 2.
    """

    def __init__(self, stride: int = 1, padding: int = 0, transposed: bool = False, gain: float = 1.0) -> None:
        super().__init__()
        self.arguments = gain, stride, padding, transposed

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, C, H', W']`."""
        return cast(Tensor, FilterFunction.apply(x, *self.arguments))


@functools.cache
def low_pass(gain: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the filter `[4, 4]`, cached for each dtype and device.

    Args:
        gain: Sum of the filter.
        dtype: Type of the filter.
        device: Device of the filter.
    """
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=dtype, device=device) / 8
    return torch.outer(taps, taps) * gain


class FilterFunction(torch.autograd.Function):
    """A convolution of each channel with a constant filter, whose derivative is its transposed convolution.

    The second derivative of torch's grouped convolution loops over the groups to compute gradients of the weights,
    which are constant here. R1 needs the second derivative.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: float, stride: int, padding: int, transposed: bool) -> Tensor:
        """Filter x `[B, C, H, W]` in its own precision.

        On a CPU the transposed filter runs in fp32 at least, because it is 30 times slower in bf16.
        """
        ctx.arguments = gain, stride, padding, transposed
        convolution = F.conv_transpose2d if transposed else F.conv2d
        slow = transposed and x.device.type == "cpu"
        dtype = torch.promote_types(x.dtype, torch.float32) if slow else x.dtype
        weight = low_pass(gain, dtype, x.device).expand(x.shape[1], 1, -1, -1)
        with torch.autocast(x.device.type, enabled=False):
            return convolution(x.to(dtype), weight, stride=stride, padding=padding, groups=x.shape[1]).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Filter the gradient with the transposed operation."""
        (gradient,), (gain, stride, padding, transposed) = gradients, ctx.arguments
        return FilterFunction.apply(gradient, gain, stride, padding, not transposed), None, None, None, None

"""Every private function of torch and accelerate that the library uses, each with what would replace it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

BatchNorm = nn.modules.batchnorm._BatchNorm
"""The base class of all batch normalisation layers. Public: a tuple of BatchNorm1d, 2d, 3d and SyncBatchNorm."""

weight_norm_kernel: Callable[..., Tensor] = torch._weight_norm
"""The kernel behind `weight_norm`. Public: `nn.utils.parametrizations.weight_norm` calls it."""


def lerp_(tensors: Sequence[Tensor], towards: Sequence[Tensor], weight: float) -> None:
    """Move tensors towards others in place, in one launch per dtype and device.

    Public: `Tensor.lerp_` of each.

    Args:
        tensors: Tensors that are changed.
        towards: Tensors of the same shapes.
        weight: Fraction of the way, in [0, 1].
    """
    torch._foreach_lerp_(list(tensors), list(towards), weight)


def forget_accelerator_state() -> None:
    """Let the next `Accelerator` of this process choose its device anew. Public: none; a new process would."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)


def padding_of(convolution: nn.Conv2d) -> list[int]:
    """Return the zeros that a convolution adds: left, right, top, bottom. Public: `padding`, unless it is "same"."""
    return list(convolution._reversed_padding_repeated_twice)

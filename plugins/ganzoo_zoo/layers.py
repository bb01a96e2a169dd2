"""Layers that several networks share."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def class_vectors(y: Tensor, classes: int) -> Tensor:
    """Return classes as vectors `[B, K]`: `[B]` int64 one-hot; what is `[B, K]` already, soft, as it is."""
    return F.one_hot(y, classes).float() if y.ndim == 1 else y


class Noise(nn.Module):
    """Adds Gaussian noise of a standard deviation, in training."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor to one of the same shape."""
        return torch.add(x, torch.randn_like(x), alpha=self.deviation) if self.training and self.deviation else x

    def extra_repr(self) -> str:
        """Show the deviation."""
        return str(self.deviation)


class RowNorms(torch.autograd.Function):
    """Norms `[R]` of the rows of a matrix `[R, C]` of which none is zero.

    torch's own gradient guards against zero in three passes over the matrix, this one takes one: a step over wide
    layers waits for memory.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        """Return the norms."""
        norms: Tensor = rows.norm(dim=1)
        ctx.save_for_backward(rows, norms)
        return norms

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Return the gradient of the rows, which has gradients itself."""
        rows, norms = cast(tuple[Tensor, Tensor], ctx.saved_tensors)
        return rows * (grad / norms).unsqueeze(1)


class WeightNorm(nn.Module):
    """A weight-normalised linear or convolutional layer that is scaled by the first batch it sees in training.

    y = g v·x/‖v‖ + b, with v ~ N(0, scale). The first batch sets g and b so that each output has mean 0 and a given
    deviation over it; Salimans and Kingma 2016, arXiv:1602.07868, eqs. 2, 5 and 6. g is learnt only where asked.

    kernel: 0 for a linear layer, else the side of a convolution's window. deviation: of y over the first batch.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 0,
        stride: int = 1,
        padding: int = 0,
        scale: float = 0.1,
        deviation: float = 1.0,
        learn_scale: bool = False,
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.deviation, self.initialised = stride, padding, deviation, False
        window = (kernel, kernel) if kernel else ()
        self.v = nn.Parameter(torch.randn(outputs, inputs, *window) * scale)
        self.g = nn.Parameter(torch.ones(outputs), requires_grad=learn_scale)
        self.b = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, inputs]` to `[B, outputs]`, or maps `[B, inputs, H, W]` to `[B, outputs, H', W']`."""
        if self.training and not self.initialised:
            self.initialise(x)
        return self.apply_weight(x, self.g, self.b)

    def apply_weight(self, x: Tensor, g: Tensor, b: Tensor) -> Tensor:
        """Return y for a scale g and a bias b."""
        norms: Tensor = RowNorms.apply(self.v.flatten(1))
        scale = g / norms
        if self.v.ndim == 2:  # a batch of outputs is smaller than the matrix; maps are larger than their kernels
            return torch.addcmul(b, F.linear(x, self.v).float(), scale)
        return F.conv2d(x, self.v * scale[:, None, None, None], b, self.stride, self.padding)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.initialised = True

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Set g and b from one batch."""
        t = self.apply_weight(x, torch.ones_like(self.g), torch.zeros_like(self.b)).float()
        others = [d for d in range(t.ndim) if d != 1]
        self.g.copy_(self.deviation / t.var(dim=others, correction=0).add(1e-8).sqrt())
        self.b.copy_(-t.mean(dim=others) * self.g)
        self.initialised = True

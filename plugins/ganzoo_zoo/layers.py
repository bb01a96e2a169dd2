"""Layers that several networks share."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.errors import Incompatible


def class_vectors(y: Tensor, classes: int) -> Tensor:
    """Return class labels as vectors.

    Args:
        y: Classes, `[B]` int64 or `[B, K]` probabilities.
        classes: Number of classes K.

    Returns:
        `[B, K]`: one-hot vectors of integer classes; probabilities are returned unchanged.
    """
    return F.one_hot(y, classes).float() if y.ndim == 1 else y


def base_grid(shape: ImageShape) -> tuple[int, int, int]:
    """Return the smallest grid of a network that doubles its side up to the size of an image.

    The smaller side of the grid is 4 to 7. For example, 64×64 is a 4×4 grid doubled four times, 64×96 is 4×6 doubled
    four times, and 48×48 is 6×6 doubled three times.

    Args:
        shape: Shape of the images.

    Returns:
        Rows and columns of the grid, and the number of doublings.

    Raises:
        Incompatible: The image is not a doubled grid.
    """
    doublings = (min(shape.height, shape.width) // 4).bit_length() - 1
    rows, columns = shape.height >> doublings, shape.width >> doublings
    if doublings < 1 or (rows << doublings, columns << doublings) != (shape.height, shape.width):
        raise Incompatible(
            f"images of {shape.size} do not fit this network: both sides must be multiples of "
            f"{max(1 << doublings, 2)}, and the smaller one at least 8; see --size"
        )
    return rows, columns, doublings


def channels_at(side: int, width: int, base: int) -> int:
    """Return the number of channels of maps.

    Args:
        side: Side of the maps of a square image.
        width: Maximum number of channels.
        base: Number of channels times side.
    """
    return max(1, min(width, base // side))


class Noise(nn.Module):
    """Gaussian noise that is added in training mode.

    Args:
        deviation: Standard deviation of the noise.
    """

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        """Add noise to a tensor of any shape."""
        return torch.add(x, torch.randn_like(x), alpha=self.deviation) if self.training and self.deviation else x

    def extra_repr(self) -> str:
        """Return the standard deviation as text."""
        return str(self.deviation)


class RowNorms(torch.autograd.Function):
    """Norms `[R]` of the non-zero rows of a matrix `[R, C]`.

    The gradient of `torch.linalg.vector_norm` guards against zero in three passes over the matrix; this one makes a
    single pass. Wide layers are limited by memory bandwidth.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        """Compute the norms."""
        norms: Tensor = rows.norm(dim=1)
        ctx.save_for_backward(rows, norms)
        return norms

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Compute the gradient of the rows; it is differentiable itself."""
        rows, norms = cast(tuple[Tensor, Tensor], ctx.saved_tensors)
        return rows * (grad / norms).unsqueeze(1)


def keep_loaded(module: nn.Module, keys: object) -> None:
    """Mark a layer whose weights were loaded as initialised, so that no batch sets them again."""
    module.initialised = True  # type: ignore[assignment]


class WeightNorm(nn.Module):
    """Weight normalisation with data-dependent initialisation: y = g v·x/‖v‖ + b.

    v is drawn from N(0, scale²). The first batch in training mode sets g and b such that each output has mean 0 and a
    given standard deviation over that batch; Salimans and Kingma 2016, arXiv:1602.07868, eqs. 2, 5 and 6.

    Args:
        weight: Shape of v; its first dimension counts the outputs.
        scale: Standard deviation of v at initialisation.
        deviation: Standard deviation of y over the first batch.
        learn_scale: Train g; otherwise it keeps the value set by the first batch.
    """

    def __init__(
        self, weight: tuple[int, ...], scale: float = 0.1, deviation: float = 1.0, learn_scale: bool = False
    ) -> None:
        super().__init__()
        self.deviation, self.initialised = deviation, False
        self.v = nn.Parameter(torch.randn(*weight) * scale)
        self.g = nn.Parameter(torch.ones(weight[0]), requires_grad=learn_scale)
        self.b = nn.Parameter(torch.zeros(weight[0]))
        self.register_load_state_dict_post_hook(keep_loaded)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, inputs, …]` to `[B, outputs, …]`."""
        if self.training and not self.initialised:
            self.initialise(x)
        return self.apply_weight(x, self.g, self.b)

    def apply_weight(self, x: Tensor, g: Tensor, b: Tensor) -> Tensor:
        """Return y for given scales and biases.

        Args:
            x: Input `[B, inputs, …]`.
            g: Scales `[outputs]`.
            b: Biases `[outputs]`.
        """
        raise NotImplementedError

    def scale_of(self, g: Tensor) -> Tensor:
        """Return g/‖v‖ `[outputs]`."""
        norms: Tensor = RowNorms.apply(self.v.flatten(1))
        return g / norms

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Set g and b from one batch `[B, inputs, …]`."""
        t = self.apply_weight(x, torch.ones_like(self.g), torch.zeros_like(self.b)).float()
        others = [d for d in range(t.ndim) if d != 1]
        self.g.copy_(self.deviation / t.var(dim=others, correction=0).add(1e-8).sqrt())
        self.b.copy_(-t.mean(dim=others) * self.g)
        self.initialised = True


class WeightNormLinear(WeightNorm):
    """A linear layer with weight normalisation; see `WeightNorm`.

    Args:
        inputs: Number of input features.
        outputs: Number of output features.
        scale: Standard deviation of v at initialisation.
        deviation: Standard deviation of the outputs over the first batch.
        learn_scale: Train the scales g.
    """

    def __init__(
        self, inputs: int, outputs: int, scale: float = 0.1, deviation: float = 1.0, learn_scale: bool = False
    ) -> None:
        super().__init__((outputs, inputs), scale, deviation, learn_scale)

    def apply_weight(self, x: Tensor, g: Tensor, b: Tensor) -> Tensor:
        """Return y `[B, outputs]` of x `[B, inputs]` for scales g and biases b."""
        scale = self.scale_of(g)  # multiplies the outputs, because they are fewer than the weights
        return torch.addcmul(b, F.linear(x, self.v).float(), scale)


class WeightNormConv2d(WeightNorm):
    """A convolution with weight normalisation, whose scales are not trained; see `WeightNorm`.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        kernel: Side of the kernel.
        stride: Stride.
        padding: Zeros added at each side of the input.
        scale: Standard deviation of v at initialisation.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, scale: float = 0.1
    ) -> None:
        super().__init__((outputs, inputs, kernel, kernel), scale)
        self.stride, self.padding = stride, padding

    def apply_weight(self, x: Tensor, g: Tensor, b: Tensor) -> Tensor:
        """Return y `[B, outputs, H', W']` of x `[B, inputs, H, W]` for scales g and biases b."""
        weight = self.v * self.scale_of(g)[:, None, None, None]  # the maps are larger than the kernels
        return F.conv2d(x, weight, b, self.stride, self.padding)

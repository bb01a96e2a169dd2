"""Layers with equalised learning rate and what goes with them. Karras et al. 2018, arXiv:1710.10196, §4.

Weights are drawn from N(0, 1), and He's constant is multiplied in the forward pass rather than at initialisation. The
updates of Adam do not depend on the scale of the gradients: with weights of one range, all layers learn at one speed.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-8


class Linear(nn.Module):
    """A linear layer with equalised learning rate: weights ~ N(0, 1), scaled by 1/√inputs in the forward pass.

    Karras et al. 2018, arXiv:1710.10196, §4.1.

    Args:
        inputs: Number of input features.
        outputs: Number of output features.
        bias: Initial value of the bias.
        rate: Multiplier of the learning rate: parameters are divided by it at initialisation, and multiplied by it in
            the forward pass.
        gain: Multiplier of the weights; √2 before a leaky ReLU that is not scaled itself.
    """

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0, gain: float = 1.0) -> None:
        super().__init__()
        self.rate, self.gain = rate, gain * rate / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, inputs]` to `[B, outputs]`."""
        return torch.addmm(self.bias, x, self.weight.T, beta=self.rate, alpha=self.gain)


class Convolution(nn.Module):
    """A convolution with equalised learning rate: weights ~ N(0, 1), scaled by 1/√fan-in in the forward pass.

    Karras et al. 2018, arXiv:1710.10196, §4.1.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        kernel: Side of the kernel.
        stride: Stride.
        padding: Zeros added at each side; default: half the kernel.
        bias: Add a bias, 0 at initialisation.
        gain: Multiplier of the weights; √2 before a leaky ReLU that is not scaled itself.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        padding: int | None = None,
        bias: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, kernel // 2 if padding is None else padding
        self.gain = gain / math.sqrt(inputs * kernel**2)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, inputs, H, W]` to `[B, outputs, H', W']`."""
        return F.conv2d(x, self.weight * self.gain, self.bias, self.stride, self.padding)


class Activation(nn.Module):
    """Leaky ReLU with slope 0.2, times √2."""

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor to one of the same shape."""
        return activate(x)


def activate(x: Tensor) -> Tensor:
    """Return the leaky ReLU of x with slope 0.2, times √2, which approximately preserves the mean square of N(0, 1)."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class PixelNorm(nn.Module):
    """Pixelwise feature vector normalisation: each position of a map has a mean square of 1 over the channels.

    Karras et al. 2018, arXiv:1710.10196, §4.2.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to the same shape."""
        return normalized(x)


def normalized(x: Tensor) -> Tensor:
    """Scale vectors `[B, F]`, or those at each position of maps `[B, F, H, W]`, to a mean square of 1."""
    return x * x.square().mean(1, keepdim=True).add(EPSILON).rsqrt()

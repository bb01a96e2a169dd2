"""StyleGAN2's discriminator. Karras et al. 2020, arXiv:1912.04958, §4.1.

The network for CIFAR-10 follows Karras et al. 2020 (ADA), arXiv:2006.06676, appendix D.
"""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_zoo import equalized
from ganzoo_zoo.equalized import Activation, Linear, activate
from ganzoo_zoo.layers import base_grid, channels_at
from ganzoo_zoo.minibatch import MinibatchStd
from ganzoo_zoo.resample import Resample


class Discriminator(nn.Module):
    """StyleGAN2's discriminator: blocks that halve the side, and minibatch standard deviation at 4×4.

    Equalised learning rate, leaky ReLU, no norm. With architecture "orig" and group 32,
    at 32×32 RGB, trunk and last layer are the CIFAR-10 network, with 20,720,641 parameters.

    Args:
        shape: Shape of the images.
        width: Maximum number of channels at any side; 512 in the papers.
        architecture: "resnet" (each block has a 1×1 convolution as its shortcut) or "orig" (no shortcuts, as for
            CIFAR-10).
        group: Group size of the minibatch standard deviation; 0 disables it.
        base: Number of channels times side, below the maximum `width`; 16384 makes large images cheaper.
    """

    def __init__(
        self,
        shape: ImageShape,
        width: int = 512,
        architecture: Literal["resnet", "orig"] = "resnet",
        group: int = 4,
        base: int = 32768,
    ) -> None:
        super().__init__()
        rows, columns, halvings = base_grid(shape)
        inputs = channels_at(4 << halvings, width, base)
        self.layers = nn.Sequential(Convolution(shape.channels, inputs, 1))
        for i in reversed(range(halvings)):
            outputs = channels_at(4 << i, width, base)
            self.layers.append(Block(inputs, outputs, residual=architecture == "resnet"))
            inputs = outputs
        if group > 0:
            self.layers.append(MinibatchStd(group))
        last = Linear(inputs * rows * columns, inputs)
        self.layers.extend([Convolution(inputs + (group > 0), inputs, 3), nn.Flatten(), last, Activation()])
        self.num_features = inputs

    def last_layer(self, outputs: int) -> nn.Module:
        """Return a linear layer with equalised learning rate."""
        return Linear(self.num_features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        features: Tensor = self.layers(x)
        return features


class Block(nn.Module):
    """Two 3×3 convolutions, the second of which halves the side, with an optional 1×1 shortcut. Figure 7c.

    Both paths are low-pass filtered before the stride.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        residual: Add the shortcut.
    """

    def __init__(self, inputs: int, outputs: int, residual: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Convolution(inputs, inputs, 3),
            Resample(padding=2),
            Convolution(inputs, outputs, 3, stride=2, padding=0),
        )
        self.skip = (
            nn.Sequential(Resample(stride=2, padding=1), Convolution(inputs, outputs, 1, activated=False))
            if residual
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, inputs, H, W]` to `[B, outputs, H/2, W/2]`."""
        y: Tensor = self.layers(x)
        return y if self.skip is None else (y + self.skip(x)) / math.sqrt(2)  # the sum has twice the variance


class Convolution(equalized.Convolution):
    """A convolution with equalised learning rate, with or without bias and leaky ReLU.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        kernel: Side of the kernel.
        stride: Stride.
        padding: Zeros added at each side; default: half the kernel.
        activated: Add a bias and apply leaky ReLU.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        padding: int | None = None,
        activated: bool = True,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, bias=activated)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, inputs, H, W]` to `[B, outputs, H', W']`."""
        y = super().forward(x)
        return y if self.bias is None else activate(y)

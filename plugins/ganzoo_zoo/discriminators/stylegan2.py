"""StyleGAN2 discriminator. Karras et al. 2020, arXiv:1912.04958, §4.1; for CIFAR-10, Karras et al. 2020 (ADA),
arXiv:2006.06676, appendix D.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_zoo.generators.stylegan2 import Activation, Linear, activate, channels_at
from ganzoo_zoo.minibatch import MinibatchStd
from ganzoo_zoo.resample import Resample


class Discriminator(nn.Module):
    """Image → … → 4×4, halving the side at the second convolution of each block; then one more, and a linear layer.

    Equalised learning rate, leaky ReLU, no norm. Any power of two from 8.

    At 32×32 RGB with architecture "orig", trunk and last layer are the CIFAR-10 network, with 20,720,641 parameters;
    its group is 32.

    Args:
        width: most channels at any side; 512 in the papers.
        architecture: resnet (a 1×1 convolution beside each block), or orig (without, as for CIFAR-10).
        group: images of a batch that are compared, for their standard deviation; 0 compares none.
        base: channels times side, up to `width` channels; 16384 makes large images cheaper.
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
        inputs = channels_at(shape.size, width, base)
        self.layers = nn.Sequential(Convolution(shape.channels, inputs, 1))
        for side in (2**i for i in reversed(range(2, shape.size.bit_length() - 1))):
            outputs = channels_at(side, width, base)
            self.layers.append(Block(inputs, outputs, residual=architecture == "resnet"))
            inputs = outputs
        if group > 0:
            self.layers.append(MinibatchStd(group))
        last = Linear(inputs * 16, inputs)
        self.layers.extend([Convolution(inputs + (group > 0), inputs, 3), nn.Flatten(), last, Activation()])
        self.num_features = inputs

    def last_layer(self, outputs: int) -> nn.Module:
        """Return a linear layer of equalised learning rate, as the others are."""
        return Linear(self.num_features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        features: Tensor = self.layers(x)
        return features


class Block(nn.Module):
    """Two 3×3 convolutions, the second of which halves the side; beside them a 1×1 one when residual. Figure 7c.

    Both ways see only what a side half as large can show: a blur comes before each stride.
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
        return y if self.skip is None else (y + self.skip(x)) / math.sqrt(2)  # the sum of two has twice the variance


class Convolution(nn.Module):
    """A convolution of equalised learning rate; activated, with a bias and leaky ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        padding: int | None = None,
        activated: bool = True,
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, kernel // 2 if padding is None else padding
        self.gain = 1 / math.sqrt(inputs * kernel**2)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if activated else None

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, inputs, H, W]` to `[B, outputs, H', W']`."""
        y = F.conv2d(x, self.weight * self.gain, self.bias, self.stride, self.padding)
        return y if self.bias is None else activate(y)

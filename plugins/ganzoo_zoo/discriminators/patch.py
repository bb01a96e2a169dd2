"""PatchGAN's discriminator. Isola et al. 2017, arXiv:1611.07004, §3.2.2 and appendix 6.1.2."""

from __future__ import annotations

import itertools
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo import ImageShape
from ganzoo_zoo.generators.dcgan import initialize

Norm = Literal["batch", "instance", "spectral", "none"]


def patch_side(strided: int) -> int:
    """Return the receptive field of a patch logit in pixels: 7, 16, 34, 70, 142, … for 0, 1, 2, 3, 4, … strides.

    Args:
        strided: Number of layers with a stride of 2.
    """
    side = 7  # of the last two convolutions, 4×4 with stride 1
    for _ in range(strided):
        side = 2 * side + 2
    return side


class Discriminator(nn.Module):
    """PatchGAN's discriminator: 4×4 convolutions whose logits, one for each patch of the image, are averaged.

    The paper averages the patch logits of a last 4×4 convolution. A linear layer commutes with the mean, so the
    features are the mean over patches of the 4×4 windows that this convolution would be applied to, and the last layer
    is a linear layer of these features: its output equals the mean patch logit.

    With norm "none" and width 64, for 256×256 RGB images, trunk and last layer have 2,764,737 parameters.

    Args:
        shape: Shape of the images.
        width: Channels of the first layer; each later layer has twice as many, up to eight times.
        strides: Maximum number of layers with a stride of 2; 3 gives the paper's 70×70 patches. Images smaller than a
            patch have fewer: 34×34 patches below 70 pixels, 16×16 below 34, 7×7 below 16.
        norm: "batch" (as in the paper), "instance", "spectral" or "none". The first layer has no batch or instance
            norm.
    """

    def __init__(self, shape: ImageShape, width: int = 64, strides: int = 3, norm: Norm = "batch") -> None:
        super().__init__()
        strided = max(
            itertools.takewhile(lambda n: patch_side(n) <= min(shape.height, shape.width), range(strides + 1)),
            default=0,
        )
        self.patch, self.norm = patch_side(strided), norm
        channels = [shape.channels, *(width * min(2**i, 8) for i in range(strided + 1))]
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(itertools.pairwise(channels)):
            normed = i > 0 and norm in ("batch", "instance")  # a bias before a norm does nothing
            layers.append(nn.Conv2d(before, after, 4, 2 if i < strided else 1, 1, bias=not normed))
            if normed:
                layers.append(nn.BatchNorm2d(after) if norm == "batch" else nn.InstanceNorm2d(after))
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers).apply(initialize)
        if norm == "spectral":
            for i, layer in enumerate(self.layers):
                if isinstance(layer, nn.Conv2d):
                    self.layers[i] = spectral_norm(layer)
        self.num_features = channels[-1] * 16

    def last_layer(self, outputs: int) -> nn.Module:
        """Return the last 4×4 convolution as a linear layer; spectrally normalised if the other layers are."""
        layer = nn.Linear(self.num_features, outputs)
        initialize(layer)
        return spectral_norm(layer) if self.norm == "spectral" else layer

    def maps(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` to the padded input `[B, channels, h, w]` of the last convolution."""
        return F.pad(self.layers(x), (1, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        maps = self.maps(x)
        patches = maps.shape[2] - 3, maps.shape[3] - 3
        return F.avg_pool2d(maps, patches, stride=1).flatten(1)

"""DCGAN's discriminator. Radford, Metz and Chintala 2016, arXiv:1511.06434, §3."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo import ImageShape
from ganzoo_zoo.generators.dcgan import initialize
from ganzoo_zoo.layers import base_grid
from ganzoo_zoo.minibatch import MinibatchDiscrimination

Norm = Literal["batch", "group", "spectral", "none"]


class Discriminator(nn.Module):
    """DCGAN's discriminator: 4×4 strided convolutions, each of which halves the side, with a choice of norm.

    The first convolution has no batch or group norm. The features are the flattened 4×4 maps. With width 64 and batch
    norm, at 64×64 RGB, trunk and last layer are the reference network, with 2,765,568 parameters; the reference's last
    convolution, 4×4 without bias, is a linear layer here.

    Args:
        shape: Shape of the images.
        width: Channels of the first layer; each later layer has twice as many as the one before.
        norm: "batch" (as in the paper), "group" (8 channels per group), "spectral" or "none".
        dropout: Probability of dropping a channel after each layer.
        minibatch: Number of minibatch discrimination features to append, against mode collapse; Salimans et al. 2016,
            §3.2.
    """

    def __init__(
        self, shape: ImageShape, width: int = 64, norm: Norm = "batch", dropout: float = 0.0, minibatch: int = 0
    ) -> None:
        super().__init__()
        rows, columns, halvings = base_grid(shape)
        channels = [shape.channels, *(width * 2**i for i in range(halvings))]
        wrap: Callable[[nn.Module], nn.Module] = spectral_norm if norm == "spectral" else lambda layer: layer
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(itertools.pairwise(channels)):
            bias = norm in ("spectral", "none")
            layers.append(nn.Conv2d(before, after, 4, 2, 1, bias=bias))
            if i and norm == "batch":
                layers.append(nn.BatchNorm2d(after))
            if i and norm == "group":
                layers.append(nn.GroupNorm(max(after // 8, 1), after))
            layers.append(nn.LeakyReLU(0.2))
            if dropout:
                layers.append(nn.Dropout2d(dropout))
        self.layers = nn.Sequential(*layers).apply(initialize)
        for i, layer in enumerate(self.layers):
            if isinstance(layer, nn.Conv2d):
                self.layers[i] = wrap(layer)
        flat = channels[-1] * rows * columns
        self.num_features, self.norm = flat + minibatch, norm
        self.minibatch = MinibatchDiscrimination(flat, minibatch) if minibatch else None

    def last_layer(self, outputs: int) -> nn.Module:
        """Return a linear layer without bias, as in the reference; spectrally normalised if the other layers are."""
        layer = nn.Linear(self.num_features, outputs, bias=False)
        nn.init.normal_(layer.weight, 0.0, 0.02)
        return spectral_norm(layer) if self.norm == "spectral" else layer

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        features: Tensor = self.layers(x).flatten(1)
        return features if self.minibatch is None else self.minibatch(features)

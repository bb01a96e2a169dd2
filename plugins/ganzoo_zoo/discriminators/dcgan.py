"""DCGAN discriminator. Radford, Metz and Chintala 2016, arXiv:1511.06434, §3."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo import ImageShape
from ganzoo_zoo.generators.dcgan import initialize
from ganzoo_zoo.minibatch import MinibatchDiscrimination

Norm = Literal["batch", "group", "spectral", "none"]


class Discriminator(nn.Module):
    """Image → … → 4×4, halving the side at each 4×4 convolution; the first has no norm. Features are the flat 4×4 maps.

    At 64×64 RGB with width 64 and batch norm, trunk and last layer are the reference network, with 2,765,568 parameters
    (the reference's last convolution, 4×4 without bias, is a linear layer of the flat maps).

    Args:
        width: channels of the first layer; each later layer has twice as many.
        norm: batch (as in the paper), group (8 channels a group), spectral, or none.
        dropout: probability of dropping a channel after each layer.
        minibatch: features of minibatch discrimination beside the others, against collapse; Salimans et al. 2016, §3.2.
    """

    def __init__(
        self, shape: ImageShape, width: int = 64, norm: Norm = "batch", dropout: float = 0.0, minibatch: int = 0
    ) -> None:
        super().__init__()
        halvings = shape.size.bit_length() - 3  # down to 4×4
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
        self.num_features, self.norm = channels[-1] * 16 + minibatch, norm
        self.minibatch = MinibatchDiscrimination(channels[-1] * 16, minibatch) if minibatch else None

    def last_layer(self, outputs: int) -> nn.Module:
        """Return a linear layer without bias, as the reference has; spectrally normalised where the others are."""
        layer = nn.Linear(self.num_features, outputs, bias=False)
        nn.init.normal_(layer.weight, 0.0, 0.02)
        return spectral_norm(layer) if self.norm == "spectral" else layer

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        features: Tensor = self.layers(x).flatten(1)
        return features if self.minibatch is None else self.minibatch(features)

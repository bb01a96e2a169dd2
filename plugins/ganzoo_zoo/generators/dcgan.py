"""DCGAN's generator. Radford, Metz and Chintala 2016, arXiv:1511.06434, §3 and figure 1."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_zoo.layers import base_grid, class_vectors


class Generator(nn.Module):
    """DCGAN's generator: 4×4 transposed convolutions with batch norm, each of which doubles the side.

    With width 64 and z_dim 100 it is the reference network at 64×64, with 3,576,704 parameters.

    Args:
        shape: Shape of the images.
        width: Channels of the last hidden layer; each earlier layer has twice as many as the next.
        z_dim: Length of the latent, N(0, 1).
        conditional: Condition on classes; the one-hot label is appended to the latent.
    """

    def __init__(self, shape: ImageShape, width: int = 64, z_dim: int = 100, conditional: bool = False) -> None:
        super().__init__()
        self.z_dim, self.conditional, self.classes = z_dim, conditional, shape.classes
        rows, columns, doublings = base_grid(shape)
        channels = [width * 2**i for i in reversed(range(doublings))]
        layers: list[nn.Module] = [
            # The paper's first transposed convolution has a 1×1 input: a linear layer is the same, ten times faster.
            nn.Linear(z_dim + shape.classes * conditional, channels[0] * rows * columns, bias=False),
            nn.Unflatten(1, (channels[0], rows, columns)),
            nn.BatchNorm2d(channels[0]),
            nn.ReLU(),
        ]
        for before, after in itertools.pairwise(channels):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.ConvTranspose2d(channels[-1], shape.channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(initialize)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Generate images.

        Args:
            z: Latents `[B, z_dim]`.
            y: Classes, `[B]` int64 or `[B, K]` probabilities, of a conditional generator.

        Returns:
            Images `[B, C, H, W]` in [-1, 1].
        """
        if self.conditional and y is not None:
            z = torch.cat([z, class_vectors(y, self.classes)], dim=1)
        x: Tensor = self.layers(z)
        return x


def initialize(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02²) and the scales of batch norm from N(1, 0.02²), as in §3."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)

"""The fully connected generator of Improved GAN. Salimans et al. 2016, arXiv:1606.03498, §5.1."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from ganzoo import ImageShape
from ganzoo_zoo.layers import class_vectors


class Generator(nn.Module):
    """Improved GAN's fully connected generator: two hidden layers with softplus and batch norm, for any image size.

    The last layer has weight norm and tanh.

    Args:
        shape: Shape of the images.
        hidden: Units of each of the two hidden layers.
        z_dim: Length of the latent, U(0, 1).
        conditional: Condition on classes; the one-hot label is appended to the latent.
    """

    def __init__(self, shape: ImageShape, hidden: int = 500, z_dim: int = 100, conditional: bool = False) -> None:
        super().__init__()
        self.z_dim, self.conditional, self.shape = z_dim, conditional, shape
        pixels = shape.pixels
        self.layers = nn.Sequential(
            nn.Linear(z_dim + shape.classes * conditional, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.Softplus(),
            nn.Linear(hidden, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.Softplus(),
            weight_norm(nn.Linear(hidden, pixels)),
        )

    def latent(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        """Draw latents `[n, z_dim]` from U(0, 1).

        Args:
            n: Number of latents.
            rng: Random number generator; default: torch's global one.
        """
        return torch.rand(n, self.z_dim, generator=rng)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Generate images.

        Args:
            z: Latents `[B, z_dim]`.
            y: Classes, `[B]` int64 or `[B, K]` probabilities, of a conditional generator.

        Returns:
            Images `[B, C, H, W]` in [-1, 1].
        """
        if self.conditional and y is not None:
            z = torch.cat([z, class_vectors(y, self.shape.classes)], dim=1)
        x: Tensor = self.layers(z).tanh()
        return x.reshape(len(z), *self.shape.dimensions)

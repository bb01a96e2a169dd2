"""The convolutional generator of Improved GAN. Salimans et al. 2016, arXiv:1606.03498, §5.2."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from ganzoo import ImageShape
from ganzoo_zoo.layers import class_vectors


class Generator(nn.Module):
    """Improved GAN's convolutional generator: three 5×5 transposed convolutions with batch norm, ReLU and tanh.

    A linear layer maps z to maps of an eighth of the image's side. The layers have 4w, 2w and w channels and those of
    the image; the last layer has weight norm. Weights are drawn from N(0, 0.05²).

    Args:
        shape: Shape of the images; both sides are multiples of 8.
        width: Channels w of the last hidden layer; 128 in the paper.
        z_dim: Length of the latent, U(0, 1).
        conditional: Condition on classes; the one-hot label is appended to the latent.
    """

    def __init__(self, shape: ImageShape, width: int = 128, z_dim: int = 100, conditional: bool = False) -> None:
        super().__init__()
        self.z_dim, self.conditional, self.classes = z_dim, conditional, shape.classes
        rows, columns, channels = shape.height // 8, shape.width // 8, 4 * width
        self.layers = nn.Sequential(
            nn.Linear(z_dim + shape.classes * conditional, channels * rows * columns, bias=False),
            nn.BatchNorm1d(channels * rows * columns),
            nn.ReLU(),
            nn.Unflatten(1, (channels, rows, columns)),
            nn.ConvTranspose2d(channels, 2 * width, 5, 2, 2, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 5, 2, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, shape.channels, 5, 2, 2, 1),
            nn.Tanh(),
        )
        for module in self.layers:
            if isinstance(module, nn.Linear | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0.0, 0.05)
        self.layers[-2] = weight_norm(self.layers[-2], dim=1)

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
            z = torch.cat([z, class_vectors(y, self.classes)], dim=1)
        x: Tensor = self.layers(z)
        return x

"""The convolutional generator of Improved GAN. Salimans et al. 2016, arXiv:1606.03498, §5.2."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from ganzoo import ImageShape
from ganzoo_zoo.layers import class_vectors


class Generator(nn.Module):
    """z → maps of an eighth of the side → … → image, by three 5×5 transposed convolutions; batch norm, ReLU, tanh.

    Channels 4w, 2w, w and the image's; the last layer has weight norm. Weights ~ N(0, 0.05).

    Args:
        width: channels w before the last layer; 128 in the paper.
        z_dim: length of the latent, U(0, 1).
        conditional: generate the class asked for; the one-hot label is appended to the latent.
    """

    def __init__(self, shape: ImageShape, width: int = 128, z_dim: int = 100, conditional: bool = False) -> None:
        super().__init__()
        self.z_dim, self.conditional, self.classes = z_dim, conditional, shape.classes
        side, channels = shape.size // 8, 4 * width
        self.layers = nn.Sequential(
            nn.Linear(z_dim + shape.classes * conditional, channels * side**2, bias=False),
            nn.BatchNorm1d(channels * side**2),
            nn.ReLU(),
            nn.Unflatten(1, (channels, side, side)),
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
        """Draw n latents `[n, z_dim]` from U(0, 1)."""
        return torch.rand(n, self.z_dim, generator=rng)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map z `[B, z_dim]` (and y, `[B]` or `[B, K]`, when conditional) to images in [-1, 1]."""
        if self.conditional and y is not None:
            z = torch.cat([z, class_vectors(y, self.classes)], dim=1)
        x: Tensor = self.layers(z)
        return x

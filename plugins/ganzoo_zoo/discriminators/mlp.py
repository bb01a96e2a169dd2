"""The fully connected discriminator of Improved GAN. Salimans et al. 2016, arXiv:1606.03498, §5.1."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from ganzoo import ImageShape


class GaussianNoise(nn.Module):
    """Adds noise of one standard deviation in training, and nothing in evaluation."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        """Map x to x + deviation · N(0, 1), of the same shape."""
        return x + self.deviation * torch.randn_like(x) if self.training else x

    def extra_repr(self) -> str:
        """Return the deviation, for `print`."""
        return str(self.deviation)


class Discriminator(nn.Module):
    """Image → 1000 → 500 → 250 → 250 → 250, ReLU, weight norm, Gaussian noise before each layer. Any image size.

    Features are the last ReLU's. Pixels are taken to [0, 1] first, as in the paper.

    Args:
        hidden: units of each layer.
        input_noise: standard deviation of the noise on the pixels.
        noise: standard deviation of the noise before each later layer.
    """

    def __init__(
        self,
        shape: ImageShape,
        hidden: tuple[int, ...] = (1000, 500, 250, 250, 250),
        input_noise: float = 0.3,
        noise: float = 0.5,
    ) -> None:
        super().__init__()
        sizes = [shape.channels * shape.size**2, *hidden]
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(itertools.pairwise(sizes)):
            linear = nn.Linear(before, after)
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
            layers += [GaussianNoise(noise if i else input_noise), weight_norm(linear), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.num_features = sizes[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        features: Tensor = self.layers((x.flatten(1) + 1) / 2)
        return features

"""The fully connected discriminator of Improved GAN. Salimans et al. 2016, arXiv:1606.03498, §5.1."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_zoo.layers import Noise, WeightNorm


class Discriminator(nn.Module):
    """Image → 1000 → 500 → 250 → 250 → 250, ReLU, weight norm, Gaussian noise before each layer. Any image size.

    Features are the last ReLU's, before the noise of the last layer. Pixels are taken to [0, 1] first, as in the paper.
    Scales of the weight norm are set by the first batch and then fixed, but for the last layer's.

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
        for i, (before, after) in enumerate(pairwise(sizes)):
            layers += [Noise(noise if i else input_noise), WeightNorm(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.num_features, self.noise = sizes[-1], noise

    def last_layer(self, outputs: int) -> nn.Module:
        """Return the layer that ends the paper's network: noisy, weight-normalised, with a learnt scale."""
        return nn.Sequential(Noise(self.noise), WeightNorm(self.num_features, outputs, deviation=0.1, learn_scale=True))

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        features: Tensor = self.layers((x.flatten(1) + 1) / 2)
        return features

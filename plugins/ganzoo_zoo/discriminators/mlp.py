"""The fully connected discriminator of Improved GAN. Salimans et al. 2016, arXiv:1606.03498, §5.1."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_zoo.layers import Noise, WeightNormLinear


class Discriminator(nn.Module):
    """Improved GAN's fully connected discriminator: weight norm, ReLU, and Gaussian noise before each layer.

    The features are the output of the last ReLU, before the noise of the last layer. Pixels are first mapped to [0, 1],
    as in the paper. The scales of weight norm are set by the first batch and then fixed, except for the last layer's.
    Works for any image size.

    Args:
        shape: Shape of the images.
        hidden: Units of each hidden layer.
        input_noise: Standard deviation of the noise added to the pixels.
        noise: Standard deviation of the noise added before each later layer.
    """

    def __init__(
        self,
        shape: ImageShape,
        hidden: tuple[int, ...] = (1000, 500, 250, 250, 250),
        input_noise: float = 0.3,
        noise: float = 0.5,
    ) -> None:
        super().__init__()
        sizes = [shape.pixels, *hidden]
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(sizes)):
            layers += [Noise(noise if i else input_noise), WeightNormLinear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.num_features, self.noise = sizes[-1], noise

    def last_layer(self, outputs: int) -> nn.Module:
        """Return the paper's last layer: noise, then a weight-normalised layer with trained scales."""
        layer = WeightNormLinear(self.num_features, outputs, deviation=0.1, learn_scale=True)
        return nn.Sequential(Noise(self.noise), layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        features: Tensor = self.layers((x.flatten(1) + 1) / 2)
        return features

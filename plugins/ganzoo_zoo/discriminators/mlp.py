"""The fully connected discriminator of Improved GAN. Salimans et al. 2016, arXiv:1606.03498, §5.1."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape


class NoisyLinear(nn.Module):
    """Gaussian noise, then a weight-normalised linear layer that is scaled by the first batch it sees in training.

    y = g v·x/‖v‖ + b, with v ~ N(0, 0.1). The first batch sets g and b so that y has mean 0 and a given deviation over
    it; Salimans and Kingma 2016, arXiv:1602.07868, eqs. 2, 5 and 6. The scale g is learnt only where asked.

    noise: standard deviation of the noise on the input, in training. deviation: of y over the first batch.
    """

    def __init__(
        self, inputs: int, outputs: int, noise: float, deviation: float = 1.0, learn_scale: bool = False
    ) -> None:
        super().__init__()
        self.noise, self.deviation, self.initialised = noise, deviation, False
        self.v = nn.Parameter(torch.randn(outputs, inputs) * 0.1)
        self.g = nn.Parameter(torch.ones(outputs), requires_grad=learn_scale)
        self.b = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, inputs]` to `[B, outputs]`."""
        if self.training:
            x = x + self.noise * torch.randn_like(x)
            if not self.initialised:
                self.initialise(x)
        return F.linear(x, self.v * (self.g / self.v.norm(dim=1))[:, None], self.b)

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Set g and b from one batch `[B, inputs]`."""
        t = F.linear(x, self.v / self.v.norm(dim=1, keepdim=True))
        self.g.copy_(self.deviation / t.var(dim=0, correction=0).add(1e-8).sqrt())
        self.b.copy_(-t.mean(dim=0) * self.g)
        self.initialised = True


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
            layers += [NoisyLinear(before, after, noise if i else input_noise), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.num_features, self.noise = sizes[-1], noise

    def last_layer(self, outputs: int) -> nn.Module:
        """Return the layer that ends the paper's network: noisy, weight-normalised, with a learnt scale."""
        return NoisyLinear(self.num_features, outputs, self.noise, deviation=0.1, learn_scale=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        features: Tensor = self.layers((x.flatten(1) + 1) / 2)
        return features

"""Penalties on the adversarial logits themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ganzoo.data.views import chance, shift
from ganzoo.strategy.step import Step


class LeCam(nn.Module):
    """LeCam regularisation: keeps logits near their averages. Tseng et al. 2021, arXiv:2104.03310, eqs. 3 and 4.

    λ · (E(D(x) - α_F)² + E(D(G(z)) - α_R)²), where α_F and α_R are moving averages of the logits of generated and of
    real images. It counteracts overfitting to few images.

    Args:
        weight: Weight λ; 0.3 in the paper on CIFAR, with the hinge loss.
        decay: Decay of the moving averages, in [0, 1).
    """

    every: ClassVar[int] = 1
    player: ClassVar[str] = "discriminator"
    per_sample: ClassVar[bool] = False
    anchors: Tensor
    steps: Tensor

    def __init__(self, weight: float = 0.3, decay: float = 0.99) -> None:
        super().__init__()
        self.weight, self.decay = weight, decay
        self.register_buffer("anchors", torch.zeros(2))  # α_R, α_F
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, s: Step) -> Tensor:
        """Update the moving averages and return the penalty."""
        real, fake = (out.adv for out in s.discriminate("real", "fake"))
        with torch.no_grad():
            self.steps += 1
            means = torch.stack([real.mean(), fake.mean()])
            self.anchors.lerp_(means, (1 - self.decay) / (1 - self.decay**self.steps))
        return self.weight * lecam(real, fake, self.anchors)


def lecam(real: Tensor, fake: Tensor, anchors: Tensor) -> Tensor:
    """Return E(D(x) - α_F)² + E(D(G(z)) - α_R)².

    Args:
        real: Logits `[N]` of real images.
        fake: Logits `[M]` of generated images.
        anchors: Moving averages (α_R, α_F) `[2]`.
    """
    return (real - anchors[1]).square().mean() + (fake - anchors[0]).square().mean()


@dataclass
class BalancedConsistency:
    """Balanced consistency regularisation (bCR): logits do not change if the image is mirrored and shifted.

    λ_real · E(D(x) - D(T(x)))² + λ_fake · E(D(G(z)) - D(T(G(z))))²; Zhao et al. 2021, arXiv:2002.04724, §3.1. With
    fake_weight=0 it is CR, Zhang et al. 2020, arXiv:1910.12027.

    Args:
        real_weight: Weight λ_real.
        fake_weight: Weight λ_fake.
        flip: Mirror each image with probability ½. Unsuitable for digits and text.
        pixels: Maximum shift in pixels.
        every: Steps between two evaluations; the value is then multiplied by that number.
    """

    real_weight: float = 10.0
    fake_weight: float = 10.0
    flip: bool = True
    pixels: int = 4
    every: int = 1
    player: ClassVar[str] = "discriminator"
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty for this step's real and generated images."""
        total = torch.zeros((), device=s.device)
        for name, weight in (("real", self.real_weight), ("fake", self.fake_weight)):
            if weight:
                (out,) = s.discriminate(name)
                (transformed,) = s.discriminate_images(self.transform(s.images(name)), classes=[s.classes(name)])
                total = total + weight * (out.adv - transformed.adv).square().mean()
        return total

    def transform(self, x: Tensor) -> Tensor:
        """Return T(x) of images `[B, C, H, W]`."""
        x = torch.where(chance(x), x.flip(3), x) if self.flip else x
        return shift(x, self.pixels) if self.pixels else x

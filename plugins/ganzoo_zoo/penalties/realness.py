"""Penalties of what the discriminator says of images, rather than of its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ganzoo.data.views import chance, shift
from ganzoo.step import Step


class LeCam(nn.Module):
    """λ · (E(D(x) - α_F)² + E(D(G(z)) - α_R)²), α the moving averages of what it says of fake and real images.

    Against a discriminator that overfits few images. Tseng et al. 2021, arXiv:2104.03310, eqs. 3 and 4.

    Args:
        weight: λ; 0.3 in the paper on CIFAR, with the hinge loss.
        decay: of the moving averages.
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
        """Return the penalty, having moved the averages."""
        real, fake = (out.adv for out in s.see("real", "fake"))
        with torch.no_grad():
            self.steps += 1
            newest = torch.stack([real.mean(), fake.mean()])
            self.anchors.lerp_(newest, (1 - self.decay) / (1 - self.decay**self.steps))
        return self.weight * lecam(real, fake, self.anchors)


def lecam(real: Tensor, fake: Tensor, anchors: Tensor) -> Tensor:
    """Return E(D(x) - α_F)² + E(D(G(z)) - α_R)² for realness `[N]`, `[M]` and (α_R, α_F)."""
    return (real - anchors[1]).square().mean() + (fake - anchors[0]).square().mean()


@dataclass
class BalancedConsistency:
    """λ_real · E(D(x) - D(T(x)))² + λ_fake · E(D(G(z)) - D(T(G(z))))², T a mirror image and a shift.

    Zhao et al. 2021 (bCR), arXiv:2002.04724, §3.1; with fake_weight=0 it is CR, Zhang et al. 2020, arXiv:1910.12027.

    Args:
        real_weight: λ_real.
        fake_weight: λ_fake.
        flip: mirror each image with probability ½; not for digits and text.
        pixels: shift by up to so many pixels.
        every: steps between two such terms; each is then so many times as strong.
    """

    real_weight: float = 10.0
    fake_weight: float = 10.0
    flip: bool = True
    pixels: int = 4
    every: int = 1
    player: ClassVar[str] = "discriminator"
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the term for this step's real and generated images."""
        total = torch.zeros((), device=s.device)
        for name, weight in (("real", self.real_weight), ("fake", self.fake_weight)):
            if weight:
                (said,) = s.see(name)
                (again,) = s.judge(self.changed(s.images(name)), classes=[s.classes(name)])
                total = total + weight * (said.adv - again.adv).square().mean()
        return total

    def changed(self, x: Tensor) -> Tensor:
        """Return T(x)."""
        x = torch.where(chance(x), x.flip(3), x) if self.flip else x
        return shift(x, self.pixels) if self.pixels else x

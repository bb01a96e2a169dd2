"""The penalties of R3GAN. Huang et al. 2024, arXiv:2501.05441, §2."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ganzoo_zoo.penalties.gradient import realness, squared_gradient
from torch import Tensor

from ganzoo.step import Step


@dataclass
class ZeroCentred:
    """γ/2 · (E‖∇D(x)‖² + E‖∇D(G(z))‖²), R1 and R2 together; γ falls along half a cosine.

    Where the discriminator judges an image as one of a class, D is the realness of the class that it has, or was made
    for.

    Args:
        gamma: γ at the beginning.
        final_gamma: γ at the end.
        until: part of the run after which γ rests.
        every: steps between two penalties; each is then so many times as strong.
    """

    gamma: float = 0.05
    final_gamma: float = 0.005
    until: float = 1.0
    every: int = 1
    player: ClassVar[str] = "discriminator"
    per_sample: ClassVar[bool] = True

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty at this step's real and generated images."""
        r1, r2 = (squared_gradient(realness(s, name), s.images(name)).mean() for name in ("real", "fake"))
        return cosine(self.gamma, self.final_gamma, min(s.progress / self.until, 1.0)) / 2 * (r1 + r2)


def cosine(start: float, end: float, progress: float) -> float:
    """Return what lies between `start` and `end` on half a cosine, at `progress` in [0, 1]."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2

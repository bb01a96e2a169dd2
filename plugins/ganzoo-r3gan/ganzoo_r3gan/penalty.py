"""The gradient penalties of R3GAN. Huang et al. 2024, arXiv:2501.05441, §2."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ganzoo_zoo.penalties.gradient import logit_function, squared_gradient
from torch import Tensor

from ganzoo.strategy.step import Step


@dataclass
class ZeroCentred:
    """R1 and R2 together: γ/2 · (E‖∇D(x)‖² + E‖∇D(G(z))‖²), where γ decays along half a cosine.

    If the discriminator is class-conditional, D is conditioned on the class of each image.

    Args:
        gamma: Initial value of γ.
        final_gamma: Final value of γ.
        until: Fraction of the run after which γ is constant, in (0, 1].
        every: Steps between two evaluations; the value is then multiplied by that number.
    """

    gamma: float = 0.05
    final_gamma: float = 0.005
    until: float = 1.0
    every: int = 1
    player: ClassVar[str] = "discriminator"
    per_sample: ClassVar[bool] = True

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty at this step's real and generated images."""
        r1, r2 = (squared_gradient(logit_function(s, name), s.images(name)).mean() for name in ("real", "fake"))
        return cosine(self.gamma, self.final_gamma, min(s.progress / self.until, 1.0)) / 2 * (r1 + r2)


def cosine(start: float, end: float, progress: float) -> float:
    """Interpolate between two values along half a cosine.

    Args:
        start: Value at progress 0.
        end: Value at progress 1.
        progress: Position in [0, 1].
    """
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2

"""Instance noise. Sønderby et al. 2017, arXiv:1610.04490, §4; Arjovsky and Bottou 2017, arXiv:1701.04862, §3."""

from __future__ import annotations

import torch
from torch import Tensor

from ganzoo.step import Step


class InstanceNoise:
    """Adds Gaussian noise to all that the discriminator sees, falling linearly to none.

    Args:
        deviation: standard deviation at the start; pixels are in [-1, 1].
        until: part of the run at which it is gone.
    """

    def __init__(self, deviation: float = 0.1, until: float = 1.0) -> None:
        if not 0 < until <= 1:
            raise ValueError(f"the noise cannot be gone at {until} of the run; until is in (0, 1]")
        self.deviation, self.until = deviation, until

    def __call__(self, x: Tensor, name: str, s: Step) -> Tensor:
        """Map images `[B, C, H, W]` to noisy ones."""
        left = max(0.0, 1 - s.progress / self.until)
        return torch.add(x, torch.randn_like(x), alpha=self.deviation * left) if left else x

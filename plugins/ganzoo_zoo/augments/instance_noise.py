"""Instance noise. Sønderby et al. 2017, arXiv:1610.04490, §4; Arjovsky and Bottou 2017, arXiv:1701.04862, §3."""

from __future__ import annotations

import torch
from torch import Tensor

from ganzoo.strategy.step import Step


class InstanceNoise:
    """Instance noise: Gaussian noise on all images that the discriminator sees, which decays linearly to 0.

    Args:
        deviation: Initial standard deviation; pixels are in [-1, 1].
        until: Fraction of the run after which there is no noise, in (0, 1].

    Raises:
        ValueError: `until` is not in (0, 1].
    """

    def __init__(self, deviation: float = 0.1, until: float = 1.0) -> None:
        if not 0 < until <= 1:
            raise ValueError(f"until is a fraction of the run in (0, 1], not {until}")
        self.deviation, self.until = deviation, until

    def __call__(self, x: Tensor, name: str, s: Step) -> Tensor:
        """Add noise to images.

        Args:
            x: Images `[B, C, H, W]` in [-1, 1].
            name: Name of the images in the step.
            s: The step.

        Returns:
            Images of the same shape.
        """
        factor = max(0.0, 1 - s.progress / self.until)
        return torch.add(x, torch.randn_like(x), alpha=self.deviation * factor) if factor else x

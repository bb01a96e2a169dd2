"""Penalties of the discriminator's gradient with respect to its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo.contracts import DiscOutput


@dataclass
class R1:
    """γ/2 · E‖∇D(x)‖² at real images. Mescheder et al. 2018, eq. 9; lazily as in Karras et al. 2020, §3.1.

    Args:
        gamma: strength.
        every: steps between two penalties; each is then so many times as strong.
    """

    gamma: float = 1.0
    every: int = 16
    per_sample: ClassVar[bool] = True

    def __call__(self, critic: Callable[[Tensor], DiscOutput], real: Tensor, fake: Tensor) -> Tensor:
        """Map the critic and real images `[B, C, H, W]` to the penalty."""
        return self.gamma / 2 * squared_gradient(critic, real).mean()


@dataclass
class GradientPenalty:
    """λ · E(‖∇D(x̂)‖ - 1)² at points x̂ between real and fake images. Gulrajani et al. 2017, eq. 3.

    Args:
        weight: λ.
        every: steps between two penalties; each is then so many times as strong.
    """

    weight: float = 10.0
    every: int = 1
    per_sample: ClassVar[bool] = True

    def __call__(self, critic: Callable[[Tensor], DiscOutput], real: Tensor, fake: Tensor) -> Tensor:
        """Map the critic and two batches of images `[B, C, H, W]` to the penalty."""
        where = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
        norm = squared_gradient(critic, torch.lerp(real, fake, where)).add(1e-12).sqrt()
        return self.weight * (norm - 1).square().mean()


def squared_gradient(critic: Callable[[Tensor], DiscOutput], x: Tensor) -> Tensor:
    """Return ‖∇ₓ D(x)‖² `[B]`, itself differentiable."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).adv.sum(), x, create_graph=True)
    return gradient.square().sum((1, 2, 3))

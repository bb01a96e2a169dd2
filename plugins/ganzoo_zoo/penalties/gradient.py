"""Penalties of the discriminator's gradient with respect to its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo.contracts import DiscOutput
from ganzoo.step import Step


@dataclass
class R1:
    """γ/2 · E‖∇D(x)‖² at real images. Mescheder et al. 2018, eq. 9; lazily as in Karras et al. 2020, §3.1.

    Args:
        gamma: strength.
        every: steps between two penalties; each is then so many times as strong.
    """

    gamma: float = 1.0
    every: int = 16
    player: ClassVar[str] = "discriminator"
    per_sample: ClassVar[bool] = True

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty at this step's real images."""
        return self.gamma / 2 * squared_gradient(s.critic, s.images("real")).mean()


@dataclass
class GradientPenalty:
    """λ · E(‖∇D(x̂)‖ - 1)² at points x̂ between real and fake images. Gulrajani et al. 2017, eq. 3.

    Args:
        weight: λ.
        every: steps between two penalties; each is then so many times as strong.
    """

    weight: float = 10.0
    every: int = 1
    player: ClassVar[str] = "discriminator"
    per_sample: ClassVar[bool] = True

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty between this step's real and generated images."""
        return self.weight * one_lipschitz(s.critic, s.images("real"), s.images("fake"))


def one_lipschitz(critic: Callable[[Tensor], DiscOutput], real: Tensor, fake: Tensor) -> Tensor:
    """Return E(‖∇D(x̂)‖ - 1)², x̂ drawn evenly between pairs of images `[B, C, H, W]`."""
    where = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
    norm = squared_gradient(critic, torch.lerp(real.detach(), fake.detach(), where)).add(1e-12).sqrt()
    return (norm - 1).square().mean()


def squared_gradient(critic: Callable[[Tensor], DiscOutput], x: Tensor) -> Tensor:
    """Return ‖∇ₓ D(x)‖² `[B]`, itself differentiable."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).adv.sum(), x, create_graph=True)
    return gradient.square().sum((1, 2, 3))

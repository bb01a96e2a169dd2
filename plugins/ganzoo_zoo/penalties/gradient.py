"""Penalties of the discriminator's gradient with respect to its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo.step import Step


@dataclass
class ZeroCentred:
    """γ/2 · E‖∇D(x)‖², taken lazily as in Karras et al. 2020, §3.1."""

    gamma: float = 1.0
    every: int = 16
    player: ClassVar[str] = "discriminator"
    per_sample: ClassVar[bool] = True
    at: ClassVar[str]

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty at this step's images of that name."""
        return self.gamma / 2 * squared_gradient(realness(s, self.at), s.images(self.at)).mean()


@dataclass
class R1(ZeroCentred):
    """γ/2 · E‖∇D(x)‖² at real images. Mescheder et al. 2018, eq. 9; lazily as in Karras et al. 2020, §3.1.

    Args:
        gamma: strength.
        every: steps between two penalties; each is then so many times as strong.
    """

    at: ClassVar[str] = "real"


@dataclass
class R2(ZeroCentred):
    """γ/2 · E‖∇D(G(z))‖² at generated images. Mescheder et al. 2018, eq. 10; lazily as in Karras et al. 2020, §3.1.

    Args:
        gamma: strength.
        every: steps between two penalties; each is then so many times as strong.
    """

    at: ClassVar[str] = "fake"


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
        return self.weight * one_lipschitz(realness(s, "real"), s.images("real"), s.images("fake"))


@dataclass
class Dragan:
    """λ · E(‖∇D(x + δ)‖ - 1)² at points near real images. Kodali et al. 2017, arXiv:1705.07215, §2.4 and algorithm 1.

    δ is uniform noise as wide as half the pixels' standard deviation over the batch, scaled for each image by U(0, 1),
    as the authors' code has it; the paper's is Gaussian.

    Args:
        weight: λ.
        width: of the noise, in standard deviations of the pixels.
        every: steps between two penalties; each is then so many times as strong.
    """

    weight: float = 10.0
    width: float = 0.5
    every: int = 1
    player: ClassVar[str] = "discriminator"
    per_sample: ClassVar[bool] = True

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty around this step's real images."""
        real = s.images("real")
        return self.weight * one_lipschitz(realness(s, "real"), real, around(real, self.width))


def around(x: Tensor, width: float) -> Tensor:
    """Return images `[B, C, H, W]` with uniform noise of up to `width` standard deviations of all their pixels."""
    return x + width * x.detach().std() * torch.rand_like(x)


def realness(s: Step, name: str) -> Callable[[Tensor], Tensor]:
    """Return what gives images `[B, C, H, W]` their realness `[B]`, of the classes that images of this name have."""
    return lambda x: s.judge(x, classes=[s.classes(name)])[0].adv


def one_lipschitz(adv: Callable[[Tensor], Tensor], first: Tensor, second: Tensor) -> Tensor:
    """Return E(‖∇D(x̂)‖ - 1)², x̂ drawn evenly between pairs of images `[B, C, H, W]`."""
    where = torch.rand(len(first), 1, 1, 1, device=first.device, dtype=first.dtype)
    norm = squared_gradient(adv, torch.lerp(first.detach(), second.detach(), where)).add(1e-12).sqrt()
    return (norm - 1).square().mean()


def squared_gradient(adv: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return ‖∇ₓ D(x)‖² `[B]`, itself differentiable."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(adv(x).sum(), x, create_graph=True)
    return gradient.square().sum((1, 2, 3))

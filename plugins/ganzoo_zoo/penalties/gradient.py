"""Penalties on the gradient of the discriminator with respect to its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo.strategy.step import Step


@dataclass
class ZeroCentred:
    """Base of R1 and R2: γ/2 · E‖∇D(x)‖².

    Args:
        gamma: Weight γ.
        every: Steps between two evaluations; the value is then multiplied by that number.
    """

    gamma: float = 1.0
    every: int = 16
    player: ClassVar[str] = "discriminator"
    per_sample: ClassVar[bool] = True
    at: ClassVar[str]

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty at this step's real or generated images."""
        return self.gamma / 2 * squared_gradient(logit_function(s, self.at), s.images(self.at)).mean()


@dataclass
class R1(ZeroCentred):
    """R1 penalty: γ/2 · E‖∇D(x)‖² at real images. Mescheder et al. 2018, arXiv:1801.04406, eq. 9.

    Evaluated lazily as in Karras et al. 2020, arXiv:1912.04958, §3.1.

    Args:
        gamma: Weight γ.
        every: Steps between two evaluations; the value is then multiplied by that number.
    """

    at: ClassVar[str] = "real"


@dataclass
class R2(ZeroCentred):
    """R2 penalty: γ/2 · E‖∇D(G(z))‖² at generated images. Mescheder et al. 2018, arXiv:1801.04406, eq. 10.

    Evaluated lazily as in Karras et al. 2020, arXiv:1912.04958, §3.1.

    Args:
        gamma: Weight γ.
        every: Steps between two evaluations; the value is then multiplied by that number.
    """

    at: ClassVar[str] = "fake"


@dataclass
class GradientPenalty:
    """WGAN-GP's gradient penalty: λ · E(‖∇D(x̂)‖ - 1)² at points x̂ between real and generated images.

    Gulrajani et al. 2017, arXiv:1704.00028, eq. 3.

    Args:
        weight: Weight λ.
        every: Steps between two evaluations; the value is then multiplied by that number.
    """

    weight: float = 10.0
    every: int = 1
    player: ClassVar[str] = "discriminator"
    per_sample: ClassVar[bool] = True

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty between this step's real and generated images."""
        return self.weight * one_lipschitz(logit_function(s, "real"), s.images("real"), s.images("fake"))


@dataclass
class Dragan:
    """DRAGAN's gradient penalty: λ · E(‖∇D(x + δ)‖ - 1)² at points near real images.

    Kodali et al. 2017, arXiv:1705.07215, §2.4 and algorithm 1. As in the authors' code, δ is uniform noise of half the
    standard deviation of the batch's pixels, scaled by U(0, 1) for each image; the paper's is Gaussian.

    Args:
        weight: Weight λ.
        width: Width of the noise, in standard deviations of the pixels.
        every: Steps between two evaluations; the value is then multiplied by that number.
    """

    weight: float = 10.0
    width: float = 0.5
    every: int = 1
    player: ClassVar[str] = "discriminator"
    per_sample: ClassVar[bool] = True

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty near this step's real images."""
        real = s.images("real")
        return self.weight * one_lipschitz(logit_function(s, "real"), real, around(real, self.width))


def around(x: Tensor, width: float) -> Tensor:
    """Add uniform noise to images.

    Args:
        x: Images `[B, C, H, W]`.
        width: Width of the noise, in standard deviations of all their pixels.
    """
    return x + width * x.detach().std() * torch.rand_like(x)


def logit_function(s: Step, name: str) -> Callable[[Tensor], Tensor]:
    """Return a function from images `[B, C, H, W]` to adversarial logits `[B]`, for the classes of a step's images.

    Args:
        s: The step.
        name: Name of the images whose classes are used, as "real" or "fake".
    """
    return lambda x: s.discriminate_images(x, classes=[s.classes(name)])[0].adv


def one_lipschitz(adv: Callable[[Tensor], Tensor], first: Tensor, second: Tensor) -> Tensor:
    """Return E(‖∇D(x̂)‖ - 1)², with x̂ drawn uniformly between pairs of images.

    Args:
        adv: Maps images to adversarial logits `[B]`.
        first: Images `[B, C, H, W]`.
        second: Images `[B, C, H, W]`.
    """
    position = torch.rand(len(first), 1, 1, 1, device=first.device, dtype=first.dtype)
    norm = squared_gradient(adv, torch.lerp(first.detach(), second.detach(), position)).add(1e-12).sqrt()
    return (norm - 1).square().mean()


def squared_gradient(adv: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return ‖∇ₓ D(x)‖² `[B]`, which is differentiable itself.

    Args:
        adv: Maps images to adversarial logits `[B]`.
        x: Images `[B, C, H, W]`.
    """
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(adv(x).sum(), x, create_graph=True)
    return gradient.square().sum((1, 2, 3))

"""Further terms, for any strategy whose discriminator classifies: they make a better classifier of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ganzoo.contracts import DiscOutput
from ganzoo.errors import Incompatible
from ganzoo.step import Step
from ganzoo_zoo.ssl.heads import logits_of

DISCRIMINATOR = "discriminator"


@dataclass
class Consistency:
    """Two passes of an image should agree in spite of dropout. Wei et al. 2018 (CT-GAN), arXiv:1803.01541, eq. 4.

    weight · d(p₁, p₂) + feature_weight · d(f₁, f₂), where d is the mean squared difference, p the class probabilities
    and f the features of one image in two passes.

    Args:
        weight: of the difference of class probabilities.
        feature_weight: of the difference of features.
        margin: differences up to it cost nothing.
        every: steps between two such terms; each is then so many times as strong.
    """

    weight: float = 0.5
    feature_weight: float = 0.05
    margin: float = 0.0
    every: int = 1
    player: ClassVar[str] = DISCRIMINATOR
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the term for this step's unlabelled images."""
        (one,) = s.see("real")
        (two,) = s.judge(s.images("real"))
        if s.iteration == 0 and torch.equal(two.features, s.judge(s.images("real"))[0].features):
            raise Incompatible(
                "two passes of an image are the same through this discriminator; "
                "choose one with dropout or noise, as with --set disc.dropout=0.2"
            )
        return two_pass(one, two, self.weight, self.feature_weight, self.margin)


def two_pass(one: DiscOutput, two: DiscOutput, weight: float, feature_weight: float, margin: float) -> Tensor:
    """Return CT-GAN's consistency of two outputs for the same images."""
    difference = weight * (logits_of(one).softmax(1) - logits_of(two).softmax(1)).square().mean(1)
    difference = difference + feature_weight * (one.features - two.features).square().mean(1)
    return F.relu(difference - margin).mean()


@dataclass
class Manifold:
    """Class logits should not change along the generated manifold. Lecouat et al. 2018, arXiv:1805.08957, eq. 5.

    weight · E‖l(G(z)) - l(G(z + η δ/‖δ‖))‖², δ ~ N(0, 1), in fp32.

    Args:
        weight: γ.
        step: η, the length of the step in latent space.
        same_noise: let both passes meet the same dropout and noise, so that the term is about the step alone; then it
            wants a larger one. In the authors' code they meet different ones, and the term is mostly about these.
        every: steps between two such terms; each is then so many times as strong.
    """

    weight: float = 1e-3
    step: float = 1e-5
    same_noise: bool = False
    every: int = 1
    player: ClassVar[str] = DISCRIMINATOR
    per_sample: ClassVar[bool] = True

    def __call__(self, s: Step) -> Tensor:
        """Return the term for as many generated images as a step has."""
        delta = F.normalize(torch.randn_like(s.z))
        with precise(s):
            with torch.no_grad():
                here = s.generate(s.z, s.y)
                there = s.generate(s.z + self.step * delta, s.y)
            again = repeated(s.device)
            one = logits_of(s.judge(here)[0])
            if self.same_noise:
                again()
            two = logits_of(s.judge(there)[0])
        return self.weight * (one - two).square().sum(1).mean()


@dataclass
class VirtualAdversarial:
    """Class probabilities should not change in the direction in which they change most. Miyato et al. 2018 (VAT),
    arXiv:1704.03976, eqs. 5-8 and §3.3.

    weight · E KL(p(x) ‖ p(x + r)), with r of length ε found by power iteration; p(x) is taken as given, and all passes
    meet the same dropout and noise. In fp32, whatever the run's precision.

    Args:
        weight: α.
        epsilon: ε, the length of r; pixels are in [-1, 1], so that it is twice what it would be in [0, 1].
        xi: ξ, the length of the finite difference. 1e-6 in the paper; for pixels in [-1, 1] that is lost in rounding,
            and the direction found is nearly at right angles to the true one. From 1e-3 on it is within some degrees.
        powers: steps of the power iteration.
        every: steps between two such terms; each is then so many times as strong.
    """

    weight: float = 1.0
    epsilon: float = 2.5
    xi: float = 1e-3
    powers: int = 1
    every: int = 1
    player: ClassVar[str] = DISCRIMINATOR
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the term for this step's unlabelled images."""
        x = s.images("real").detach()
        direction = torch.randn_like(x)
        with precise(s):
            again = repeated(s.device)

            def logits(images: Tensor) -> Tensor:
                again()
                return logits_of(s.judge(images)[0])

            return self.weight * local_smoothness(logits, x, direction, self.epsilon, self.xi, self.powers)


def local_smoothness(
    logits: Callable[[Tensor], Tensor], x: Tensor, direction: Tensor, epsilon: float, xi: float, powers: int
) -> Tensor:
    """Return E KL(p(x) ‖ p(x + r)) for images `[B, C, H, W]`; the power iteration starts at `direction`."""
    with torch.no_grad():
        given = logits(x).log_softmax(1)
    for _ in range(powers):
        direction = unit(direction).requires_grad_()
        distance = divergence(given, logits(x + xi * direction))
        (direction,) = torch.autograd.grad(distance, direction)
    return divergence(given, logits(x + epsilon * unit(direction).detach()))


def divergence(given: Tensor, logits: Tensor) -> Tensor:
    """Return the mean KL(p ‖ q) of log p `[B, K]` and the logits of q."""
    return F.kl_div(logits.log_softmax(1), given, reduction="batchmean", log_target=True)


def unit(x: Tensor) -> Tensor:
    """Scale each image of a batch to length 1; a vanishing one is first scaled by its largest pixel."""
    x = x / x.abs().amax((1, 2, 3), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    return x / x.square().sum((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)


@dataclass
class Entropy:
    """Unlabelled images should be classified surely: weight · E H(p(y|x)). Grandvalet and Bengio 2004, eq. 6.

    Args:
        weight: of the mean entropy, in nats; 1 beside VAT in its paper, 0.1 in BadGAN on SVHN.
        every: steps between two such terms; each is then so many times as strong.
    """

    weight: float = 0.1
    every: int = 1
    player: ClassVar[str] = DISCRIMINATOR
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the term for this step's unlabelled images."""
        return self.weight * entropy(logits_of(s.see("real")[0]))


def entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy in nats of class probabilities with these logits `[B, K]`."""
    return -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()


@dataclass
class Balance:
    """All classes should be said equally often: weight · (log K - H(E p(y|x))). Krause et al. 2010, NeurIPS, eq. 4.

    With `entropy` it is the mutual information of image and class. It is for data whose classes are equally frequent.

    Args:
        weight: of the difference to the largest entropy, in nats.
        every: steps between two such terms; each is then so many times as strong.
    """

    weight: float = 0.4
    every: int = 1
    player: ClassVar[str] = DISCRIMINATOR
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the term for this step's unlabelled images."""
        return self.weight * imbalance(logits_of(s.see("real")[0]))


def imbalance(logits: Tensor) -> Tensor:
    """Return log K - H of the mean class probabilities of logits `[B, K]`, in nats; 0 when all are equally likely."""
    log_mean = logits.log_softmax(1).logsumexp(0) - math.log(len(logits))
    return math.log(logits.shape[1]) + (log_mean.exp() * log_mean).sum()


@dataclass
class PullAway:
    """Features of generated images should differ in direction. Zhao et al. 2017 (EBGAN), arXiv:1609.03126, eq. 4.

    A term of the generator, against collapse.

    Args:
        weight: of the mean squared cosine between two images; 0.1 in EBGAN, 0.8 in BadGAN on SVHN.
        every: steps between two such terms; each is then so many times as strong.
    """

    weight: float = 0.1
    every: int = 1
    player: ClassVar[str] = "generator"
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the term for this step's generated images."""
        return self.weight * pull_away(s.see("fake")[0].features)


def pull_away(features: Tensor) -> Tensor:
    """Return the mean squared cosine of two rows of features `[B, F]`: Σᵢ Σ_{j≠i} cos²(fᵢ, fⱼ) / (B (B-1))."""
    n = len(features)
    with torch.autocast(features.device.type, enabled=False):
        f = F.normalize(features)
        return ((f @ f.T).square().sum() - f.square().sum(1).square().sum()) / max(n * (n - 1), 1)


@contextmanager
def precise(s: Step) -> Iterator[None]:
    """Compute in fp32 whatever the run's precision."""
    with torch.autocast(s.device.type, enabled=False):
        yield


def repeated(device: torch.device) -> Callable[[], None]:
    """Return a function that takes random numbers back to where they are now, so that two passes meet the same."""
    own = {"cuda": (torch.cuda, (device,)), "mps": (torch.mps, ())}.get(device.type)
    state, of_device = torch.get_rng_state(), own and own[0].get_rng_state(*own[1])

    def again() -> None:
        torch.set_rng_state(state)
        if own:
            own[0].set_rng_state(of_device, *own[1])

    return again

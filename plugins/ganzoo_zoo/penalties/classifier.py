"""Regularisers of a discriminator that classifies, and of its features."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ganzoo.errors import Incompatible
from ganzoo.strategy.networks import DiscOutput
from ganzoo.strategy.step import Step
from ganzoo_zoo.ssl.heads import logits_of

DISCRIMINATOR = "discriminator"


@dataclass
class Consistency:
    """Consistency of two passes with different dropout. Wei et al. 2018 (CT-GAN), arXiv:1803.01541, eq. 4.

    weight · d(p₁, p₂) + feature_weight · d(f₁, f₂), where d is the mean squared difference, and p and f are the class
    probabilities and the features of one image in two passes.

    Args:
        weight: Weight of the difference of class probabilities.
        feature_weight: Weight of the difference of features.
        margin: Differences below it are not penalised.
        every: Steps between two evaluations; the value is then multiplied by that number.
    """

    weight: float = 0.5
    feature_weight: float = 0.05
    margin: float = 0.0
    every: int = 1
    player: ClassVar[str] = DISCRIMINATOR
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty for this step's unlabelled images.

        Raises:
            Incompatible: The discriminator has no dropout or noise, so both passes are equal, or it has no classes.
        """
        (one,) = s.discriminate("real")
        (two,) = s.discriminate_images(s.images("real"))
        if s.iteration == 0 and torch.equal(two.features, s.discriminate_images(s.images("real"))[0].features):
            raise Incompatible(
                "two passes of an image through this discriminator give the same output; "
                "it needs dropout or noise, as with --set disc.dropout=0.2"
            )
        return two_pass(one, two, self.weight, self.feature_weight, self.margin)


def two_pass(one: DiscOutput, two: DiscOutput, weight: float, feature_weight: float, margin: float) -> Tensor:
    """Return CT-GAN's consistency term.

    Args:
        one: Output for images.
        two: Output for the same images in another pass.
        weight: Weight of the difference of class probabilities.
        feature_weight: Weight of the difference of features.
        margin: Differences below it are not penalised.
    """
    difference = weight * (logits_of(one).softmax(1) - logits_of(two).softmax(1)).square().mean(1)
    difference = difference + feature_weight * (one.features - two.features).square().mean(1)
    return F.relu(difference - margin).mean()


@dataclass
class Manifold:
    """Manifold regularisation: class logits vary little along the generated manifold. Lecouat et al. 2018, eq. 5.

    weight · E‖l(G(z)) - l(G(z + η δ/‖δ‖))‖², δ ~ N(0, 1), in fp32; arXiv:1805.08957.

    Args:
        weight: Weight γ.
        step: Length η of the step in latent space.
        same_noise: Use the same dropout and noise in both passes, so that the term measures the effect of the step
            only; η should then be larger. The authors' code uses different noise, which dominates the term.
        every: Steps between two evaluations; the value is then multiplied by that number.
    """

    weight: float = 1e-3
    step: float = 1e-5
    same_noise: bool = False
    every: int = 1
    player: ClassVar[str] = DISCRIMINATOR
    per_sample: ClassVar[bool] = True

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty for a batch of generated images."""
        delta = F.normalize(torch.randn_like(s.z))
        with full_precision(s):
            with torch.no_grad():
                images = s.generate(s.z, s.y)
                neighbours = s.generate(s.z + self.step * delta, s.y)
            restore = rng_restorer(s.device)
            one = logits_of(s.discriminate_images(images)[0])
            if self.same_noise:
                restore()
            two = logits_of(s.discriminate_images(neighbours)[0])
        return self.weight * (one - two).square().sum(1).mean()


@dataclass
class VirtualAdversarial:
    """Virtual adversarial training (VAT). Miyato et al. 2018, arXiv:1704.03976, eqs. 5-8 and §3.3.

    weight · E KL(p(x) ‖ p(x + r)), where r has length ε and is found by power iteration. p(x) is detached, and all
    passes use the same dropout and noise. Computed in fp32, whatever the precision of the run.

    Args:
        weight: Weight α.
        epsilon: Length ε of r. Pixels are in [-1, 1], so ε is twice as large as for pixels in [0, 1].
        xi: Length ξ of the finite difference. The paper's 1e-6 is lost in rounding for pixels in [-1, 1], and the
            direction found is then nearly orthogonal to the true one; from 1e-3 on they agree within a few degrees.
        powers: Number of power iterations.
        every: Steps between two evaluations; the value is then multiplied by that number.
    """

    weight: float = 1.0
    epsilon: float = 2.5
    xi: float = 1e-3
    powers: int = 1
    every: int = 1
    player: ClassVar[str] = DISCRIMINATOR
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty for this step's unlabelled images."""
        x = s.images("real").detach()
        direction = torch.randn_like(x)
        with full_precision(s):
            restore = rng_restorer(s.device)

            def logits(images: Tensor) -> Tensor:
                restore()
                return logits_of(s.discriminate_images(images)[0])

            return self.weight * local_smoothness(logits, x, direction, self.epsilon, self.xi, self.powers)


def local_smoothness(
    logits: Callable[[Tensor], Tensor], x: Tensor, direction: Tensor, epsilon: float, xi: float, powers: int
) -> Tensor:
    """Return E KL(p(x) ‖ p(x + r)), with r found by power iteration.

    Args:
        logits: Maps images to class logits `[B, K]`.
        x: Images `[B, C, H, W]`.
        direction: Starting directions of the power iteration `[B, C, H, W]`.
        epsilon: Length of r.
        xi: Length of the finite difference.
        powers: Number of power iterations.
    """
    with torch.no_grad():
        log_p = logits(x).log_softmax(1)
    for _ in range(powers):
        direction = unit(direction).requires_grad_()
        distance = divergence(log_p, logits(x + xi * direction))
        (direction,) = torch.autograd.grad(distance, direction)
    return divergence(log_p, logits(x + epsilon * unit(direction).detach()))


def divergence(log_p: Tensor, logits: Tensor) -> Tensor:
    """Return the mean KL(p ‖ q).

    Args:
        log_p: Log-probabilities log p `[B, K]`.
        logits: Logits of q `[B, K]`.
    """
    return F.kl_div(logits.log_softmax(1), log_p, reduction="batchmean", log_target=True)


def unit(x: Tensor) -> Tensor:
    """Scale each image of a batch `[B, C, H, W]` to length 1.

    Images are first divided by their largest pixel, because the square of a tiny one would underflow.
    """
    x = x / x.abs().amax((1, 2, 3), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    return x / x.square().sum((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)


@dataclass
class Entropy:
    """Entropy minimisation on unlabelled images: weight · E H(p(y|x)). Grandvalet and Bengio 2004, NeurIPS, eq. 6.

    Args:
        weight: Weight of the mean entropy, in nats; 1 in combination with VAT (Miyato et al. 2018), 0.1 in BadGAN on
            SVHN.
        every: Steps between two evaluations; the value is then multiplied by that number.
    """

    weight: float = 0.1
    every: int = 1
    player: ClassVar[str] = DISCRIMINATOR
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty for this step's unlabelled images."""
        return self.weight * entropy(logits_of(s.discriminate("real")[0]))


def entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy, in nats, of the class probabilities of logits `[B, K]`."""
    return -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()


@dataclass
class Balance:
    """Encourages equal frequencies of the predicted classes: weight · (log K - H(E p(y|x))).

    Together with `entropy` it maximises the mutual information of image and class. It assumes that the classes of the
    data are equally frequent. Krause et al. 2010, NeurIPS, eq. 4.

    Args:
        weight: Weight of the difference from the maximum entropy, in nats.
        every: Steps between two evaluations; the value is then multiplied by that number.
    """

    weight: float = 0.4
    every: int = 1
    player: ClassVar[str] = DISCRIMINATOR
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty for this step's unlabelled images."""
        return self.weight * imbalance(logits_of(s.discriminate("real")[0]))


def imbalance(logits: Tensor) -> Tensor:
    """Return log K - H of the mean class probabilities of logits `[B, K]`, in nats; 0 if the mean is uniform."""
    log_mean = logits.log_softmax(1).logsumexp(0) - math.log(len(logits))
    return math.log(logits.shape[1]) + (log_mean.exp() * log_mean).sum()


@dataclass
class PullAway:
    """Pull-away term: generated images get features of different directions. Zhao et al. 2017, arXiv:1609.03126, eq. 4.

    A term of the generator's loss against mode collapse (EBGAN).

    Args:
        weight: Weight of the mean squared cosine of pairs of images; 0.1 in EBGAN, 0.8 in BadGAN on SVHN.
        every: Steps between two evaluations; the value is then multiplied by that number.
    """

    weight: float = 0.1
    every: int = 1
    player: ClassVar[str] = "generator"
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty for this step's generated images."""
        return self.weight * pull_away(s.discriminate("fake")[0].features)


def pull_away(features: Tensor) -> Tensor:
    """Return the mean squared cosine of pairs of features `[B, F]`: Σᵢ Σ_{j≠i} cos²(fᵢ, fⱼ) / (B (B-1))."""
    n = len(features)
    with torch.autocast(features.device.type, enabled=False):
        f = F.normalize(features)
        return ((f @ f.T).square().sum() - f.square().sum(1).square().sum()) / max(n * (n - 1), 1)


@contextmanager
def full_precision(s: Step) -> Iterator[None]:
    """Compute in fp32 inside the `with` block, whatever the precision of the run."""
    with torch.autocast(s.device.type, enabled=False):
        yield


def rng_restorer(device: torch.device) -> Callable[[], None]:
    """Return a function that restores the current state of the random number generators.

    It makes several passes draw the same dropout and noise.

    Args:
        device: Device whose generator is restored, besides that of the CPU.
    """
    own = {"cuda": (torch.cuda, (device,)), "mps": (torch.mps, ())}.get(device.type)
    cpu_state, device_state = torch.get_rng_state(), own and own[0].get_rng_state(*own[1])

    def restore() -> None:
        torch.set_rng_state(cpu_state)
        if own:
            own[0].set_rng_state(device_state, *own[1])

    return restore

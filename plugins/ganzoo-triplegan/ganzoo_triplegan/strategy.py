"""Triple-GAN. Li et al. 2017, arXiv:1703.02291, §3 and §4."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from ganzoo_zoo.penalties.classifier import entropy
from ganzoo_zoo.ssl.heads import ClassHead, Projection, label_loss, logits_of
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.errors import Incompatible
from ganzoo.strategy.base import NetworkBuilder, SemiSupervised
from ganzoo.strategy.networks import DiscOutput, Networks
from ganzoo.strategy.players import Player, Terms
from ganzoo.strategy.step import AdversarialLoss, Step


class PairHead(Projection):
    """The adversarial logit of an image-label pair (x, y), or of x alone where the class is unknown.

    Args:
        trunk: The trunk whose features the head is given.
        shape: Shape of the images.
    """

    def forward(self, features: Tensor, y: Tensor | None = None) -> tuple[Tensor, None]:
        """Map features `[B, F]` and classes `[B]`, -1 where unknown, to (adversarial logits `[B]`, None)."""
        return self.project(features, y), None


@dataclass
class TripleGAN(SemiSupervised):
    """Three players: a classifier and a generator make image-label pairs, a discriminator detects them (eqs. 3-5).

    The classifier labels images, the generator generates images of given labels. D: L(true pairs; ½ generated, ½
    classified). G: ½ L_G(generated). C: cross-entropy + a · ½ · mean p_max · L_G(pair of an image with its most
    probable class) + R_U + b · cross-entropy of generated pairs. The most probable class is detached, so the classifier
    receives a gradient through its probability p_max only. The discriminator's true pairs are labelled images and, as
    in the authors' code, other unlabelled images with their most probable class, so that it does not memorise the few
    labels. R_U is the entropy and the balance of the classes (in the paper for MNIST and SVHN), or the difference of
    two passes (for CIFAR-10). Without the GAN, only cross-entropy and R_U remain.

    Args:
        labelled_share: Fraction of the labelled images among the true pairs; 1/401 for MNIST, 0.2 for CIFAR-10 in the
            paper.
        pair_weight: Weight a; 1 for MNIST, 0.01 for SVHN and CIFAR-10.
        entropy_weight: Weight of the mean entropy of unlabelled images' class probabilities; 0 for CIFAR-10.
        balance_weight: Weight of the cross-entropy of the uniform distribution with their mean; 0 for CIFAR-10.
        two_pass_weight: Weight of the mean squared difference of their class probabilities in two passes; 100 for
            CIFAR-10.
        two_pass_end: Fraction of the run at which that weight is reached; before, it is multiplied by exp(-5 (1 - t)²).
        generated_weight: Weight b, from `generated_start` on.
        generated_start: Fraction of the run after which the classifier is trained on generated pairs.
    """

    labelled_share: float = 0.1
    pair_weight: float = 1.0
    entropy_weight: float = 0.3
    balance_weight: float = 1e-3
    two_pass_weight: float = 0.0
    two_pass_end: float = 0.1
    generated_weight: float = 0.1
    generated_start: float = 0.3

    needs_conditional = True

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return a head that scores image-label pairs."""
        return PairHead(trunk, shape)

    def networks(self, builder: NetworkBuilder) -> dict[str, nn.Module]:
        """Return generator, discriminator and classifier."""
        return {**(super().networks(builder) if self.gan else {}), "classifier": builder.with_head(ClassHead)}

    def players(self) -> list[Player]:
        """Return discriminator, generator and classifier, in the order of algorithm 1."""
        classifier = Player("classifier", ("classifier",), self.classifier)
        return [*(super().players() if self.gan else []), classifier]

    def discriminator(self, s: Step) -> Terms:
        """Return the discriminator's adversarial loss (eq. 3, with α = ½)."""
        guess = logits_of(s.discriminate("real", network="classifier")[0]).argmax(1)
        images, guesses = s.images("real").chunk(2), guess.chunk(2)  # one half for true pairs, one for false pairs
        labelled, positive, negative, fake = s.discriminate_images(
            s.images("labelled"), *images, s.images("fake"), classes=(s.batch.labels, *guesses, s.y)
        )
        share, loss = self.labelled_share, s.discriminator_loss
        return {
            "generated": 0.5 * (share * loss(labelled, fake) + (1 - share) * loss(positive, fake)),
            "classified": 0.5 * (share * loss(labelled, negative) + (1 - share) * loss(positive, negative)),
        }

    def generator(self, s: Step) -> Terms:
        """Return the generator's adversarial loss (eq. 5)."""
        return {"adversarial": 0.5 * s.generator_loss()}

    def classifier(self, s: Step) -> Terms:
        """Return the classifier's terms (eqs. 4, 6 and 7)."""
        (real, _) = s.discriminate("real", "labelled", network="classifier")
        logits = logits_of(real)
        terms = {"label": label_loss(s, network="classifier")}
        if self.gan and self.pair_weight:
            probability, label = logits.softmax(1).max(1)
            (pair,) = s.discriminate_images(s.images("real"), classes=[label])
            terms["pair"] = self.pair_weight * 0.5 * (probability * generator_loss_per_image(s.loss, pair.adv)).mean()
        if self.entropy_weight:
            terms["entropy"] = self.entropy_weight * entropy(logits)
        if self.balance_weight:
            terms["balance"] = self.balance_weight * imbalance(logits)
        if self.two_pass_weight:
            (second,) = s.discriminate_images(s.images("real"), network="classifier")
            difference = (logits.softmax(1) - logits_of(second).softmax(1)).square().mean()
            terms["two_pass"] = self.two_pass_weight * sigmoid_ramp(s.progress, self.two_pass_end) * difference
        if self.gan and self.generated_weight and s.progress >= self.generated_start:
            (fake,) = s.discriminate("fake", network="classifier")
            terms["generated"] = self.generated_weight * F.cross_entropy(logits_of(fake), cast(Tensor, s.y))
        return terms

    def classify(self, networks: Networks, x: Tensor) -> Tensor:
        """Return the classifier's logits."""
        return logits_of(cast(DiscOutput, networks["classifier"](x)))


def generator_loss_per_image(loss: AdversarialLoss, fake: Tensor) -> Tensor:
    """Return the generator's side of an adversarial loss for each image, without gradient.

    Args:
        loss: The adversarial loss.
        fake: Adversarial logits `[B]`.

    Returns:
        `[B]`.

    Raises:
        Incompatible: The loss compares images with each other.
    """
    if loss.relativistic:
        raise Incompatible(
            "triplegan weighs the loss of each image, but this loss compares images; try --loss nonsaturating"
        )
    return torch.vmap(lambda adv: loss.generator(adv[None], adv[None]))(fake.detach())


def imbalance(logits: Tensor) -> Tensor:
    """Return the cross-entropy, in nats, of the uniform distribution with the mean probabilities of logits `[B, K]`."""
    return math.log(len(logits)) - logits.log_softmax(1).logsumexp(0).mean()


def sigmoid_ramp(progress: float, end: float) -> float:
    """Return exp(-5 (1 - t)²) with t = min(progress / end, 1). Laine and Aila 2017, arXiv:1610.02242, appendix A.

    Args:
        progress: Fraction of the run that is done, in [0, 1].
        end: Fraction of the run at which the value reaches 1; 0 for always 1.
    """
    t = min(progress / end, 1.0) if end else 1.0
    return math.exp(-5 * (1 - t) ** 2)

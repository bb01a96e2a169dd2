"""Triple-GAN. Li et al. 2017, arXiv:1703.02291, §3 and §4."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from ganzoo_zoo.penalties.classifier import entropy
from ganzoo_zoo.ssl.heads import ClassHead, Projection, label_loss, logits_of
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.contracts import AdversarialLoss, DiscOutput, Networks, Player, Terms
from ganzoo.errors import Incompatible
from ganzoo.strategy import Kit, SemiSupervised, Step


class PairHead(Projection):
    """Realness of a pair (x, y); of x alone where the class is not told."""

    def forward(self, features: Tensor, y: Tensor | None = None) -> tuple[Tensor, None]:
        """Map features `[B, F]` and classes `[B]` (-1: not told) to (adv [B], None)."""
        return self.project(features, y), None


@dataclass
class TripleGAN(SemiSupervised):
    """Three players: a classifier labels images, a generator makes images of labels, a discriminator tells such pairs
    from true ones (eqs. 3-5).

    D: L(true pairs; ½ generated, ½ classified). G: ½ L_G(generated). C: cross-entropy + a · ½ · mean p_max · L_G(pair
    of an image with its most probable class) + R_U + b · cross-entropy of generated pairs. The most probable class is
    taken as given, so that the classifier learns through its probability p_max. The true pairs of the discriminator are
    labelled images and, as in the authors' code, other unlabelled images with their most probable class, so that few
    labels are not learnt by heart. R_U is the entropy and the balance of classes (there for MNIST and SVHN), or the
    difference of two passes (there for CIFAR-10). Without the GAN, cross-entropy and R_U are left.

    Args:
        labelled_share: part of the labelled images among the true pairs; there 1/401 for MNIST, 0.2 for CIFAR-10.
        pair_weight: a; 1 for MNIST, 0.01 for SVHN and CIFAR-10.
        entropy_weight: of the mean entropy of unlabelled images' class probabilities; 0 for CIFAR-10.
        balance_weight: of the cross-entropy of the even distribution with their mean; 0 for CIFAR-10.
        two_pass_weight: of the mean squared difference of their class probabilities in two passes; 100 for CIFAR-10.
        two_pass_end: part of the run at which that weight is full; before, it is exp(-5 (1 - t)²) of it.
        generated_weight: b, from `generated_start` on.
        generated_start: part of the run after which generated pairs teach the classifier.
    """

    labelled_share: float = 0.1
    pair_weight: float = 1.0
    entropy_weight: float = 0.3
    balance_weight: float = 1e-3
    two_pass_weight: float = 0.0
    two_pass_end: float = 0.1
    generated_weight: float = 0.1
    generated_start: float = 0.3

    needs_conditional: ClassVar[bool] = True

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return the realness of pairs."""
        return PairHead(trunk, shape)

    def networks(self, kit: Kit) -> dict[str, nn.Module]:
        """Return generator, discriminator and classifier."""
        return {**(super().networks(kit) if self.gan else {}), "classifier": kit.critic(ClassHead)}

    def players(self) -> list[Player]:
        """Return discriminator, generator and classifier, in the order of algorithm 1."""
        classifier = Player("classifier", ("classifier",), self.classifier)
        return [*(super().players() if self.gan else []), classifier]

    def discriminator(self, s: Step) -> Terms:
        """Return the discriminator's adversarial loss (eq. 3, with α = ½)."""
        guess = logits_of(s.see("real", by="classifier")[0]).argmax(1)
        images, guesses = s.images("real").chunk(2), guess.chunk(2)  # one half as true pairs, the other as false ones
        labelled, positive, negative, fake = s.judge(
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
        (real, _) = s.see("real", "labelled", by="classifier")
        logits = logits_of(real)
        terms = {"label": label_loss(s, by="classifier")}
        if self.gan and self.pair_weight:
            probability, label = logits.softmax(1).max(1)
            (pair,) = s.judge(s.images("real"), classes=[label])
            terms["pair"] = self.pair_weight * 0.5 * (probability * each(s.loss, pair.adv)).mean()
        if self.entropy_weight:
            terms["entropy"] = self.entropy_weight * entropy(logits)
        if self.balance_weight:
            terms["balance"] = self.balance_weight * imbalance(logits)
        if self.two_pass_weight:
            (again,) = s.judge(s.images("real"), by="classifier")
            difference = (logits.softmax(1) - logits_of(again).softmax(1)).square().mean()
            terms["two_pass"] = self.two_pass_weight * warm(s.progress, self.two_pass_end) * difference
        if self.gan and self.generated_weight and s.progress >= self.generated_start:
            (fake,) = s.see("fake", by="classifier")
            terms["generated"] = self.generated_weight * F.cross_entropy(logits_of(fake), cast(Tensor, s.y))
        return terms

    def classify(self, networks: Networks, x: Tensor) -> Tensor:
        """Return the classifier's logits."""
        return logits_of(cast(DiscOutput, networks["classifier"](x)))


def each(loss: AdversarialLoss, fake: Tensor) -> Tensor:
    """Return the generator's side of a loss for each realness logit `[B]` alone, as given.

    Raises Incompatible for a loss that compares images.
    """
    if loss.relativistic:
        raise Incompatible("triplegan weighs images singly, and this loss compares them; try --loss nonsaturating")
    return torch.vmap(lambda adv: loss.generator(adv[None], adv[None]))(fake.detach())


def imbalance(logits: Tensor) -> Tensor:
    """Return the cross-entropy, in nats, of the even distribution with the mean class probabilities of `[B, K]`."""
    return math.log(len(logits)) - logits.log_softmax(1).logsumexp(0).mean()


def warm(progress: float, end: float) -> float:
    """Return exp(-5 (1 - t)²) with t = progress / end up to 1. Laine and Aila 2017, arXiv:1610.02242, appendix A."""
    t = min(progress / end, 1.0) if end else 1.0
    return math.exp(-5 * (1 - t) ** 2)

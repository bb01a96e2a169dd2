"""MarginGAN: generated images near the decision boundary push it away. Dong and Lin 2019, NeurIPS, §3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo.strategy.base import NetworkBuilder, SemiSupervised
from ganzoo.strategy.networks import DiscOutput, Networks
from ganzoo.strategy.players import Player, Terms
from ganzoo.strategy.step import Step
from ganzoo_zoo.ssl.heads import ClassHead, label_loss, logits_of
from ganzoo_zoo.ssl.pseudolabel import guess_loss


@dataclass
class MarginGAN(SemiSupervised):
    """A GAN and a classifier that decreases the margin of generated images, which the generator increases.

    L_C = CE(x, y) + CE(x_u, argmax) - log(1 - p_argmax(G(z))), L_G = L_adversarial + CE(C(G(z)), argmax); the
    discriminator's loss is that of an ordinary GAN (eqs. 5-8). The classifier is a second network with the
    discriminator's trunk architecture. Without the GAN, the classifier is trained with pseudo-labels.

    Args:
        unlabelled_weight: Weight of the pseudo-labels' cross-entropy.
        margin_weight: Weight of the generated images' inverted cross-entropy in the classifier's loss.
        class_weight: Weight of the generated images' cross-entropy in the generator's loss.
    """

    unlabelled_weight: float = 1.0
    margin_weight: float = 1.0
    class_weight: float = 1.0

    def networks(self, builder: NetworkBuilder) -> dict[str, nn.Module]:
        """Return generator, discriminator and classifier."""
        return {**(super().networks(builder) if self.gan else {}), "classifier": builder.with_head(ClassHead)}

    def players(self) -> list[Player]:
        """Return discriminator, classifier and generator."""
        classifier = Player("classifier", ("classifier",), self.classifier)
        if not self.gan:
            return [classifier]
        discriminator, generator = super().players()
        return [discriminator, classifier, generator]

    def classifier(self, s: Step) -> Terms:
        """Return the classifier's terms (eq. 7)."""
        real, _, *fakes = s.discriminate("real", "labelled", *self.fakes, network="classifier")
        terms = {"label": label_loss(s, network="classifier")}
        terms["guess"] = self.unlabelled_weight * guess_loss(logits_of(real), logits_of(real))
        if fakes:
            terms["margin"] = self.margin_weight * inverted_cross_entropy(logits_of(fakes[0]))
        return terms

    def generator(self, s: Step) -> Terms:
        """Return the generator's terms (eq. 8)."""
        logits = logits_of(s.discriminate("fake", network="classifier")[0])
        return {"adversarial": s.generator_loss(), "class": self.class_weight * guess_loss(logits, logits)}

    def classify(self, networks: Networks, x: Tensor) -> Tensor:
        """Return the classifier's logits."""
        return logits_of(cast(DiscOutput, networks["classifier"](x)))


def inverted_cross_entropy(logits: Tensor) -> Tensor:
    """Return -mean log(1 - p_ŷ) of logits `[B, K]`, where ŷ is their argmax (eq. 6).

    It is large for confident predictions. 1 - p_ŷ = Σ_{k≠ŷ} exp lₖ / Σₖ exp lₖ, so its logarithm is a difference of two
    log-sum-exps.
    """
    best = F.one_hot(logits.detach().argmax(1), logits.shape[1]).bool()
    return (logits.logsumexp(1) - logits.masked_fill(best, -float("inf")).logsumexp(1)).mean()

"""K+1 semi-supervised GAN with feature matching. Salimans et al. 2016, arXiv:1606.03498, §3.1 and §5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.strategy.base import SemiSupervised
from ganzoo.strategy.players import Terms
from ganzoo.strategy.step import Step
from ganzoo_zoo.ssl.heads import ClassHead, label_loss, logits_of


@dataclass
class KPlusOne(SemiSupervised):
    """Semi-supervised GAN whose discriminator classifies into K classes and "fake".

    The logit of "fake" is fixed at 0. Then D(x) = Z(x) / (Z(x) + 1) with Z = Σₖ exp lₖ (§5), so the adversarial logit
    is log Z, and any adversarial loss can be used. The generator matches the mean features of an independent batch of
    unlabelled images (§3.1). The paper's own recipe is the loss `nonsaturating` with adversarial_weight=0. Published
    extensions are available as penalties: consistency, manifold, vat, entropy, pull-away.

    Args:
        label_weight: Weight of the labelled images' cross-entropy.
        unlabelled_weight: Weight of the discriminator's adversarial term.
        adversarial_weight: Weight of the generator's adversarial term; 0 in the paper's experiments.
        feature_weight: Weight of feature matching.
        distance: Distance of the mean features: "l2" (mean squared difference, as for MNIST) or "l1" (mean absolute
            difference, as for CIFAR-10).
        class_weight: For a conditional generator, weight of the cross-entropy of its images with the classes they were
            generated for.
    """

    label_weight: float = 1.0
    unlabelled_weight: float = 0.5
    adversarial_weight: float = 1.0
    feature_weight: float = 1.0
    distance: Literal["l1", "l2"] = "l2"
    class_weight: float = 1.0

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return a head whose adversarial logit is the log-sum-exp of its class logits."""
        return ClassHead(trunk, shape)

    def discriminator(self, s: Step) -> Terms:
        """Return the terms L_supervised and L_unsupervised of §5."""
        if not self.gan:
            return {"label": self.label_weight * label_loss(s)}
        s.discriminate("labelled", "real", "fake")  # in one pass if possible; the terms use the cached outputs
        return {
            "label": self.label_weight * label_loss(s),
            "adversarial": self.unlabelled_weight * s.discriminator_loss(),
        }

    def generator(self, s: Step) -> Terms:
        """Return feature matching, the adversarial term, and the class term of a conditional generator."""
        real, fake = s.discriminate("real", "fake")
        terms: Terms = {}
        if self.adversarial_weight:
            terms["adversarial"] = self.adversarial_weight * s.generator_loss()
        if self.feature_weight:
            terms["features"] = self.feature_weight * feature_matching(real.features, fake.features, self.distance)
        if self.class_weight and s.y is not None:
            terms["class"] = self.class_weight * F.cross_entropy(logits_of(fake), s.y)
        return terms


def feature_matching(real: Tensor, fake: Tensor, distance: str = "l2") -> Tensor:
    """Return the distance of the mean features of two batches (§3.1).

    Args:
        real: Features `[B, F]` of real images; detached.
        fake: Features `[B, F]` of generated images.
        distance: "l2" or "l1".
    """
    difference = real.detach().mean(0) - fake.mean(0)
    return difference.square().mean() if distance == "l2" else difference.abs().mean()

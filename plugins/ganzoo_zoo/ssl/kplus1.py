"""K+1 semi-supervised GAN with feature matching. Salimans et al. 2016, arXiv:1606.03498, §3.1 and §5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.contracts import Terms
from ganzoo.strategy import SemiSupervised, Step
from ganzoo_zoo.ssl.heads import ClassHead, label_loss, logits_of


@dataclass
class KPlusOne(SemiSupervised):
    """The discriminator classifies into K real classes and 'fake', whose logit is fixed at 0.

    Then D(x) = Z(x) / (Z(x) + 1) with Z = Σₖ exp lₖ (§5), so that the realness logit is log Z, and any adversarial loss
    acts on it. The generator matches features of an independent batch of unlabelled images (§3.1). The paper's own
    recipe is the loss `nonsaturating` and adversarial_weight=0. Published upgrades are penalties that compose with it:
    consistency, manifold, vat, entropy, pull_away.

    Args:
        label_weight: weight of the labelled images' cross-entropy.
        unlabelled_weight: weight of the discriminator's adversarial term.
        adversarial_weight: weight of the generator's adversarial term; 0 in the paper's experiments.
        feature_weight: weight of feature matching.
        distance: between mean features: l2 (mean square, as for MNIST) or l1 (mean absolute, as for CIFAR-10).
        class_weight: for a conditional generator, weight of the cross-entropy of its images with the class asked for.
    """

    label_weight: float = 1.0
    unlabelled_weight: float = 0.5
    adversarial_weight: float = 1.0
    feature_weight: float = 1.0
    distance: Literal["l1", "l2"] = "l2"
    class_weight: float = 1.0

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return a head whose realness is the log-sum-exp of its class logits."""
        return ClassHead(trunk, shape)

    def discriminator(self, s: Step) -> Terms:
        """Return the terms L_supervised and L_unsupervised of §5."""
        if not self.gan:
            return {"label": self.label_weight * label_loss(s)}
        s.see("labelled", "real", "fake")  # together, where that is one pass
        return {
            "label": self.label_weight * label_loss(s),
            "adversarial": self.unlabelled_weight * s.discriminator_loss(),
        }

    def generator(self, s: Step) -> Terms:
        """Return feature matching, the adversarial term, and the class term of a conditional generator."""
        real, fake = s.see("real", "fake")
        terms: Terms = {}
        if self.adversarial_weight:
            terms["adversarial"] = self.adversarial_weight * s.generator_loss()
        if self.feature_weight:
            terms["features"] = self.feature_weight * feature_matching(real.features, fake.features, self.distance)
        if self.class_weight and s.y is not None:
            terms["class"] = self.class_weight * F.cross_entropy(logits_of(fake), s.y)
        return terms


def feature_matching(real: Tensor, fake: Tensor, distance: str = "l2") -> Tensor:
    """Return the distance of the mean features of two batches `[B, F]`; gradients flow to the fake one (§3.1)."""
    difference = real.detach().mean(0) - fake.mean(0)
    return difference.square().mean() if distance == "l2" else difference.abs().mean()

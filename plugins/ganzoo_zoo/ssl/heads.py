"""Heads of discriminators and classifiers, and losses of their class logits."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from ganzoo import ImageShape
from ganzoo.errors import Incompatible
from ganzoo.strategy.networks import DiscOutput, Trunk, last_layer
from ganzoo.strategy.step import Step


class ClassHead(nn.Module):
    """K class logits, whose log-sum-exp is the adversarial logit of a K+1 discriminator.

    Args:
        trunk: The trunk whose features the head is given.
        shape: Shape of the images.
    """

    def __init__(self, trunk: nn.Module, shape: ImageShape) -> None:
        super().__init__()
        self.classes = last_layer(trunk, shape.classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map features `[B, F]` to (adversarial logits `[B]`, class logits `[B, K]`)."""
        logits = self.classes(features)
        return logits.logsumexp(1), logits


class Projection(nn.Module):
    """Base of heads with a class projection: ψ(f) + ⟨v_y, f⟩. Miyato and Koyama 2018, arXiv:1802.05637, eq. 3.

    Args:
        trunk: The trunk whose features the head is given.
        shape: Shape of the images.
    """

    conditional = True

    def __init__(self, trunk: nn.Module, shape: ImageShape) -> None:
        super().__init__()
        self.adv = last_layer(trunk, 1)
        self.embedding = nn.Embedding(shape.classes, cast(Trunk, trunk).num_features)
        nn.init.normal_(self.embedding.weight, 0.0, 0.02)
        if is_parametrized(self.adv):  # if the last layer is spectrally normalised, the embedding is too
            spectral_norm(self.embedding)

    def project(self, features: Tensor, y: Tensor | None) -> Tensor:
        """Compute the adversarial logits of images given their classes.

        Args:
            features: Features `[B, F]`.
            y: Classes `[B]` int64, -1 where unknown, or None; without a class the logit is ψ(f) alone.

        Returns:
            Adversarial logits `[B]`.
        """
        adv: Tensor = self.adv(features).squeeze(1)
        if y is None:
            return adv
        vector: Tensor = self.embedding(y.clamp_min(0))
        return adv + (vector * features).sum(1) * (y >= 0)


def logits_of(out: DiscOutput) -> Tensor:
    """Return the class logits `[B, K]` of an output.

    Raises:
        Incompatible: The discriminator has no class logits.
    """
    if out.logits is None:
        raise Incompatible("it needs class logits, and the strategy's discriminator has none; try --ssl kplus1")
    return out.logits


def label_loss(s: Step, network: str = "discriminator") -> Tensor:
    """Return the cross-entropy of the labelled images.

    Args:
        s: The step.
        network: Name of the network that classifies them.
    """
    logits = logits_of(s.discriminate("labelled", network=network)[0])
    return F.cross_entropy(logits, s.batch.labels, s.batch.class_weights)

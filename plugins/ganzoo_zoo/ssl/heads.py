"""Ends of discriminators and classifiers: what they say of features."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from ganzoo import ImageShape
from ganzoo.contracts import DiscOutput, Trunk
from ganzoo.critic import last_layer
from ganzoo.errors import Incompatible
from ganzoo.step import Step


class ClassHead(nn.Module):
    """K class logits; realness is their log-sum-exp, which a K+1 discriminator trains and a classifier does not."""

    def __init__(self, trunk: nn.Module, shape: ImageShape) -> None:
        super().__init__()
        self.classes = last_layer(trunk, shape.classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map features `[B, F]` to (adv [B], class logits [B, K])."""
        logits = self.classes(features)
        return logits.logsumexp(1), logits


class Projection(nn.Module):
    """Realness of an image *as one of a class*: ψ(f) + ⟨v_y, f⟩. Miyato and Koyama 2018, arXiv:1802.05637, eq. 3."""

    conditional = True

    def __init__(self, trunk: nn.Module, shape: ImageShape) -> None:
        super().__init__()
        self.adv = last_layer(trunk, 1)
        self.embedding = nn.Embedding(shape.classes, cast(Trunk, trunk).num_features)
        nn.init.normal_(self.embedding.weight, 0.0, 0.02)
        if is_parametrized(self.adv):  # it is spectrally normalised, and so is all that follows the features
            spectral_norm(self.embedding)

    def project(self, features: Tensor, y: Tensor | None) -> Tensor:
        """Map features `[B, F]` and classes `[B]` to realness `[B]`: ψ(f) alone where a class is -1, or not told."""
        adv: Tensor = self.adv(features).squeeze(1)
        if y is None:
            return adv
        vector: Tensor = self.embedding(y.clamp_min(0))
        return adv + (vector * features).sum(1) * (y >= 0)


def logits_of(out: DiscOutput) -> Tensor:
    """Return class logits `[B, K]`. Raises Incompatible when the discriminator has none."""
    if out.logits is None:
        raise Incompatible("this is about classes, and the strategy's discriminator tells none apart: try --ssl kplus1")
    return out.logits


def label_loss(s: Step, by: str = "discriminator") -> Tensor:
    """Return the cross-entropy of the labelled images."""
    return F.cross_entropy(logits_of(s.see("labelled", by=by)[0]), s.batch.labels)

"""Ends of discriminators and classifiers: what they say of features."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.contracts import DiscOutput
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


def logits_of(out: DiscOutput) -> Tensor:
    """Return class logits `[B, K]`. Raises Incompatible when the discriminator has none."""
    if out.logits is None:
        raise Incompatible("this is about classes, and the strategy's discriminator tells none apart: try --ssl kplus1")
    return out.logits


def label_loss(s: Step, by: str = "discriminator") -> Tensor:
    """Return the cross-entropy of the labelled images."""
    return F.cross_entropy(logits_of(s.see("labelled", by=by)[0]), s.batch.labels)

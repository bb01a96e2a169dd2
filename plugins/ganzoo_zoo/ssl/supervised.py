"""The baseline: the discriminator's trunk as a classifier of the labelled images, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.contracts import Terms
from ganzoo.critic import last_layer
from ganzoo.strategy import SemiSupervised, Step


class ClassHead(nn.Module):
    """K class logits; realness is their log-sum-exp, which a K+1 discriminator trains and a classifier does not."""

    def __init__(self, trunk: nn.Module, classes: int) -> None:
        super().__init__()
        self.classes = last_layer(trunk, classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map features `[B, F]` to (adv [B], class logits [B, K])."""
        logits = self.classes(features)
        return logits.logsumexp(1), logits


@dataclass
class Supervised(SemiSupervised):
    """Cross-entropy of the labelled images."""

    gan: bool = field(default=False, init=False)

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return a classifier of K classes."""
        return ClassHead(trunk, shape.classes)

    def discriminator(self, s: Step) -> Terms:
        """Return the cross-entropy of the labelled images."""
        (labelled,) = s.see("labelled")
        assert labelled.logits is not None
        return {"label": F.cross_entropy(labelled.logits, s.batch.labels)}

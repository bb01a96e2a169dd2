"""The baseline: the discriminator's trunk as a classifier of the labelled images, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from ganzoo import ImageShape
from ganzoo.contracts import Terms
from ganzoo.strategy import SemiSupervised, Step
from ganzoo_zoo.ssl.heads import ClassHead, label_loss


@dataclass
class Supervised(SemiSupervised):
    """Cross-entropy of the labelled images."""

    gan: bool = field(default=False, init=False)

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return a classifier of K classes."""
        return ClassHead(trunk, shape)

    def discriminator(self, s: Step) -> Terms:
        """Return the cross-entropy of the labelled images."""
        return {"label": label_loss(s)}

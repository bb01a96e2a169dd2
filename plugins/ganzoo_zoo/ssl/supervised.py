"""The supervised baseline: the discriminator's trunk as a classifier of the labelled images."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from ganzoo import ImageShape
from ganzoo.strategy.base import SemiSupervised
from ganzoo.strategy.players import Terms
from ganzoo.strategy.step import Step
from ganzoo_zoo.ssl.heads import ClassHead, label_loss


@dataclass
class Supervised(SemiSupervised):
    """A classifier trained on the labelled images only, without a GAN."""

    gan: bool = field(default=False, init=False)

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return a classification head."""
        return ClassHead(trunk, shape)

    def discriminator(self, s: Step) -> Terms:
        """Return the cross-entropy of the labelled images."""
        return {"label": label_loss(s)}

"""Class-conditional GANs, trained on the labelled images."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.strategy.base import Strategy
from ganzoo.strategy.networks import last_layer
from ganzoo.strategy.players import Terms
from ganzoo.strategy.step import Step
from ganzoo_zoo.ssl.heads import Projection, label_loss, logits_of


class ProjectionHead(Projection):
    """Projection head: the adversarial logit of an image given its class, and no class logits.

    Args:
        trunk: The trunk whose features the head is given.
        shape: Shape of the images.
    """

    def forward(self, features: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Map features `[B, F]` and classes `[B]` to (adversarial logits `[B]`, None)."""
        return self.project(features, y), None


class AuxiliaryHead(nn.Module):
    """Adversarial logit and class logits.

    Args:
        trunk: The trunk whose features the head is given.
        shape: Shape of the images.
    """

    def __init__(self, trunk: nn.Module, shape: ImageShape) -> None:
        super().__init__()
        self.adv, self.classes = last_layer(trunk, 1), last_layer(trunk, shape.classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map features `[B, F]` to (adversarial logits `[B]`, class logits `[B, K]`)."""
        return self.adv(features).squeeze(1), self.classes(features)


@dataclass
class ProjectionGAN(Strategy):
    """Class-conditional GAN with a projection discriminator. Miyato and Koyama 2018, arXiv:1802.05637, eq. 3.

    The logit contains the inner product of the features and a class embedding. Only labelled images are used, so it is
    meant for fully labelled data, `--labels all`.
    """

    views = ("labelled",)
    needs_labels = True
    needs_conditional = True

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return a head that computes ψ(f) + ⟨v_y, f⟩."""
        return ProjectionHead(trunk, shape)


@dataclass
class AuxiliaryClassifierGAN(Strategy):
    """Class-conditional GAN whose discriminator also classifies (AC-GAN). Odena et al. 2017, arXiv:1610.09585, §3.

    L_D = loss_D + weight · (CE of labelled images + CE of generated images); L_G = loss_G + generator_weight · CE. Only
    labelled images are used, so it is meant for fully labelled data, `--labels all`.

    Args:
        weight: Weight of the class terms in the discriminator's loss.
        generator_weight: Weight of the class term in the generator's loss.
        on_fakes: Train the discriminator to classify generated images too, as in the paper.
    """

    weight: float = 1.0
    generator_weight: float = 1.0
    on_fakes: bool = True

    views = ("labelled",)
    needs_labels = True
    needs_conditional = True

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return a head with an adversarial logit and class logits."""
        return AuxiliaryHead(trunk, shape)

    def discriminator(self, s: Step) -> Terms:
        """Return loss_D and the class terms L_C of §3."""
        terms = {**super().discriminator(s), "label": self.weight * label_loss(s)}
        return terms | ({"fake_label": self.weight * self.class_loss(s)} if self.on_fakes else {})

    def generator(self, s: Step) -> Terms:
        """Return loss_G and the class term."""
        return {**super().generator(s), "class": self.generator_weight * self.class_loss(s)}

    def class_loss(self, s: Step) -> Tensor:
        """Return the cross-entropy of generated images with the classes they were generated for."""
        assert s.y is not None
        return F.cross_entropy(logits_of(s.discriminate("fake")[0]), s.y)

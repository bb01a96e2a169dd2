"""Class-conditional GANs: the labelled images are the real ones, and each is judged with its class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.contracts import Terms
from ganzoo.critic import last_layer
from ganzoo.strategy import Step, Strategy
from ganzoo_zoo.ssl.heads import Projection, label_loss, logits_of


class ProjectionHead(Projection):
    """Realness of an image as one of its class, and no class logits."""

    def forward(self, features: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Map features `[B, F]` and classes `[B]` to (adv [B], None)."""
        return self.project(features, y), None


class AuxiliaryHead(nn.Module):
    """Realness, and class logits beside it."""

    def __init__(self, trunk: nn.Module, shape: ImageShape) -> None:
        super().__init__()
        self.adv, self.classes = last_layer(trunk, 1), last_layer(trunk, shape.classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map features `[B, F]` to (adv [B], class logits [B, K])."""
        return self.adv(features).squeeze(1), self.classes(features)


@dataclass
class ProjectionGAN(Strategy):
    """A conditional GAN whose discriminator takes the inner product of features and class. Miyato and Koyama 2018,
    arXiv:1802.05637, eq. 3.

    It learns from labelled images alone: it is meant for data whose labels are all there, `--labels all`.
    """

    views: ClassVar[tuple[str, ...]] = ("labelled",)
    needs_labels: ClassVar[bool] = True
    needs_conditional: ClassVar[bool] = True

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return ψ(f) + ⟨v_y, f⟩."""
        return ProjectionHead(trunk, shape)


@dataclass
class AuxiliaryClassifierGAN(Strategy):
    """A conditional GAN whose discriminator also says which class an image is of. Odena et al. 2017,
    arXiv:1610.09585, §3.

    L_D = loss_D + weight · (CE of labelled images + CE of generated ones); L_G = loss_G + generator_weight · CE. It
    learns from labelled images alone: it is meant for data whose labels are all there, `--labels all`.

    Args:
        weight: of the class terms in the discriminator's loss.
        generator_weight: of the class term in the generator's loss.
        on_fakes: let the discriminator learn the classes of generated images too, as in the paper.
    """

    weight: float = 1.0
    generator_weight: float = 1.0
    on_fakes: bool = True

    views: ClassVar[tuple[str, ...]] = ("labelled",)
    needs_labels: ClassVar[bool] = True
    needs_conditional: ClassVar[bool] = True

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return realness and class logits."""
        return AuxiliaryHead(trunk, shape)

    def discriminator(self, s: Step) -> Terms:
        """Return loss_D and the class terms L_C of §3."""
        terms = {**super().discriminator(s), "label": self.weight * label_loss(s)}
        return terms | ({"fake_label": self.weight * self.asked(s)} if self.on_fakes else {})

    def generator(self, s: Step) -> Terms:
        """Return loss_G and the class term."""
        return {**super().generator(s), "class": self.generator_weight * self.asked(s)}

    def asked(self, s: Step) -> Tensor:
        """Return the cross-entropy of generated images with the classes that were asked for."""
        assert s.y is not None
        return F.cross_entropy(logits_of(s.see("fake")[0]), s.y)

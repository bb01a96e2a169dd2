"""S3GAN: a conditional GAN from few labels, by co-training. Lucic et al. 2019, arXiv:1903.02271, §3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.contracts import Terms
from ganzoo.critic import last_layer
from ganzoo.strategy import SemiSupervised, Step
from ganzoo_zoo.ssl.heads import Projection, label_loss

TURNS = 4


class ProjectionHead(Projection):
    """Realness of an image as one of a class, and class logits.

    Where the class is unknown it is the most probable one, taken as given (§3.2). A third layer says by how many
    quarter turns an image was turned (§3.3).
    """

    def __init__(self, trunk: nn.Module, shape: ImageShape) -> None:
        super().__init__(trunk, shape)
        self.classes, self.turns = last_layer(trunk, shape.classes), last_layer(trunk, TURNS)

    def forward(self, features: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map features `[B, F]` and classes `[B]` (-1: unknown) to (adv [B], class logits [B, K])."""
        logits: Tensor = self.classes(features)
        guess = logits.detach().argmax(1)
        return self.project(features, guess if y is None else torch.where(y < 0, guess, y)), logits


@dataclass
class CoTraining(SemiSupervised):
    """A projection discriminator that learns to label: true labels where known, its own guesses elsewhere (S2GAN-CO).

    The class layer is trained on the labelled images. The discriminator's realness of an image depends on its class:
    the true one of a labelled image, the guessed one of another, and the one asked for of a generated image. With
    rotation_weight both players also make real and generated images whose quarter turns can be told (S3GAN).

    Args:
        label_weight: weight of the labelled images' cross-entropy.
        labelled_share: weight of the labelled images among the real ones of the adversarial loss.
        rotation_weight: weight of the discriminator's cross-entropy of turned real images.
        rotation_weight_generator: weight of the generator's, of turned generated images.
    """

    label_weight: float = 1.0
    labelled_share: float = 0.1
    rotation_weight: float = 0.0
    rotation_weight_generator: float = 0.0

    needs_conditional: ClassVar[bool] = True

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return the projection, the classes and the turns."""
        return ProjectionHead(trunk, shape)

    def discriminator(self, s: Step) -> Terms:
        """Return the adversarial loss of both sorts of real images, and the class and rotation terms."""
        terms: Terms = {}
        if self.gan:
            labelled, real, fake = s.see("labelled", "real", "fake")
            share = self.labelled_share
            terms["adversarial"] = (1 - share) * s.discriminator_loss(real, fake)
            if share:
                terms["adversarial"] = terms["adversarial"] + share * s.discriminator_loss(labelled, fake)
            if self.rotation_weight:
                terms["rotation"] = self.rotation_weight * self.rotation(s, "real")
        return {**terms, "label": self.label_weight * label_loss(s)}

    def generator(self, s: Step) -> Terms:
        """Return the adversarial and the rotation term."""
        terms = {"adversarial": s.generator_loss()}
        if self.rotation_weight_generator:
            terms["rotation"] = self.rotation_weight_generator * self.rotation(s, "fake")
        return terms

    def rotation(self, s: Step, name: str) -> Tensor:
        """Return the cross-entropy of how far images of this name were turned, each by 0 to 3 quarters."""
        x = s.images(name)
        quarters = torch.randint(TURNS, (len(x),)).to(s.device)
        (out,) = s.judge(turned(x, quarters))
        head = s.critic.head
        assert isinstance(head, ProjectionHead)
        with torch.autocast(s.device.type, enabled=False):
            return F.cross_entropy(head.turns(out.features), quarters)


def turned(x: Tensor, quarters: Tensor) -> Tensor:
    """Turn each image `[B, C, H, H]` by its number of quarters `[B]`."""
    every = torch.stack([x.rot90(k, (2, 3)) for k in range(TURNS)])
    return every[quarters, torch.arange(len(x), device=x.device)]

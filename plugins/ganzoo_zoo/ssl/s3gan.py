"""S3GAN: a conditional GAN from few labels, by co-training. Lucic et al. 2019, arXiv:1903.02271, §3."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.strategy.base import SemiSupervised
from ganzoo.strategy.networks import last_layer
from ganzoo.strategy.players import Terms
from ganzoo.strategy.step import Step
from ganzoo_zoo.ssl.heads import Projection, label_loss

TURNS = 4


class ProjectionHead(Projection):
    """Projection head with class logits; where the class is unknown, the predicted one is used (§3.2).

    A third layer, `turns`, classifies the rotation of the image by multiples of 90° (§3.3).

    Args:
        trunk: The trunk whose features the head is given.
        shape: Shape of the images.
    """

    def __init__(self, trunk: nn.Module, shape: ImageShape) -> None:
        super().__init__(trunk, shape)
        self.classes, self.turns = last_layer(trunk, shape.classes), last_layer(trunk, TURNS)

    def forward(self, features: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map features `[B, F]` and classes `[B]`, -1 if unknown, to (adversarial logits `[B]`, class logits)."""
        logits: Tensor = self.classes(features)
        guess = logits.detach().argmax(1)
        return self.project(features, guess if y is None else torch.where(y < 0, guess, y)), logits


@dataclass
class CoTraining(SemiSupervised):
    """Conditional GAN from few labels, whose discriminator predicts the missing ones (S2GAN-CO, S3GAN).

    The class layer is trained on the labelled images. The adversarial logit is conditioned on a class: the true class
    of a labelled image, the predicted class of an unlabelled image, and the class that an image was generated for. With
    rotation weights, the discriminator also predicts the rotation of real images and the generator makes that of its
    images predictable (S3GAN).

    Args:
        label_weight: Weight of the labelled images' cross-entropy.
        labelled_share: Weight of the labelled images among the real ones in the adversarial loss, in [0, 1].
        rotation_weight: Weight of the rotation loss of real images in the discriminator's loss.
        rotation_weight_generator: Weight of the rotation loss of generated images in the generator's loss.
    """

    label_weight: float = 1.0
    labelled_share: float = 0.1
    rotation_weight: float = 0.0
    rotation_weight_generator: float = 0.0

    needs_conditional = True

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return a projection head with class and rotation logits."""
        return ProjectionHead(trunk, shape)

    def discriminator(self, s: Step) -> Terms:
        """Return the adversarial loss of labelled and unlabelled images, the class term and the rotation term."""
        terms: Terms = {}
        if self.gan:
            labelled, real, fake = s.discriminate("labelled", "real", "fake")
            share = self.labelled_share
            terms["adversarial"] = (1 - share) * s.discriminator_loss(real, fake)
            if share:
                terms["adversarial"] = terms["adversarial"] + share * s.discriminator_loss(labelled, fake)
            if self.rotation_weight:
                terms["rotation"] = self.rotation_weight * self.rotation(s, "real")
        return {**terms, "label": self.label_weight * label_loss(s)}

    def generator(self, s: Step) -> Terms:
        """Return the adversarial term and the rotation term."""
        terms = {"adversarial": s.generator_loss()}
        if self.rotation_weight_generator:
            terms["rotation"] = self.rotation_weight_generator * self.rotation(s, "fake")
        return terms

    def rotation(self, s: Step, name: str) -> Tensor:
        """Return the cross-entropy of the rotation of images, each rotated by a random multiple of 90°.

        Args:
            s: The step.
            name: Name of the images, as "real" or "fake".
        """
        x = s.images(name)
        quarters = torch.randint(TURNS, (len(x),)).to(s.device)
        (out,) = s.discriminate_images(rotate(x, quarters))
        head = s.discriminator.head
        assert isinstance(head, ProjectionHead)
        with torch.autocast(s.device.type, enabled=False):
            return F.cross_entropy(head.turns(out.features), quarters)


def rotate(x: Tensor, quarters: Tensor) -> Tensor:
    """Rotate images.

    Args:
        x: Images `[B, C, H, H]`.
        quarters: Number of 90° rotations of each image, `[B]` int64 in 0 to 3.
    """
    rotations = torch.stack([x.rot90(k, (2, 3)) for k in range(TURNS)])
    return rotations[quarters, torch.arange(len(x), device=x.device)]

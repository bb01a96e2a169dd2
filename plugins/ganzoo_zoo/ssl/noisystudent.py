"""A second classifier learns the first one's sure guesses on changed images. Xie et al. 2020, arXiv:1911.04252."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from ganzoo.contracts import DiscOutput, Networks, Player, Terms
from ganzoo.critic import Critic
from ganzoo.strategy import Kit, Step
from ganzoo_zoo.discriminators.cnn13 import Discriminator as Cnn13
from ganzoo_zoo.ssl.heads import ClassHead, logits_of
from ganzoo_zoo.ssl.kplus1 import KPlusOne
from ganzoo_zoo.ssl.schedules import rise


@dataclass
class NoisyStudent(KPlusOne):
    """K+1, whose averaged discriminator teaches a student: a CNN-13 that sees the images strongly changed.

    L_student = mean w CE(student(strong view), q). Where the teacher is sure of the weak view, max p ≥ τ, q is its p
    and w is 1; elsewhere q is the averaged student's own guess, and w rises from 0 to 1 over the student's time, so
    that it settles by itself what its teacher left open. Guesses are made anew in every step, not once a generation as
    in the paper. What the model answers is the student's word, and a little of the teacher's, which is all there is
    before the student begins.

    A fully connected teacher and a convolutional student are of different kinds on purpose: they do not err alike.

    Args:
        start: part of the run after which the student learns; before, there is only a teacher.
        threshold: τ.
        teacher: weight of the teacher's log-probabilities beside the student's in the answer.
        width: channels of the student's first block.
        dropout: probability of dropping a value between the student's blocks.
    """

    start: float = 0.8
    threshold: float = 0.999
    teacher: float = 0.1
    width: int = 16
    dropout: float = 0.1

    views: ClassVar[tuple[str, ...]] = ("weak", "strong")

    def __post_init__(self) -> None:
        if not 0 <= self.start < 1:
            raise ValueError(f"a student that begins to learn at {self.start} of the run has no time for it")

    def networks(self, kit: Kit) -> dict[str, nn.Module]:
        """Return K+1's networks and the student."""
        trunk = Cnn13(kit.shape, width=self.width, dropout=self.dropout, noise=0.0)
        head = ClassHead(trunk, kit.shape)
        for parameter in head.parameters():  # until it has learnt, it says nothing
            nn.init.zeros_(parameter)
        return {**super().networks(kit), "student": Critic(trunk, head)}

    def players(self) -> list[Player]:
        """Return K+1's players, and the student, to whom the strong view is what is real."""
        return [*super().players(), Player("student", ("student",), self.student, real="strong")]

    def student(self, s: Step) -> Terms:
        """Return the student's term, or none before it begins."""
        if s.progress < self.start:
            return {}
        q, w = self.guess(s.averaged, s.images("weak"), rise(s.progress, self.start, 1.0))
        said = logits_of(s.see("real", by="student")[0]).log_softmax(1)
        return {"guess": -(w * (q * said).sum(1)).mean()}

    @torch.no_grad()
    def guess(self, networks: Networks, x: Tensor, own: float) -> tuple[Tensor, Tensor]:
        """Return probabilities `[B, K]` to learn of images, and their weights `[B]`, `own` for the student's."""
        teacher, student = (
            logits_of(cast(DiscOutput, networks[name](x))).softmax(1) for name in ("discriminator", "student")
        )
        sure = teacher.amax(1) >= self.threshold
        return torch.where(sure[:, None], teacher, student), torch.where(sure, 1.0, own)

    def classify(self, networks: Networks, x: Tensor) -> Tensor:
        """Return the student's log-probabilities and a part of the teacher's, as logits `[B, K]`."""
        student, teacher = (
            logits_of(cast(DiscOutput, networks[name](x))).log_softmax(1) for name in ("student", "discriminator")
        )
        return student + self.teacher * teacher

"""A second classifier learns the first one's sure guesses on changed images. Xie et al. 2020, arXiv:1911.04252."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from ganzoo import create
from ganzoo.contracts import DiscOutput, Networks, Player, Terms
from ganzoo.critic import Critic
from ganzoo.errors import Incompatible
from ganzoo.strategy import Kit, SemiSupervised, Step, Strategy
from ganzoo_zoo.discriminators.cnn13 import Discriminator as Cnn13
from ganzoo_zoo.ssl.heads import ClassHead, logits_of
from ganzoo_zoo.ssl.schedules import rise


@dataclass
class NoisyStudent(SemiSupervised):
    """Another strategy, whose averaged classifier teaches a student: a CNN-13 that sees the images strongly changed.

    L_student = mean w CE(student(strong view), q). Where the teacher is sure of the weak view, max p ≥ τ, q is its p
    and w is 1; elsewhere q is what the averaged model answers, and w rises from 0 to 1 over the student's time, so that
    the two settle what the teacher left open. Guesses are made anew in every step, not once a generation as in the
    paper. What the model answers is the student's word and, weighted, the teacher's, which is all there is before the
    student begins.

    A fully connected teacher and a convolutional student are of different kinds on purpose: they do not err alike. A
    teacher whose rate is 0 by then (`optimizer.until`) costs the student's steps nothing but its guesses.

    Args:
        of: the strategy that trains the teacher.
        options: that strategy's options.
        start: part of the run after which the student learns; before, there is only a teacher.
        threshold: τ.
        teacher: weight of the teacher's log-probabilities beside the student's in the answer.
        width: channels of the student's first block.
        dropout: probability of dropping a value between the student's blocks.
    """

    of: str = "kplus1"
    options: Mapping[str, Any] = field(default_factory=dict)
    start: float = 0.8
    threshold: float = 0.999
    teacher: float = 0.1
    width: int = 16
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.start < 1:
            raise ValueError(f"a student that begins to learn at {self.start} of the run has no time for it")
        self.first: Strategy = create("ssl", self.of, **{"gan": self.gan, **self.options})
        views = tuple(dict.fromkeys([*self.first.views, "weak", "strong"]))
        vars(self).update(views=views, needs_conditional=self.first.needs_conditional)  # what others say for a class

    def networks(self, kit: Kit) -> dict[str, nn.Module]:
        """Return the teacher's networks and the student. Raises Incompatible when its teacher is a student too."""
        networks = self.first.networks(kit)
        if "student" in networks:
            raise Incompatible(f"{self.of} has a student of its own; choose its teacher: --set ssl.of=kplus1")
        trunk = Cnn13(kit.shape, width=self.width, dropout=self.dropout, noise=0.0)
        head = ClassHead(trunk, kit.shape)
        for parameter in head.parameters():  # until it has learnt, it says nothing
            nn.init.zeros_(parameter)
        return {**networks, "student": Critic(trunk, head)}

    def players(self) -> list[Player]:
        """Return the teacher's players, and the student, to whom the strong view is what is real."""
        return [*self.first.players(), Player("student", ("student",), self.student, real="strong")]

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
        teacher, student = self.said(networks, x)
        sure = teacher.amax(1).exp() >= self.threshold
        answer = self.answer(teacher, student)
        return torch.where(sure[:, None], teacher, answer).softmax(1), torch.where(sure, 1.0, own)

    def classify(self, networks: Networks, x: Tensor) -> Tensor:
        """Return the student's log-probabilities and a part of the teacher's, as logits `[B, K]`."""
        return self.answer(*self.said(networks, x))

    def answer(self, teacher: Tensor, student: Tensor) -> Tensor:
        """Return what the model answers, as logits, of the log-probabilities of the two."""
        return student + self.teacher * teacher

    def said(self, networks: Networks, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities `[B, K]` of teacher and student. Raises Incompatible when the teacher has none."""
        teacher = self.first.classify(networks, x)
        if teacher is None:
            raise Incompatible(f"{self.of} tells no classes apart, so it cannot teach; try --set ssl.of=kplus1")
        return teacher.log_softmax(1), logits_of(cast(DiscOutput, networks["student"](x))).log_softmax(1)

    def reconstruct(self, networks: Networks, x: Tensor) -> Tensor | None:
        """Return what the teacher's strategy makes of images."""
        return self.first.reconstruct(networks, x)

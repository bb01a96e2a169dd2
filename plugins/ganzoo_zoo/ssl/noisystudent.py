"""A second classifier learns what it and the first say, on changed images. Xie et al. 2020, arXiv:1911.04252."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import create
from ganzoo.contracts import DiscOutput, Networks, Player, Terms
from ganzoo.critic import Critic
from ganzoo.errors import Incompatible
from ganzoo.strategy import Kit, SemiSupervised, Step, Strategy
from ganzoo_zoo.discriminators.cnn13 import Discriminator as Cnn13
from ganzoo_zoo.ssl.heads import ClassHead, logits_of


@dataclass
class NoisyStudent(SemiSupervised):
    """Another strategy, whose averaged classifier teaches a student: a CNN-13 that sees the images strongly changed.

    L_student = mean CE(student(strong view), q), where q is what both averaged networks say of the weak view: the
    normalised product of the student's probabilities and the teacher's, these to the power `teacher`. Where the teacher
    is unsure, the student comes to decide. Guesses are soft, and made anew in every step, not once a generation as in
    the paper. The answer is such a product too, with the power `answer`; before the student begins, it is the teacher's
    class, for the student says nothing.

    A fully connected teacher and a convolutional student are of different kinds on purpose: they do not err alike. A
    teacher whose rate is 0 by then (`optimizer.until`) costs the student's steps nothing but its guesses.

    Args:
        of: the strategy that trains the teacher.
        options: that strategy's options.
        start: part of the run after which the student learns; before, there is only a teacher.
        teacher: weight of the teacher's log-probabilities beside the student's, in what the student learns.
        answer: the same in what is answered; above 0. Small for a student that has learnt long enough to know better.
        width: channels of the student's first block.
        dropout: probability of dropping a value between the student's blocks.
    """

    of: str = "kplus1"
    options: Mapping[str, Any] = field(default_factory=dict)
    start: float = 0.5
    teacher: float = 1.0
    answer: float = 1.0
    width: int = 16
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.start < 1:
            raise ValueError(f"a student that begins to learn at {self.start} of the run has no time for it")
        if self.answer <= 0:
            raise ValueError(f"a teacher's weight of {self.answer} leaves no answer before its student begins; try 0.1")
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
        with torch.no_grad():
            guess = self.both(s.averaged, s.images("weak"), self.teacher).softmax(1)
        return {"guess": F.cross_entropy(logits_of(s.see("real", by="student")[0]), guess)}

    def classify(self, networks: Networks, x: Tensor) -> Tensor:
        """Return what both say, as logits `[B, K]`. Raises Incompatible when the teacher's strategy has no classes."""
        return self.both(networks, x, self.answer)

    def both(self, networks: Networks, x: Tensor, weight: float) -> Tensor:
        """Return the student's log-probabilities and the weighted teacher's, added."""
        teacher = self.first.classify(networks, x)
        if teacher is None:
            raise Incompatible(f"{self.of} tells no classes apart, so it cannot teach; try --set ssl.of=kplus1")
        student = logits_of(cast(DiscOutput, networks["student"](x))).log_softmax(1)
        return student + weight * teacher.log_softmax(1)

    def reconstruct(self, networks: Networks, x: Tensor) -> Tensor | None:
        """Return what the teacher's strategy makes of images."""
        return self.first.reconstruct(networks, x)

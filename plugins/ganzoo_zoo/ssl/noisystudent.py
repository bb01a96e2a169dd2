"""A student classifier, trained with the soft pseudo-labels of an ensemble. After Xie et al. 2020, arXiv:1911.04252."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import create
from ganzoo.errors import Incompatible
from ganzoo.strategy.base import NetworkBuilder, SemiSupervised, Strategy
from ganzoo.strategy.networks import DiscOutput, HeadedNetwork, Networks
from ganzoo.strategy.players import Player, Terms
from ganzoo.strategy.step import Step
from ganzoo_zoo.discriminators.cnn13 import Discriminator as Cnn13
from ganzoo_zoo.ssl.heads import ClassHead, logits_of


@dataclass
class NoisyStudent(SemiSupervised):
    """Another strategy as the teacher, and a CNN-13 as the student, trained on strongly augmented images.

    L_student = mean CE(student(strong view), q), where q is the prediction of both averaged networks for the weak view:
    the normalised product of the student's probabilities and the teacher's, the latter to the power of `teacher`. Where
    the teacher is uncertain, the student increasingly decides. The pseudo-labels are soft and computed in every step,
    where the paper computes them once per generation. Predictions of the model are such a product too, with the power
    `answer`. Until the student is trained its output is uniform, so the prediction is the teacher's class.

    A fully connected teacher and a convolutional student are different on purpose, because they make different errors.
    A teacher whose learning rate has decayed to 0 by `start` (see `optimizer.decay_end`) costs the student's steps only
    its predictions.

    Args:
        of: Strategy that trains the teacher.
        options: Options of that strategy.
        start: Fraction of the run after which the student is trained, in [0, 1).
        teacher: Weight of the teacher's log-probabilities relative to the student's, in the pseudo-labels.
        answer: The same weight in predictions, above 0. Small values suit a student that is trained long enough to
            surpass its teacher.
        width: Channels of the student's first block.
        dropout: Probability of dropping a value between the student's blocks.

    Raises:
        ValueError: `start` is not in [0, 1), or `answer` is not positive.
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
            raise ValueError(f"start is a fraction of the run in [0, 1), not {self.start}")
        if self.answer <= 0:
            raise ValueError(
                f"answer is above 0, not {self.answer}: before `start` only the teacher can predict; try 0.1"
            )
        self.teacher_strategy: Strategy = create("ssl", self.of, **{"gan": self.gan, **self.options})
        self.views = tuple(dict.fromkeys([*self.teacher_strategy.views, "weak", "strong"]))
        self.needs_conditional = self.teacher_strategy.needs_conditional

    def networks(self, builder: NetworkBuilder) -> dict[str, nn.Module]:
        """Return the teacher's networks and the student.

        Args:
            builder: Builds generators and trunks.

        Raises:
            Incompatible: The teacher's strategy has a student itself.
        """
        networks = self.teacher_strategy.networks(builder)
        if "student" in networks:
            raise Incompatible(f"{self.of} has a student itself and cannot be a teacher; try --set ssl.of=kplus1")
        trunk = Cnn13(builder.shape, width=self.width, dropout=self.dropout, noise=0.0)
        head = ClassHead(trunk, builder.shape)
        for parameter in head.parameters():  # uniform probabilities until the student is trained
            nn.init.zeros_(parameter)
        return {**networks, "student": HeadedNetwork(trunk, head)}

    def players(self) -> list[Player]:
        """Return the teacher's players and the student, for which the strong view counts as real."""
        return [*self.teacher_strategy.players(), Player("student", ("student",), self.student, real="strong")]

    def student(self, s: Step) -> Terms:
        """Return the student's term, or none before `start`."""
        if s.progress < self.start:
            return {}
        with torch.no_grad():
            guess = self.combined_logits(s.averaged, s.images("weak"), self.teacher).softmax(1)
        return {"guess": F.cross_entropy(logits_of(s.discriminate("real", network="student")[0]), guess)}

    def classify(self, networks: Networks, x: Tensor) -> Tensor:
        """Classify images by student and teacher together.

        Args:
            networks: Networks by name.
            x: Images `[B, C, H, W]` in [-1, 1].

        Returns:
            Class logits `[B, K]`.

        Raises:
            Incompatible: The teacher's strategy trains no classifier.
        """
        return self.combined_logits(networks, x, self.answer)

    def combined_logits(self, networks: Networks, x: Tensor, weight: float) -> Tensor:
        """Return the sum of the student's log-probabilities and the teacher's, weighted.

        Args:
            networks: Networks by name.
            x: Images `[B, C, H, W]` in [-1, 1].
            weight: Weight of the teacher.

        Returns:
            Class logits `[B, K]`.

        Raises:
            Incompatible: The teacher's strategy trains no classifier.
        """
        teacher = self.teacher_strategy.classify(networks, x)
        if teacher is None:
            raise Incompatible(f"{self.of} trains no classifier and cannot be a teacher; try --set ssl.of=kplus1")
        student = logits_of(cast(DiscOutput, networks["student"](x))).log_softmax(1)
        return student + weight * teacher.log_softmax(1)

    def reconstruct(self, networks: Networks, x: Tensor) -> Tensor | None:
        """Return the reconstruction of the teacher's strategy."""
        return self.teacher_strategy.reconstruct(networks, x)

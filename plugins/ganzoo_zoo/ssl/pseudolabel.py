"""Pseudo-labels: predictions of the classifier as labels. Lee 2013, ICML workshop."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ganzoo.strategy.players import Terms
from ganzoo.strategy.step import Step
from ganzoo_zoo.ssl.heads import logits_of
from ganzoo_zoo.ssl.kplus1 import KPlusOne
from ganzoo_zoo.ssl.schedules import linear_ramp


@dataclass
class PseudoLabel(KPlusOne):
    """K+1 with the cross-entropy of unlabelled images with their predicted class; Lee's method with gan=false.

    L = L_K+1 + α(t) · mean CE(f(x), argmax f(x)), where α is 0 until `start`, then increases linearly to `weight` at
    `end` (eqs. 15 and 16; epochs 100 and 600 in the paper). Pseudo-labels are computed in every step. With a threshold,
    only images whose predicted class has at least that probability are used (as in Oliver et al. 2018,
    arXiv:1804.09170).

    Args:
        weight: Final value of α.
        start: Fraction of the run after which α increases.
        end: Fraction of the run at which α reaches its final value.
        threshold: Smallest probability of a pseudo-label, in [0, 1]; 0 uses all, as in the paper.

    Raises:
        ValueError: `end` is before `start`.
    """

    weight: float = 3.0
    start: float = 0.1
    end: float = 0.6
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"end is at least start, {self.start}, not {self.end}")

    def discriminator(self, s: Step) -> Terms:
        """Return K+1's terms and the pseudo-labels' cross-entropy."""
        (real, *_) = s.discriminate("real", "labelled", *self.fakes)
        alpha = self.weight * linear_ramp(s.progress, self.start, self.end)
        guess = guess_loss(logits_of(real), logits_of(real), self.threshold)
        return {**super().discriminator(s), "guess": alpha * guess}


def guess_loss(logits: Tensor, guesses: Tensor, threshold: float = 0.0, soft: bool = False) -> Tensor:
    """Return the cross-entropy with pseudo-labels: mean 1(max p ≥ τ) CE(logits, argmax p).

    Args:
        logits: Class logits `[B, K]` to train.
        guesses: Class logits `[B, K]` of the probabilities p; detached.
        threshold: Smallest probability τ of a pseudo-label.
        soft: Use p itself as the target instead of its most probable class.
    """
    p = guesses.detach().softmax(1)
    probability, label = p.max(1)
    loss = F.cross_entropy(logits, p if soft else label, reduction="none")
    return (loss * (probability >= threshold)).mean()

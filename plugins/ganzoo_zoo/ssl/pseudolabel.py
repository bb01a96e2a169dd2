"""Pseudo-labels: the classifier's own guesses as labels. Lee 2013, ICML workshop."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ganzoo.contracts import Terms
from ganzoo.strategy import Step
from ganzoo_zoo.ssl.heads import logits_of
from ganzoo_zoo.ssl.kplus1 import KPlusOne
from ganzoo_zoo.ssl.schedules import rise


@dataclass
class PseudoLabel(KPlusOne):
    """K+1, and the unlabelled images' cross-entropy with the class they are guessed to be of; Lee's with gan=off.

    L = L_K+1 + α(t) · mean CE(f(x), argmax f(x)), where α is 0 up to `start`, rises linearly to `weight` at `end`, and
    stays (eqs. 15 and 16; there epochs 100 and 600). Guesses are made anew in every step. With a threshold, only images
    whose guess is at least that probable count (as in Oliver et al. 2018, arXiv:1804.09170).

    Args:
        weight: α at its full value.
        start: part of the run after which α begins to rise.
        end: part of the run at which α is full.
        threshold: how probable a guess has to be to count; 0 takes all, as in the paper.
    """

    weight: float = 3.0
    start: float = 0.1
    end: float = 0.6
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"its weight cannot be full at {self.end} and begin to rise at {self.start}")

    def discriminator(self, s: Step) -> Terms:
        """Return K+1's terms and the one of the guesses."""
        (real, *_) = s.see("real", "labelled", *self.fakes)
        alpha = self.weight * rise(s.progress, self.start, self.end)
        guess = guess_loss(logits_of(real), logits_of(real), self.threshold)
        return {**super().discriminator(s), "guess": alpha * guess}


def guess_loss(logits: Tensor, guesses: Tensor, threshold: float = 0.0, soft: bool = False) -> Tensor:
    """Return mean 1(max p ≥ τ) CE(logits, argmax p), p the probabilities of `guesses` `[B, K]`, taken as given.

    soft: the cross-entropy with p itself instead of its likeliest class.
    """
    p = guesses.detach().softmax(1)
    probability, label = p.max(1)
    loss = F.cross_entropy(logits, p if soft else label, reduction="none")
    return (loss * (probability >= threshold)).mean()

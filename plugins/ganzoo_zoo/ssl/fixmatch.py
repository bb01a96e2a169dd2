"""FixMatch: guess from a weakly changed image, learn on a strongly changed one. Sohn et al. 2020, arXiv:2001.07685."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor

from ganzoo.contracts import DiscOutput, Terms
from ganzoo.strategy import Step
from ganzoo_zoo.ssl.heads import logits_of
from ganzoo_zoo.ssl.kplus1 import KPlusOne
from ganzoo_zoo.ssl.pseudolabel import guess_loss


@dataclass
class FixMatch(KPlusOne):
    """K+1, and FixMatch's term of the unlabelled images (eq. 4); the paper's own with gan=off.

    λ · mean 1(max q ≥ τ) CE(p(strong view), argmax q), where q = p(weak view) is taken as given. The weak view is what
    `data.flip` and `data.shift` say; the strong one is `data.strength`. The paper has seven unlabelled images to a
    labelled one: batch and labelled_batch.

    Wrong guesses that are sure make surer ones, until whole classes are taken for others. `align` is against that,
    where classes are equally frequent: q is divided by its mean over the batch before it is a guess (distribution
    alignment, Berthelot et al. 2020, arXiv:1911.09785, §3.1; the batch stands for its running mean).

    Args:
        weight: λ.
        threshold: τ.
        soft: learn the guess as probabilities, not as its likeliest class; with threshold=0 as UDA without sharpening
            (Xie et al. 2020, arXiv:1904.12848, eq. 1).
        align: guess all classes equally often.
        teacher: let the averaged weights guess, without dropout or noise, instead of the network that learns.
    """

    weight: float = 1.0
    threshold: float = 0.95
    soft: bool = False
    align: bool = False
    teacher: bool = False

    views: ClassVar[tuple[str, ...]] = ("weak", "strong")

    def discriminator(self, s: Step) -> Terms:
        """Return K+1's terms and FixMatch's."""
        others = ("real", *self.fakes) if self.gan or not self.teacher else ()
        strong, _, *rest = s.see("strong", "labelled", *others, given=() if self.gan else ("real",))
        guesses = self.taught(s) if self.teacher else logits_of(rest[0])
        guesses = aligned(guesses) if self.align else guesses
        guess = guess_loss(logits_of(strong), guesses, self.threshold, self.soft)
        return {**super().discriminator(s), "guess": self.weight * guess}

    @torch.no_grad()
    def taught(self, s: Step) -> Tensor:
        """Return the averaged network's logits of the weak view."""
        return logits_of(cast(DiscOutput, s.averaged["discriminator"](s.images("real"))))


def aligned(guesses: Tensor) -> Tensor:
    """Return log(q / mean q) of the probabilities q of guesses `[B, K]`: logits that favour classes seldom guessed.

    A class has at least a hundredth of its share in the mean: one image alone does not stand for it.
    """
    log_q = guesses.float().log_softmax(1)
    share = log_q.exp().mean(0).clamp_min(0.01 / log_q.shape[1])
    return log_q - share.log()

"""FixMatch: pseudo-labels by weak augmentation, training by strong augmentation. Sohn et al. 2020, arXiv:2001.07685."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from ganzoo.strategy.networks import DiscOutput
from ganzoo.strategy.players import Terms
from ganzoo.strategy.step import Step
from ganzoo_zoo.ssl.heads import logits_of
from ganzoo_zoo.ssl.kplus1 import KPlusOne
from ganzoo_zoo.ssl.pseudolabel import guess_loss


@dataclass
class FixMatch(KPlusOne):
    """K+1 with FixMatch's term on unlabelled images (eq. 4); with gan=false it is FixMatch itself.

    λ · mean 1(max q ≥ τ) CE(p(strong view), argmax q), where q = p(weak view) is detached. `data.flip` and `data.shift`
    define the weak view, `data.strength` the strong one. The paper uses seven unlabelled images per labelled one; see
    `batch_size` and `labelled_batch_size`.

    Confident wrong pseudo-labels reinforce themselves, until whole classes are confused. If the classes are equally
    frequent, `align` counteracts this: q is divided by its mean over the batch before it is used (distribution
    alignment, Berthelot et al. 2020, arXiv:1911.09785, §3.1, with the batch in place of a running mean).

    Args:
        weight: Weight λ.
        threshold: Confidence threshold τ, in [0, 1].
        soft: Use the probabilities as targets, not the most probable class. With threshold=0 this is UDA without
            sharpening (Xie et al. 2020, arXiv:1904.12848, eq. 1).
        align: Align the distribution of pseudo-labels with equally frequent classes.
        teacher: Compute pseudo-labels by the averaged weights, without dropout or noise, instead of the network being
            trained.
    """

    weight: float = 1.0
    threshold: float = 0.95
    soft: bool = False
    align: bool = False
    teacher: bool = False

    views = ("weak", "strong")

    def discriminator(self, s: Step) -> Terms:
        """Return K+1's terms and FixMatch's."""
        others = ("real", *self.fakes) if self.gan or not self.teacher else ()
        strong, _, *rest = s.discriminate("strong", "labelled", *others, detached=() if self.gan else ("real",))
        guesses = self.teacher_logits(s) if self.teacher else logits_of(rest[0])
        guesses = align_distribution(guesses) if self.align else guesses
        guess = guess_loss(logits_of(strong), guesses, self.threshold, self.soft)
        return {**super().discriminator(s), "guess": self.weight * guess}

    @torch.no_grad()
    def teacher_logits(self, s: Step) -> Tensor:
        """Return the averaged network's class logits of the weak view."""
        return logits_of(cast(DiscOutput, s.averaged["discriminator"](s.images("real"))))


def align_distribution(logits: Tensor) -> Tensor:
    """Divide class probabilities by their mean over the batch.

    The mean of a class is at least a hundredth of its uniform share, so that a single image cannot dominate it.

    Args:
        logits: Class logits `[B, K]` of the probabilities q.

    Returns:
        log(q / mean q) `[B, K]`: logits that favour classes that are rarely predicted.
    """
    log_q = logits.float().log_softmax(1)
    mean = log_q.exp().mean(0).clamp_min(0.01 / log_q.shape[1])
    return log_q - mean.log()

"""What the tests of losses and penalties share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ganzoo_zoo.losses.gan import (
    energy,
    hinge,
    lsgan,
    minimax,
    nonsaturating,
    relativistic,
    relativistic_average,
    wasserstein,
)
from torch import Tensor

from ganzoo.strategy.step import AdversarialLoss
from tests.zoo.math.reference import (
    sigmoid,
)

Naive = Callable[[list[Tensor], list[Tensor]], Any]


def logs(p: list[Tensor]) -> Tensor:
    return sum(x.log() for x in p) / len(p)


def mean(x: list[Tensor]) -> Tensor:
    return sum(x) / len(x)


def likely(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """V(D, G) of Goodfellow et al. 2014, eq. 1."""
    return logs([sigmoid(r) for r in real]) + logs([1 - sigmoid(f) for f in fake])


def smoothed(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Cross-entropies with the targets 0.9 and 0."""
    ones = -mean([0.9 * sigmoid(r).log() + 0.1 * (1 - sigmoid(r)).log() for r in real])
    return ones - logs([1 - sigmoid(f) for f in fake])


def square(x: list[Tensor], target: float) -> Tensor:
    return mean([(v - target) ** 2 for v in x]) / 2


def over(x: list[Tensor], y: list[Tensor]) -> Tensor:
    """Minus the log-likelihood that each x leads the mean of y, and that no y leads the mean of x."""
    return -logs([sigmoid(v - mean(y)) for v in x]) - logs([1 - sigmoid(v - mean(x)) for v in y])


def e(x: Tensor) -> Tensor:
    return (1 + (-x).exp()).log()


LOSSES: dict[str, tuple[AdversarialLoss, Naive, Naive]] = {
    "nonsaturating": (nonsaturating(), lambda r, f: -likely(r, f), lambda r, f: -logs([sigmoid(x) for x in f])),
    "smoothed": (nonsaturating(0.1), smoothed, lambda r, f: -logs([sigmoid(x) for x in f])),
    "minimax": (minimax(), lambda r, f: -likely(r, f), lambda r, f: logs([1 - sigmoid(x) for x in f])),
    "minimax smoothed": (minimax(0.1), smoothed, lambda r, f: logs([1 - sigmoid(x) for x in f])),
    "lsgan": (lsgan(), lambda r, f: square(r, 1) + square(f, 0), lambda r, f: square(f, 1)),
    "lsgan pearson": (
        lsgan(fake_target=-1, real_target=1, wanted=0),
        lambda r, f: square(r, 1) + square(f, -1),
        lambda r, f: square(f, 0),
    ),
    "hinge": (
        hinge(),
        lambda r, f: mean([max(0, 1 - x) for x in r]) + mean([max(0, 1 + x) for x in f]),
        lambda r, f: -mean(f),
    ),
    "wasserstein": (wasserstein(), lambda r, f: mean(f) - mean(r), lambda r, f: -mean(f)),
    "relativistic": (
        relativistic(),
        lambda r, f: -logs([sigmoid(a - b) for a, b in zip(r, f, strict=True)]),
        lambda r, f: -logs([sigmoid(b - a) for a, b in zip(r, f, strict=True)]),
    ),
    "relativistic average": (relativistic_average(), over, lambda r, f: over(f, r)),
    "energy": (
        energy(margin=2),
        lambda r, f: mean([e(x) for x in r]) + mean([max(0, 2 - e(x)) for x in f]),
        lambda r, f: mean([e(x) for x in f]),
    ),
}

"""Measures of a classifier, against their definitions image by image."""

from __future__ import annotations

from fractions import Fraction
from statistics import fmean

import pytest
import torch

from ganzoo.metrics import ClassCounts
from ganzoo.metrics.classification import uneven
from ganzoo.metrics.held_out import LOGGED_CLASSES, to_row


def counted(pairs: list[tuple[int, int]], classes: int) -> ClassCounts:
    """Count (truth, predicted) pairs."""
    truth, predicted = torch.tensor(pairs).T
    return ClassCounts.of(predicted, truth, classes)


def test_the_error_hides_a_class_that_is_never_predicted() -> None:
    counts = counted([(0, 0)] * 90 + [(1, 1)] * 4 + [(1, 0)] * 4 + [(2, 0)] * 2, 3)
    assert counts.recall == [1, 0.5, 0]
    assert counts.error == pytest.approx(0.06)
    assert counts.balanced_error == pytest.approx(0.5)
    f1 = [2 / (1 / Fraction(90, 96) + 1), 2 / (1 / Fraction(1) + 2), 0]  # harmonic means of precision and recall
    assert counts.macro_f1 == pytest.approx(float(sum(f1) / 3))
    mean_precision, mean_recall = (90 / 96 + 1 + 0) / 3, 1.5 / 3
    assert counts.macro_f1 < 2 * mean_precision * mean_recall / (mean_precision + mean_recall)  # the other definition


def test_classes_without_images() -> None:
    pairs = [(0, 0), (0, 0), (0, 1), (1, 1)]
    only = counted(pairs, 2)
    unseen = counted(pairs, 4)
    assert unseen.recall == [*only.recall, None, None]
    assert unseen.measures() == only.measures()
    guessed = counted([*pairs, (1, 3)], 4)  # a class without images is predicted: its F1 is 0, and it has no recall
    assert guessed.recall == [2 / 3, 1 / 2, None, None]
    assert guessed.balanced_error == pytest.approx(1 - (2 / 3 + 1 / 2) / 2)
    assert guessed.macro_f1 == pytest.approx((4 / 5 + 2 / 4 + 0) / 3)


def test_measures_are_those_of_their_definitions() -> None:
    rng = torch.Generator().manual_seed(0)
    for _ in range(20):
        truth, predicted = (torch.randint(0, 6, (25,), generator=rng).tolist() for _ in range(2))
        pairs = list(zip(truth, predicted, strict=True))
        recalls, f1 = [], []
        for k in sorted({*truth, *predicted}):
            hits, images, guesses = pairs.count((k, k)), truth.count(k), predicted.count(k)
            precision, recall = hits / guesses if guesses else 0.0, hits / images if images else 0.0
            recalls += [recall] if images else []
            f1.append(2 * precision * recall / (precision + recall) if hits else 0.0)
        counts = counted(pairs, 7)
        assert counts.error == pytest.approx(sum(t != p for t, p in pairs) / 25)
        assert counts.balanced_error == pytest.approx(1 - fmean(recalls))
        assert counts.macro_f1 == pytest.approx(fmean(f1))


def test_the_balanced_error_of_even_classes_is_the_error() -> None:
    counts = counted([(0, 0), (0, 1), (1, 1), (1, 1), (2, 2), (2, 0)], 3)
    assert counts.balanced_error == pytest.approx(counts.error)


@pytest.mark.parametrize(("support", "answer"), [([35, 37, 36], False), ([500, 50, 5], True), ([10, 0], True)])
def test_uneven(support: list[int], answer: bool) -> None:
    assert uneven(support) == answer


def test_a_row_has_names_that_trackers_take_and_stays_small() -> None:
    averaged, raw = counted([(0, 0), (1, 0)], 3), counted([(0, 0), (1, 1)], 3)
    row = to_row(averaged, raw, ["a/b (c)", "d", "absent"])
    assert row == {
        "error": 0.5, "balanced_error": 0.5, "macro_f1": pytest.approx(1 / 3),
        "error_raw": 0, "balanced_error_raw": 0, "macro_f1_raw": 1, "recall/a_b _c_": 1, "recall/d": 0,
    }  # fmt: skip
    many = counted([(k, k) for k in range(1000)], 1000)
    assert len(to_row(many, many, [f"{k}" for k in range(1000)])) < LOGGED_CLASSES

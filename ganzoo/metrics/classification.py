"""What is said of a classifier, and stays honest where some classes have many more images than others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganzoo.run.rows import BALANCED_ERROR, ERROR, MACRO_F1

UNEVEN = 1.5
"""Images of the largest class, relative to the smallest one, beyond which classes are uneven."""


@dataclass(frozen=True)
class ClassCounts:
    """Counts of classified images: the row sums, the column sums and the diagonal of a confusion matrix.

    All measures below follow from them, and unlike the matrix they stay small if there are thousands of classes.

    Attributes:
        support: Number of images of each class `[K]`; not all 0.
        predicted: Number of images that were classified as each class `[K]`.
        correct: Number of images of each class that were classified correctly `[K]`.
    """

    support: Tensor
    predicted: Tensor
    correct: Tensor

    @classmethod
    def of(cls, predicted: Tensor, truth: Tensor, classes: int) -> ClassCounts:
        """Count classified images.

        Args:
            predicted: Predicted classes `[N]`, N ≥ 1.
            truth: True classes `[N]`.
            classes: Number of classes K.
        """
        return cls(*(torch.bincount(x, minlength=classes) for x in (truth, predicted, truth[predicted == truth])))

    @property
    def error(self) -> float:
        """Fraction of the images that were classified wrongly, in [0, 1]."""
        return int((self.support - self.correct).sum()) / int(self.support.sum())

    @property
    def recall(self) -> list[float | None]:
        """Fraction of each class's images that were classified correctly, in [0, 1]; None if a class has no image."""
        pairs = zip(self.correct.tolist(), self.support.tolist(), strict=True)
        return [correct / images if images else None for correct, images in pairs]

    @property
    def balanced_error(self) -> float:
        """1 - mean recall of the classes that have images, in [0, 1].

        References:
            Brodersen et al. 2010, doi:10.1109/ICPR.2010.764.
        """
        present = self.support > 0
        return 1 - float((self.correct[present].double() / self.support[present]).mean())

    @property
    def macro_f1(self) -> float:
        """Mean of the F1 scores of the classes, in [0, 1].

        The F1 score of a class is the harmonic mean of its precision and recall: 2 · correct / (support + predicted). A
        class that has no image and was never predicted has no F1 score and is left out; one that has no image and was
        predicted has the score 0.

        References:
            Opitz and Burst 2019, arXiv:1911.03347: the mean of F1 scores, and not the F1 score of mean precision and
            mean recall, which favours classifiers whose errors are skewed and may be larger by up to 0.5.
        """
        total = self.support + self.predicted
        return float((2 * self.correct[total > 0].double() / total[total > 0]).mean())

    def measures(self) -> dict[str, float]:
        """Return error, balanced error and macro F1 by name."""
        return {ERROR: self.error, BALANCED_ERROR: self.balanced_error, MACRO_F1: self.macro_f1}


def uneven(support: Sequence[int]) -> bool:
    """Return whether some classes have many more images than others.

    Args:
        support: Number of images of each class.
    """
    return max(support) > UNEVEN * min(support)

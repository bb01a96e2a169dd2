"""Metrics of the classifier that a semi-supervised model is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo.errors import BadData
from ganzoo.metrics import Evidence
from ganzoo.metrics.evidence import uint8


@dataclass
class Accuracy:
    """Held-out images that are classified rightly, by class too, and how well probabilities are calibrated.

    calibration_error: the mean difference between confidence and accuracy in bins of confidence, weighted by their
    images (Guo et al. 2017, arXiv:1706.04599, eq. 3). recall/CLASS: images of a class that are found.

    Args:
        bins: of confidence.
    """

    bins: int = 15
    smaller_is_better: ClassVar[bool] = False

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `accuracy`, `calibration_error`, and the recall of each class. All held-out images count."""
        labels = evidence.data.test_labels
        known = (labels >= 0).nonzero().flatten()
        if not len(known):
            raise BadData("no labelled image is held out, and accuracy is about those; see --set data.test_fraction")
        said = torch.cat([evidence.gan.classify(images) for images in uint8(evidence.data.test, known)])
        truth = labels[known]
        matrix = confusion(said.argmax(1), truth, evidence.data.shape.classes)
        recall = matrix.diagonal() / matrix.sum(1).clamp_min(1)
        return {
            "accuracy": float((said.argmax(1) == truth).float().mean()),
            "calibration_error": calibration_error(said, truth, self.bins),
            **{f"recall/{name}": float(r) for name, r in zip(evidence.data.class_names, recall, strict=True)},
        }


def confusion(said: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Return how many images of each class (rows) were said to be of each (columns), `[K, K]`."""
    return torch.bincount(truth * classes + said, minlength=classes**2).reshape(classes, classes)


def calibration_error(probabilities: Tensor, truth: Tensor, bins: int) -> float:
    """Return the expected calibration error in [0, 1] of probabilities `[N, K]`."""
    confidence, said = probabilities.double().max(1)
    right = (said == truth).double()
    place = (confidence * bins).long().clamp_max(bins - 1)
    gap = torch.zeros(bins, dtype=torch.float64).index_add_(0, place, right - confidence)
    return float(gap.abs().sum() / len(truth))

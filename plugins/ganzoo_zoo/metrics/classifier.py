"""Metrics of the classifier that a semi-supervised model is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ganzoo.data.prepare import Images, InMemory
from ganzoo.errors import BadData, Incompatible
from ganzoo.metrics import Evidence
from ganzoo.metrics.evidence import BATCH, chosen, uint8
from ganzoo.pictures import from_uint8
from ganzoo_zoo.extractors.classifier import trained


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
        known = evidence.held_out()
        places = torch.split(known, BATCH)
        said = torch.cat([evidence.gan.classify(images) for images in uint8(evidence.data.test, places)])
        truth = evidence.data.test_labels[known]
        matrix = confusion(said.argmax(1), truth, evidence.data.shape.classes)
        recall = matrix.diagonal() / matrix.sum(1).clamp_min(1)
        return {
            "accuracy": float((said.argmax(1) == truth).float().mean()),
            "calibration_error": calibration_error(said, truth, self.bins),
            **{f"recall/{name}": float(r) for name, r in zip(evidence.data.class_names, recall, strict=True)},
        }


@dataclass
class ClassificationAccuracyScore:
    """The held-out accuracy of a classifier that was trained on generated images alone, each of the class that it was
    made for; beside it, that of the same classifier trained on as many real ones. Ravuri and Vinyals 2019,
    arXiv:1905.10887, §3.

    Args:
        steps: of Adam, on batches of 128.
        lr: learning rate at the start.
    """

    steps: int = 300
    lr: float = 2e-3
    smaller_is_better: ClassVar[bool] = False

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `cas` and `cas_real`."""
        data, device = evidence.data, evidence.gan.device
        if not evidence.conditional:
            raise Incompatible(
                "a classifier can learn from generated images of known class alone: --set gen.conditional=true"
            )
        known, labels = evidence.held_out(), evidence.classes
        if labels is None or evidence.number < data.shape.classes:
            raise BadData(
                f"{evidence.number} generated images are fewer than one of each of {data.shape.classes} classes"
            )
        numbers = torch.arange(evidence.number)
        made = InMemory(torch.cat([*evidence.generated(torch.split(numbers, BATCH))]))
        some = chosen(len(data.labelled), evidence.number, evidence.seed)
        learnt: dict[str, tuple[Images, Tensor, Tensor]] = {"cas": (made, numbers, labels)}
        if len(some):
            evidence.used["train"] = len(some)
            learnt["cas_real"] = (data.train, data.labelled[some], data.labels[some])
        return {
            name: self.accuracy(trained(*images, data.shape, self.steps, self.lr, device), evidence, known)
            for name, images in learnt.items()
        }

    @staticmethod
    @torch.no_grad()
    def accuracy(network: Any, evidence: Evidence, known: Tensor) -> float:
        """Return the held-out accuracy of a network."""
        network.eval()
        images = uint8(evidence.data.test, torch.split(known, BATCH))
        said = torch.cat(
            [network["head"](network["body"](from_uint8(x.to(evidence.gan.device)))).argmax(1) for x in images]
        )
        return float((said.cpu() == evidence.data.test_labels[known]).float().mean())


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

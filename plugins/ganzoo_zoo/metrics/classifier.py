"""Metrics that involve a classifier: accuracy, calibration and classification accuracy score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ganzoo.base.pictures import from_uint8
from ganzoo.data.images import InMemory
from ganzoo.errors import BadData, Incompatible
from ganzoo.metrics import ClassCounts, Evidence
from ganzoo.metrics.evidence import BATCH, choose_indices, read_batches
from ganzoo_zoo.extractors.classifier import TrainingSet, train_classifier


@dataclass
class Accuracy:
    """Accuracy and calibration of the classifier on held-out images, and measures for which all classes count the same.

    `balanced_error` is 1 - mean recall of the classes that have held-out images (Brodersen et al. 2010,
    doi:10.1109/ICPR.2010.764). `macro_f1` is the mean of the F1 scores of the classes, without classes that have no
    held-out image and are never predicted (Opitz and Burst 2019, arXiv:1911.03347). `recall/CLASS` is the fraction of a
    class's images that are classified correctly; a class without held-out images has none.

    `calibration_error` is the expected calibration error: the mean difference between confidence and accuracy over bins
    of confidence, weighted by their number of images (Guo et al. 2017, arXiv:1706.04599, eq. 3).

    Args:
        bins: Number of bins of confidence.
    """

    bins: int = 15
    smaller_is_better: ClassVar[bool] = False

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `accuracy`, `balanced_error`, `macro_f1`, `calibration_error` and `recall/CLASS`, each in [0, 1].

        All held-out images with a label are classified.

        Args:
            evidence: Model and data set.
        """
        known = evidence.held_out()
        places = torch.split(known, BATCH)
        probabilities = torch.cat(
            [evidence.gan.classify(images) for images in read_batches(evidence.data.test, places)]
        )
        truth = evidence.data.test_labels[known]
        counts = ClassCounts.of(probabilities.argmax(1), truth, evidence.data.shape.classes)
        recalls = zip(evidence.data.class_names, counts.recall, strict=True)
        return {
            "accuracy": 1 - counts.error,
            "balanced_error": counts.balanced_error,
            "macro_f1": counts.macro_f1,
            "calibration_error": calibration_error(probabilities, truth, self.bins),
            **{f"recall/{name}": recall for name, recall in recalls if recall is not None},
        }


@dataclass
class ClassificationAccuracyScore:
    """Classification accuracy score (CAS). Ravuri and Vinyals 2019, arXiv:1905.10887, §3.

    The accuracy, on held-out images, of a classifier trained on generated images only, labelled with the class that
    each was generated for. For comparison, the same classifier is trained on as many labelled real images.

    Args:
        steps: Steps of Adam, on batches of 128 images.
        lr: Initial learning rate.
    """

    steps: int = 300
    lr: float = 2e-3
    smaller_is_better: ClassVar[bool] = False

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `cas` and, if there are labelled training images, `cas_real`, each in [0, 1].

        Args:
            evidence: Model and data set.

        Raises:
            Incompatible: The generator is not class-conditional.
            BadData: There are fewer generated images than classes, or no held-out images.
        """
        data, device = evidence.data, evidence.gan.device
        if not evidence.conditional:
            raise Incompatible("it needs a class-conditional generator; train with --set gen.conditional=true")
        known, labels = evidence.held_out(), evidence.classes
        if labels is None or evidence.number < data.shape.classes:
            raise BadData(
                f"{evidence.number} generated images are fewer than one for each of {data.shape.classes} classes"
            )
        numbers = torch.arange(evidence.number)
        fake = InMemory(torch.cat([*evidence.generated(torch.split(numbers, BATCH))]))
        some = choose_indices(len(data.labelled), evidence.number, evidence.seed)
        sets = {"cas": TrainingSet(fake, numbers, labels, data.shape)}
        if len(some):
            evidence.used["train"] = len(some)
            sets["cas_real"] = TrainingSet(data.train, data.labelled[some], data.labels[some], data.shape)
        return {
            name: self.accuracy(train_classifier(labelled, self.steps, self.lr, device), evidence, known)
            for name, labelled in sets.items()
        }

    @staticmethod
    @torch.no_grad()
    def accuracy(network: Any, evidence: Evidence, known: Tensor) -> float:
        """Return the accuracy of a network on held-out images.

        Args:
            network: See `build_network`.
            evidence: Model and data set.
            known: Indices `[N]` of the held-out images.
        """
        network.eval()
        images = read_batches(evidence.data.test, torch.split(known, BATCH))
        predicted = torch.cat(
            [network["head"](network["body"](from_uint8(x.to(evidence.gan.device)))).argmax(1) for x in images]
        )
        return float((predicted.cpu() == evidence.data.test_labels[known]).float().mean())


def calibration_error(probabilities: Tensor, truth: Tensor, bins: int) -> float:
    """Return the expected calibration error, in [0, 1].

    Args:
        probabilities: Class probabilities `[N, K]`.
        truth: True classes `[N]`.
        bins: Number of bins of confidence.
    """
    confidence, predicted = probabilities.double().max(1)
    correct = (predicted == truth).double()
    index = (confidence * bins).long().clamp_max(bins - 1)
    gap = torch.zeros(bins, dtype=torch.float64).index_add_(0, index, correct - confidence)
    return float(gap.abs().sum() / len(truth))

"""How a classifier does on held-out images during training. It is reported only, and influences nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ganzoo.data import Batches, Dataset
from ganzoo.metrics.classification import ClassCounts
from ganzoo.model.gan import GAN
from ganzoo.run.rows import RAW, RECALL

BATCH = 256
LOGGED_CLASSES = 12
"""Most classes whose recalls are logged during training; the result of a run has all recalls."""


@torch.no_grad()
def classify_held_out(gans: Mapping[str, GAN], data: Dataset, batches: Batches) -> dict[str, ClassCounts] | None:
    """Classify the held-out images by GANs, in fp32 as in a model folder.

    Args:
        gans: GANs by name.
        data: The data set.
        batches: Converts images for the networks.

    Returns:
        Counts of classified images of each GAN; None if no labelled image is held out, or a GAN has no classifier.
    """
    known = (data.test_labels >= 0).nonzero().flatten()
    if not (data.shape.classes and len(known)):
        return None
    predicted: dict[str, list[Tensor]] = {name: [] for name in gans}
    for gan in gans.values():
        for network in gan.networks.values():
            network.eval()
    for images in data.test.batches(iter(torch.split(known, BATCH))):
        x = batches.augmented(images, "plain")
        for name, gan in gans.items():
            logits = gan.strategy.classify(gan.networks, x)
            if logits is None:
                return None
            predicted[name].append(logits.argmax(1))
    truth, classes = data.test_labels[known], data.shape.classes
    return {name: ClassCounts.of(torch.cat(chunks).cpu(), truth, classes) for name, chunks in predicted.items()}


def to_row(averaged: ClassCounts, raw: ClassCounts, class_names: Sequence[str]) -> dict[str, float]:
    """Return a row of metrics.

    Args:
        averaged: Counts of the averaged networks.
        raw: Counts of the live networks.
        class_names: Names of the classes. Trackers refuse some characters in the names of metrics; these become `_`.

    Returns:
        The measures of the averaged and of the live networks, and the recalls of the averaged ones if there are few
        classes.
    """
    row = averaged.measures() | {name + RAW: value for name, value in raw.measures().items()}
    if len(class_names) > LOGGED_CLASSES:
        return row
    recalls = zip(class_names, averaged.recall, strict=True)
    return row | {RECALL + re.sub(r"[^\w .-]", "_", name): recall for name, recall in recalls if recall is not None}

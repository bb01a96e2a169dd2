"""Examples for the page: how held-out images are classified, and which training images are near generated ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ganzoo.base.pictures import from_uint8, to_pil, to_uint8
from ganzoo.data import Dataset
from ganzoo.metrics.evidence import BATCH, choose_indices, read_batches
from ganzoo.model.gan import GAN
from ganzoo.report.pictures import Picture, picture, sheet

CLASSIFIED = 2000
"""Most held-out images that are classified."""
SEARCHED = 10_000
"""Most training images that are searched for neighbours."""
MISTAKES = 12
NEIGHBOURS = 8
MATRIX = 25
"""Most classes for which the matrix is shown."""
PAIRS = 12


@dataclass(frozen=True)
class Mistake:
    """A held-out image that was classified wrongly.

    Attributes:
        image: The image.
        truth: Its class.
        predicted: The predicted class.
        probability: Probability of the predicted class.
    """

    image: Picture
    truth: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class Confusion:
    """How held-out images were classified.

    Attributes:
        matrix: Confusion matrix, `matrix[truth][predicted]`; empty if there are many classes.
        pairs: Most frequent confusions, as (class, predicted class, count).
        mistakes: Some images that were classified wrongly.
        classified: Number of images that were classified.
        held_out: Number of labelled held-out images.
    """

    matrix: list[list[int]]
    pairs: list[tuple[str, str, int]]
    mistakes: list[Mistake]
    classified: int
    held_out: int


@dataclass(frozen=True)
class Neighbours:
    """Generated images and their nearest training images.

    Attributes:
        pictures: Generated images above, and below each the nearest training image in mean squared error.
        distances: Root mean squared distances, as fractions of the full range.
        searched: Number of training images that were searched.
        train: Number of training images.
    """

    pictures: Picture
    distances: list[float]
    searched: int
    train: int


def confusion(gan: GAN, data: Dataset) -> Confusion | None:
    """Classify held-out images.

    Args:
        gan: The model.
        data: The data set.

    Returns:
        The result; None if no held-out image has a label.

    Raises:
        Incompatible: The model has no classifier.
    """
    known = (data.test_labels >= 0).nonzero().flatten()
    if not len(known):
        return None
    positions = known[choose_indices(len(known), CLASSIFIED, 0)]
    labels, names, classes = data.test_labels[positions].tolist(), gan.class_names, gan.shape.classes
    counts, mistakes, done = torch.zeros(classes, classes, dtype=torch.int64), list[Mistake](), 0
    for images in read_batches(data.test, torch.split(positions, BATCH)):
        probabilities, predictions = (x.tolist() for x in gan.classify(images).max(1))
        for image, p, guess, truth in zip(images, probabilities, predictions, labels[done:], strict=False):
            counts[truth, guess] += 1
            if guess != truth and len(mistakes) < MISTAKES:
                alt = f"An image of {names[truth]}, classified as {names[guess]}"
                mistakes.append(Mistake(picture(to_pil(image), alt), names[truth], names[guess], p))
        done += len(images)
    wrong = counts.clone().fill_diagonal_(0).flatten()
    order = wrong.argsort(descending=True, stable=True)[:PAIRS].tolist()
    pairs = [(names[i // classes], names[i % classes], n) for i in order if (n := int(wrong[i]))]
    return Confusion(counts.tolist() if classes <= MATRIX else [], pairs, mistakes, len(positions), len(known))


def neighbours(gan: GAN, data: Dataset) -> Neighbours:
    """Find the training images nearest to generated ones.

    Args:
        gan: The model.
        data: The data set.

    Raises:
        Incompatible: The model has no generator.
    """
    fake = gan.sample(NEIGHBOURS, seed=0)
    positions = choose_indices(len(data.train), SEARCHED, 0)
    points = from_uint8(to_uint8(fake)).flatten(1)
    distances, nearest = torch.full((len(fake),), float("inf")), torch.zeros_like(fake)
    for images in read_batches(data.train, torch.split(positions, BATCH)):
        real = from_uint8(images)
        minimum = torch.cdist(points, real.flatten(1)).min(1)
        closer = minimum.values < distances
        distances = torch.where(closer, minimum.values, distances)
        nearest[closer] = real[minimum.indices[closer]]
    alt = "Generated images above, and below each the training image that is nearest to it"
    rms = (distances / points.shape[1] ** 0.5 / 2).tolist()
    return Neighbours(sheet(torch.cat([fake, nearest]), len(fake), alt), rms, len(positions), len(data.train))

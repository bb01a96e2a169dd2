"""What a model does with held-out and with training images, as a page shows it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ganzoo.data import Dataset
from ganzoo.metrics.evidence import BATCH, chosen, uint8
from ganzoo.model import GAN
from ganzoo.pictures import from_uint8, to_pil, to_uint8
from ganzoo.report.pictures import Picture, picture, sheet

JUDGED = 2000
SEARCHED = 10_000
MISTAKES = 12
NEIGHBOURS = 8
MATRIX = 25
PAIRS = 12


@dataclass(frozen=True)
class Mistake:
    """A held-out image that is of one class and was said to be of another, and how sure the classifier was."""

    image: Picture
    truth: str
    said: str
    sure: float


@dataclass(frozen=True)
class Confusion:
    """How held-out images were classified: `matrix[truth][said]` counts, or pairs alone where there are many classes.

    judged: how many images. held_out: of how many.
    """

    matrix: list[list[int]]
    pairs: list[tuple[str, str, int]]
    mistakes: list[Mistake]
    judged: int
    held_out: int


@dataclass(frozen=True)
class Neighbours:
    """Generated images, and below each the nearest of so many training images in mean square."""

    pictures: Picture
    distances: list[float]
    searched: int
    train: int


def confusion(gan: GAN, data: Dataset) -> Confusion | None:
    """Return how held-out images are classified; None where none has a label. Raises Incompatible when nothing is."""
    known = (data.test_labels >= 0).nonzero().flatten()
    if not len(known):
        return None
    some = known[chosen(len(known), JUDGED, 0)]
    truth, names, classes = data.test_labels[some], gan.class_names, gan.shape.classes
    counts, mistakes, at = torch.zeros(classes, classes, dtype=torch.int64), list[Mistake](), 0
    for images in uint8(data.test, torch.split(some, BATCH)):
        sure, said = gan.classify(images).max(1)
        for image, p, guess, right in zip(images, sure.tolist(), said.tolist(), truth[at:].tolist(), strict=False):
            counts[right, guess] += 1
            if guess != right and len(mistakes) < MISTAKES:
                words = f"An image of {names[right]}, taken for {names[guess]}"
                mistakes.append(Mistake(picture(to_pil(image), words), names[right], names[guess], p))
        at += len(images)
    apart = counts.clone().fill_diagonal_(0).flatten()
    order = apart.argsort(descending=True, stable=True)[:PAIRS].tolist()
    pairs = [(names[i // classes], names[i % classes], n) for i in order if (n := int(apart[i]))]
    return Confusion(counts.tolist() if classes <= MATRIX else [], pairs, mistakes, len(some), len(known))


def neighbours(gan: GAN, data: Dataset) -> Neighbours:
    """Return the training images nearest to generated ones. Raises Incompatible without generator."""
    made = gan.sample(NEIGHBOURS, seed=0)
    places = chosen(len(data.train), SEARCHED, 0)
    points = from_uint8(to_uint8(made)).flatten(1)
    best, found = torch.full((len(made),), float("inf")), torch.zeros_like(made)
    for images in uint8(data.train, torch.split(places, BATCH)):
        real = from_uint8(images)
        near = torch.cdist(points, real.flatten(1)).min(1)
        closer = near.values < best
        best = torch.where(closer, near.values, best)
        found[closer] = real[near.indices[closer]]
    words = "Generated images above, and below each the training image that is nearest to it"
    rms = (best / points.shape[1] ** 0.5 / 2).tolist()
    return Neighbours(sheet(torch.cat([made, found]), len(made), words), rms, len(places), len(data.train))

"""Metrics of nearest neighbours: fidelity, diversity and memorisation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo.errors import BadData
from ganzoo.metrics import Evidence

ROWS, ENOUGH = 1024, 100


@dataclass
class PRDC:
    """Precision, recall, density and coverage.

    Kynkäänniemi et al. 2019, arXiv:1904.06991; Naeem et al. 2020, arXiv:2002.09797. Each image is the centre of a ball
    that reaches to its k-th nearest neighbour among the images of the same kind.

    - precision: fraction of generated images that lie in the ball of a real image.
    - recall: fraction of real images that lie in the ball of a generated image.
    - density: mean number of real balls that contain a generated image, divided by k.
    - coverage: fraction of real balls that contain a generated image.

    Args:
        k: Neighbour that defines the radius.
    """

    k: int = 5
    smaller_is_better: ClassVar[bool] = False

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `precision`, `recall`, `density` and `coverage`.

        Args:
            evidence: Features of real and generated images.

        Raises:
            BadData: There are no more than k real or generated images.
        """
        real, fake = evidence.real.features, evidence.fake.features
        if min(len(real), len(fake)) <= self.k:
            raise BadData(f"neighbour {self.k} of an image needs more than {min(len(real), len(fake))} images")
        radius = {name: kth(x, x, self.k + 1) for name, x in (("real", real), ("fake", fake))}
        inside = torch.zeros(len(fake))
        recalled, covered = [], []
        for some, radii in zip(torch.split(real, ROWS), torch.split(radius["real"], ROWS), strict=True):
            distance = torch.cdist(some, fake)
            within = distance <= radii[:, None]
            inside += within.sum(0)
            covered.append(within.any(1))
            recalled.append((distance <= radius["fake"]).any(1))
        return {
            "precision": float((inside > 0).float().mean()),
            "recall": float(torch.cat(recalled).float().mean()),
            "density": float(inside.mean() / self.k),
            "coverage": float(torch.cat(covered).float().mean()),
        }


@dataclass
class Memorization:
    """Detects generated images that are copies of training images.

    - authenticity: fraction of generated images that are farther from their nearest training image than that image is
      from its own nearest training neighbour (Alaa et al. 2022, arXiv:2102.08921, §2.2). It decreases if training
      images are copied.
    - copied: fraction of generated images that are closer to a training image than 99 % of the held-out images are.
    """

    smaller_is_better: ClassVar[bool] = False

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `authenticity` and, if images are held out, `copied`.

        Args:
            evidence: Features of training, held-out and generated images.

        Raises:
            BadData: There are fewer than two training images.
        """
        train, fake = evidence.train.features, evidence.fake.features
        if len(train) < 2:
            raise BadData("nearest neighbours need at least two training images")
        distance, index = nearest(fake, train)
        values = {"authenticity": float((distance > kth(train, train, 2)[index]).float().mean())}
        if held_out := min(len(evidence.data.test), evidence.number):
            if held_out < ENOUGH:
                evidence.warnings.append(
                    f"1 % of {held_out} held-out images is less than one image: 'copied' needs at least {ENOUGH}"
                )
            threshold = torch.quantile(nearest(evidence.test.features, train)[0], 0.01)
            values["copied"] = float((distance < threshold).float().mean())
        return values


def distances(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Yield the distances of features x `[N, D]` to y `[M, D]`, for blocks of rows of x."""
    for some in torch.split(x, ROWS):
        yield torch.cdist(some, y)


def kth(x: Tensor, y: Tensor, k: int) -> Tensor:
    """Return the distance `[N]` of each x to its k-th nearest y.

    Args:
        x: Features `[N, D]`.
        y: Features `[M, D]`.
        k: Counted from 1. If x and y are the same, the first neighbour of each is itself.
    """
    return torch.cat([distance.kthvalue(k, dim=1).values for distance in distances(x, y)])


def nearest(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance `[N]` of each x `[N, D]` to its nearest y `[M, D]`, and the index `[N]` of that y."""
    smallest = [distance.min(1) for distance in distances(x, y)]
    return torch.cat([m.values for m in smallest]), torch.cat([m.indices for m in smallest])

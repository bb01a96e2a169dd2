"""Metrics of nearest neighbours: how faithful and how varied generated images are, and whether they are copies."""

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
    """Precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et al. 2020,
    arXiv:2002.09797): balls around images reach to their k-th neighbour of the same sort.

    precision: generated images that lie in a real ball. recall: real ones that lie in a generated ball. density: real
    balls that a generated image lies in, over k. coverage: real balls that hold a generated image.

    Args:
        k: the neighbour that a ball reaches to.
    """

    k: int = 5
    smaller_is_better: ClassVar[bool] = False

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `precision`, `recall`, `density` and `coverage`."""
        real, fake = evidence.real.features, evidence.fake.features
        if min(len(real), len(fake)) <= self.k:
            raise BadData(f"balls to neighbour {self.k} want more images than {min(len(real), len(fake))}")
        reach = {name: kth(x, x, self.k + 1) for name, x in (("real", real), ("fake", fake))}
        inside = torch.zeros(len(fake))
        recalled, covered = [], []
        for some, radii in zip(torch.split(real, ROWS), torch.split(reach["real"], ROWS), strict=True):
            apart = torch.cdist(some, fake)
            within = apart <= radii[:, None]
            inside += within.sum(0)
            covered.append(within.any(1))
            recalled.append((apart <= reach["fake"]).any(1))
        return {
            "precision": float((inside > 0).float().mean()),
            "recall": float(torch.cat(recalled).float().mean()),
            "density": float(inside.mean() / self.k),
            "coverage": float(torch.cat(covered).float().mean()),
        }


@dataclass
class Memorization:
    """Whether generated images are copies of training images.

    authenticity: generated images that lie farther from their nearest training image than this lies from its own
    nearest neighbour (Alaa et al. 2022, arXiv:2102.08921, §2.2); it falls when training images are copied. copied:
    generated images that are nearer to one than 99 % of the images that were held out.
    """

    smaller_is_better: ClassVar[bool] = False

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `authenticity`, and `copied` where images are held out."""
        train, fake = evidence.train.features, evidence.fake.features
        if len(train) < 2:
            raise BadData("neighbours want at least two training images")
        apart, place = nearest(fake, train)
        values = {"authenticity": float((apart > kth(train, train, 2)[place]).float().mean())}
        if held_out := min(len(evidence.data.test), evidence.number):
            if held_out < ENOUGH:
                evidence.warnings.append(
                    f"1 % of {held_out} held-out images is less than one: 'copied' wants {ENOUGH} and more"
                )
            usual = torch.quantile(nearest(evidence.test.features, train)[0], 0.01)
            values["copied"] = float((apart < usual).float().mean())
        return values


def distances(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Return the distances of features `[N, D]` to others `[M, D]`, some rows at a time."""
    for some in torch.split(x, ROWS):
        yield torch.cdist(some, y)


def kth(x: Tensor, y: Tensor, k: int) -> Tensor:
    """Return the distance `[N]` of each x to its k-th nearest y, from 1; of x to x, the first is itself."""
    return torch.cat([apart.kthvalue(k, dim=1).values for apart in distances(x, y)])


def nearest(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance `[N]` of each x to the nearest y, and which that is."""
    found = [apart.min(1) for apart in distances(x, y)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])

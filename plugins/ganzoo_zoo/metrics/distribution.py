"""Distances between the distributions of real and generated images' features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo.errors import BadData, Incompatible
from ganzoo.metrics import Evidence, frechet_distance


@dataclass
class Frechet:
    """The Fréchet distance of Gaussians with the means and covariances of the features; FID with Inception's.

    Heusel et al. 2017, arXiv:1706.08500, eq. 6. It is larger for fewer images, so that their number is part of its
    stamp.
    """

    smaller_is_better: ClassVar[bool] = True

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `fid`."""
        for name, side in (("real", evidence.real), ("generated", evidence.fake)):
            if not side.moments.full_rank:
                evidence.warnings.append(
                    f"{len(side)} {name} images for {side.features.shape[1]} features: their covariance is not of full "
                    "rank, and the distance is too large; give more images"
                )
        return {"fid": frechet_distance(evidence.real.moments, evidence.fake.moments)}


@dataclass
class ClassFrechet:
    """The Fréchet distance within each class, and the mean of them. Generated images have the class they were made for.

    Args:
        fewest: images that a class must have on each side.
    """

    fewest: int = 10
    smaller_is_better: ClassVar[bool] = True

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `class_fid`, the mean, and one value a class."""
        from ganzoo.metrics import Moments

        real, fake = evidence.test, evidence.fake
        if fake.labels is None or real.labels is None:
            raise Incompatible("a distance within classes wants a class-conditional generator and labelled images")
        values = {}
        for number, name in enumerate(evidence.data.class_names):
            own, made = real.features[real.labels == number], fake.features[fake.labels == number]
            if min(len(own), len(made)) < self.fewest:
                raise BadData(
                    f"class '{name}' has {len(own)} real and {len(made)} generated images, and {self.fewest} of "
                    "each are wanted; ask for more with -n, or for fewer with --set class-fid.fewest=N"
                )
            values[f"class_fid/{name}"] = frechet_distance(Moments.of(own), Moments.of(made))
        return {"class_fid": math.fsum(values.values()) / len(values), **values}


@dataclass
class Kernel:
    """The squared maximum mean discrepancy with the kernel (xᵀy / D + 1)³, unbiased; KID with Inception's features.

    Bińkowski et al. 2018, arXiv:1801.01401, §4: the mean and sample standard deviation over random subsets.

    Args:
        subsets: how many.
        size: images of each side in one; all of them where there are fewer.
    """

    subsets: int = 100
    size: int = 1000
    smaller_is_better: ClassVar[bool] = True

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `kid`, and `kid_std` of several subsets."""
        real, fake = evidence.real.features, evidence.fake.features
        size, subsets = min(self.size, len(real), len(fake)), self.subsets
        if size < 2:
            raise BadData("a kernel distance wants at least two images of each side")
        if size < self.size:
            evidence.warnings.append(f"subsets of {size} images instead of {self.size}: there are no more")
        if size == len(real) == len(fake):
            subsets = 1  # there is no other
        rng = torch.Generator().manual_seed(evidence.seed)
        found = torch.tensor(
            [
                discrepancy(*(side[torch.randperm(len(side), generator=rng)[:size]].double() for side in (real, fake)))
                for _ in range(subsets)
            ]
        )
        return {"kid": float(found.mean()), **({"kid_std": float(found.std())} if subsets > 1 else {})}


def discrepancy(x: Tensor, y: Tensor) -> float:
    """Return the unbiased squared discrepancy of features `[N, D]` and `[N, D]`."""
    n, width = x.shape
    within = sum(((s @ s.T / width + 1) ** 3).sum() - ((s.square().sum(1) / width + 1) ** 3).sum() for s in (x, y))
    between = ((x @ y.T / width + 1) ** 3).mean()
    return float(within / (n * (n - 1)) - 2 * between)


@dataclass
class InceptionScore:
    """exp E KL(p(y | x) ‖ p(y)) of the extractor's classes; Salimans et al. 2016, arXiv:1606.03498, §4.

    Args:
        splits: parts of the generated images, of which mean and sample standard deviation are taken.
    """

    splits: int = 10
    smaller_is_better: ClassVar[bool] = False

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `is` and `is_std`."""
        if evidence.fake.logits is None:
            raise Incompatible("this extractor tells no classes, which the Inception score is about; see --features")
        if len(evidence.fake) < self.splits:
            raise BadData(f"{len(evidence.fake)} generated images make no {self.splits} parts")
        order = torch.randperm(len(evidence.fake), generator=torch.Generator().manual_seed(evidence.seed))
        scores = []
        logits = evidence.fake.logits.double()[order]
        for number in range(self.splits):
            part = logits[len(order) * number // self.splits : len(order) * (number + 1) // self.splits]
            logs = part.log_softmax(1)
            marginal = logs.logsumexp(0) - math.log(len(part))
            scores.append((logs.exp() * (logs - marginal)).sum(1).mean().exp())
        found = torch.stack(scores)
        return {"is": float(found.mean()), "is_std": float(found.std()) if len(scores) > 1 else 0.0}

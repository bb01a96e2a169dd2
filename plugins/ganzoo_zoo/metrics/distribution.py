"""Distances between the feature distributions of real and generated images."""

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
    """Fréchet distance between Gaussians fitted to the features; FID with the Inception extractor.

    Heusel et al. 2017, arXiv:1706.08500, eq. 6. The estimate increases as the number of images decreases; scores are
    comparable for equal numbers only.
    """

    smaller_is_better: ClassVar[bool] = True

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `fid`.

        Args:
            evidence: Features of real and generated images.
        """
        for name, side in (("real", evidence.real), ("generated", evidence.fake)):
            if not side.moments.full_rank:
                evidence.warnings.append(
                    f"{len(side)} {name} images for {side.features.shape[1]} features: the covariance does not have "
                    "full rank, and the distance is overestimated; use more images"
                )
        return {"fid": frechet_distance(evidence.real.moments, evidence.fake.moments)}


@dataclass
class ClassFrechet:
    """Fréchet distance within each class of a class-conditional generator, and its mean over the classes.

    Args:
        fewest: Smallest number of real and of generated images per class.
    """

    fewest: int = 10
    smaller_is_better: ClassVar[bool] = True

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `class_fid`, the mean, and `class_fid/CLASS`.

        Args:
            evidence: Features of real and generated images.

        Raises:
            Incompatible: The generator is not class-conditional, or the images have no labels.
            BadData: A class has too few images.
        """
        from ganzoo.metrics import Moments

        real, fake = evidence.test, evidence.fake
        if fake.labels is None or real.labels is None:
            raise Incompatible("it needs a class-conditional generator and labelled images")
        values = {}
        for number, name in enumerate(evidence.data.class_names):
            own, made = real.features[real.labels == number], fake.features[fake.labels == number]
            if min(len(own), len(made)) < self.fewest:
                raise BadData(
                    f"class '{name}' has {len(own)} real and {len(made)} generated images, but {self.fewest} of each "
                    "are needed; generate more with -n, or require fewer with --set class-fid.fewest=N"
                )
            values[f"class_fid/{name}"] = frechet_distance(Moments.of(own), Moments.of(made))
        return {"class_fid": math.fsum(values.values()) / len(values), **values}


@dataclass
class Kernel:
    """Unbiased squared maximum mean discrepancy with the kernel (xᵀy / D + 1)³; KID with the Inception extractor.

    Mean and sample standard deviation over random subsets; Bińkowski et al. 2018, arXiv:1801.01401, §4.

    Args:
        subsets: Number of subsets.
        size: Real and generated images per subset; all images if there are fewer.
    """

    subsets: int = 100
    size: int = 1000
    smaller_is_better: ClassVar[bool] = True

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `kid` and, over several subsets, `kid_std`.

        Args:
            evidence: Features of real and generated images.

        Raises:
            BadData: There are fewer than two real or generated images.
        """
        real, fake = evidence.real.features, evidence.fake.features
        size, subsets = min(self.size, len(real), len(fake)), self.subsets
        if size < 2:
            raise BadData("a kernel distance needs at least two real and two generated images")
        if size < self.size:
            evidence.warnings.append(f"subsets have {size} images instead of {self.size}: there are no more")
        if size == len(real) == len(fake):
            subsets = 1  # all subsets are the same
        rng = torch.Generator().manual_seed(evidence.seed)
        values = torch.tensor(
            [
                discrepancy(*(side[torch.randperm(len(side), generator=rng)[:size]].double() for side in (real, fake)))
                for _ in range(subsets)
            ]
        )
        return {"kid": float(values.mean()), **({"kid_std": float(values.std())} if subsets > 1 else {})}


def discrepancy(x: Tensor, y: Tensor) -> float:
    """Return the unbiased squared maximum mean discrepancy of features x and y, each `[N, D]`."""
    n, width = x.shape
    within = sum(((s @ s.T / width + 1) ** 3).sum() - ((s.square().sum(1) / width + 1) ** 3).sum() for s in (x, y))
    between = ((x @ y.T / width + 1) ** 3).mean()
    return float(within / (n * (n - 1)) - 2 * between)


@dataclass
class InceptionScore:
    """Inception score: exp E KL(p(y | x) ‖ p(y)). Salimans et al. 2016, arXiv:1606.03498, §4.

    Args:
        splits: Number of splits of the generated images; the score is the mean over the splits.
    """

    splits: int = 10
    smaller_is_better: ClassVar[bool] = False

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return `is` and `is_std`, the mean and the sample standard deviation over the splits.

        Args:
            evidence: Features of generated images.

        Raises:
            Incompatible: The extractor has no class logits.
            BadData: There are fewer images than splits.
        """
        if evidence.fake.logits is None:
            raise Incompatible("the Inception score needs an extractor with class logits; see --extractor")
        if len(evidence.fake) < self.splits:
            raise BadData(f"{len(evidence.fake)} generated images cannot be divided into {self.splits} splits")
        order = torch.randperm(len(evidence.fake), generator=torch.Generator().manual_seed(evidence.seed))
        scores = []
        logits = evidence.fake.logits.double()[order]
        for number in range(self.splits):
            split = logits[len(order) * number // self.splits : len(order) * (number + 1) // self.splits]
            logs = split.log_softmax(1)
            marginal = logs.logsumexp(0) - math.log(len(split))
            scores.append((logs.exp() * (logs - marginal)).sum(1).mean().exp())
        values = torch.stack(scores)
        return {"is": float(values.mean()), "is_std": float(values.std()) if len(scores) > 1 else 0.0}

"""Mean and covariance of features, gathered batch by batch, and the Fréchet distance of two such pairs."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass

import torch
from torch import Tensor

ROWS = 4096


@dataclass(frozen=True)
class Moments:
    """Count n, mean `[D]` and scatter Σ (x - mean)(x - mean)ᵀ `[D, D]` of features, in float64.

    Those of two sets make those of their union (Chan, Golub and LeVeque 1983), so that batches and processes can be
    added up in any order, without a sum of squares that cancels.
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Return those of features `[N, D]`, N ≥ 1, some rows at a time: what it needs beside them is a few D × D."""
        parts = torch.split(features, ROWS)
        return functools.reduce(operator.add, map(cls._of_few, parts))

    @classmethod
    def _of_few(cls, features: Tensor) -> Moments:
        x = features.double()
        mean = x.mean(0)
        centred = (x - mean).cpu().numpy()
        return cls(len(x), mean.cpu(), torch.from_numpy(centred.T @ centred))  # numpy's knows it to be symmetric

    def __add__(self, other: Moments) -> Moments:
        count = self.count + other.count
        between = other.mean - self.mean
        scatter = self.scatter + other.scatter + torch.outer(between, between) * (self.count * other.count / count)
        return Moments(count, self.mean + between * (other.count / count), scatter)

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance `[D, D]`."""
        return self.scatter / max(self.count - 1, 1)

    @property
    def full_rank(self) -> bool:
        """Whether there are enough features for a covariance of full rank."""
        return self.count > len(self.mean)

    def root(self) -> Tensor:
        """Return a matrix F `[D, D]` with F Fᵀ = covariance; what rounding made negative is 0."""
        covariance = self.covariance
        triangle: Tensor
        triangle, failed = torch.linalg.cholesky_ex(covariance)  # a tenth of the time, where it can be had
        if not failed:
            return triangle
        values, vectors = torch.linalg.eigh(covariance)
        root: Tensor = vectors * values.clamp_min(0).sqrt()
        return root


def frechet_distance(one: Moments, two: Moments) -> float:
    """Return ‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½). Heusel et al. 2017, arXiv:1706.08500, eq. 6.

    With Σ = F Fᵀ the trace of the root is the sum of the singular values of F₁ᵀ F₂. No root of a product is taken: for
    covariances that are not of full rank, its rounding errors of 1e-16 become 1e-8, D times over.
    """
    shared = torch.linalg.svdvals(one.root().T @ two.root()).sum()
    means = (one.mean - two.mean).square().sum()
    distance = means + one.covariance.trace() + two.covariance.trace() - 2 * shared
    return float(distance.clamp_min(0))

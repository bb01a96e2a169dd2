"""Mean and covariance of features, accumulated in chunks, and the Fréchet distance."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass

import torch
from torch import Tensor

ROWS = 4096


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter matrix of features, in float64.

    The sum of two Moments is that of the union of their features (Chan, Golub and LeVeque 1983), so that chunks can be
    accumulated in any order, without cancellation in a sum of squares.

    Attributes:
        count: Number of features N.
        mean: Mean `[D]`.
        scatter: Scatter matrix Σ (x - mean)(x - mean)ᵀ `[D, D]`.
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Compute the moments of features `[N, D]`, N ≥ 1, in chunks of rows to save memory."""
        chunks = torch.split(features, ROWS)
        return functools.reduce(operator.add, map(cls._of_chunk, chunks))

    @classmethod
    def _of_chunk(cls, features: Tensor) -> Moments:
        x = features.double()
        mean = x.mean(0)
        centred = (x - mean).cpu().numpy()
        return cls(
            len(x), mean.cpu(), torch.from_numpy(centred.T @ centred)
        )  # numpy uses that the product is symmetric

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
        """Whether there are enough features for a covariance matrix of full rank."""
        return self.count > len(self.mean)

    def root(self) -> Tensor:
        """Return a matrix F `[D, D]` with F Fᵀ = covariance. Eigenvalues below 0, due to rounding, are set to 0."""
        covariance = self.covariance
        triangle: Tensor
        triangle, failed = torch.linalg.cholesky_ex(
            covariance
        )  # takes a tenth of the time of eigh, but needs full rank
        if not failed:
            return triangle
        values, vectors = torch.linalg.eigh(covariance)
        root: Tensor = vectors * values.clamp_min(0).sqrt()
        return root


def frechet_distance(one: Moments, two: Moments) -> float:
    """Compute the Fréchet distance ‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½). Heusel et al. 2017, arXiv:1706.08500, eq. 6.

    With Σ = F Fᵀ, the trace of the square root is the sum of the singular values of F₁ᵀ F₂. This avoids the square root
    of a product, which turns rounding errors of 1e-16 into D errors of 1e-8 if a covariance is not of full rank.

    Args:
        one: Moments of some features.
        two: Moments of other features of the same dimension.

    Returns:
        The distance, ≥ 0.
    """
    trace_of_root = torch.linalg.svdvals(one.root().T @ two.root()).sum()
    means = (one.mean - two.mean).square().sum()
    distance = means + one.covariance.trace() + two.covariance.trace() - 2 * trace_of_root
    return float(distance.clamp_min(0))

"""Regularisers and constraints of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ganzoo.strategy.step import Step


@dataclass
class Clip:
    """Weight clipping of the discriminator to [-c, c]. Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1.

    Args:
        limit: Limit c.
    """

    limit: float = 0.01
    every: ClassVar[int] = 1
    player: ClassVar[str] = "discriminator"
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> None:
        """Return None: there is no term."""

    @torch.no_grad()
    def after(self, networks: Sequence[nn.Module]) -> None:
        """Clamp the weights of the networks that have just been updated."""
        for weight in (p for network in networks for p in network.parameters()):
            weight.clamp_(-self.limit, self.limit)


@dataclass
class HistoricalAverage:
    """Historical averaging: weight · ‖θ - θ̄‖². Salimans et al. 2016, arXiv:1606.03498, §3.3.

    θ̄ is the exponential moving average of the weights that the run keeps anyway, so its length is set by `ema`. The
    paper's average weighs all past steps equally.

    Args:
        weight: Weight of the squared distance, summed over all parameters.
        player: Name of the player whose parameters are averaged.
    """

    weight: float = 1e-3
    player: str = "generator"
    every: ClassVar[int] = 1
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the weighted squared distance of the networks being updated from their averages."""
        pairs = [
            (p - past.detach()).square().sum()
            for name in s.updating
            for p, past in zip(s.networks[name].parameters(), s.averaged[name].parameters(), strict=True)
            if p.requires_grad
        ]
        return self.weight * torch.stack(pairs).sum()


@dataclass
class Orthogonal:
    """Orthogonal regularisation: weight · Σ ‖WᵀW ∘ (1 - I)‖². Brock et al. 2019 (BigGAN), arXiv:1809.11096, eq. 3.

    Penalises the inner products of different filters (rows of a matrix), but not their norms.

    Args:
        weight: Weight β; 1e-4 in the paper.
        player: Name of the player whose matrices are regularised.
        every: Steps between two evaluations; the value is then multiplied by that number.
    """

    weight: float = 1e-4
    player: str = "generator"
    every: int = 1
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the penalty for the networks being updated."""
        with torch.autocast(s.device.type, enabled=False):
            return self.weight * torch.stack([orthogonality_loss(w) for w in filter_matrices(s)]).sum()


def filter_matrices(s: Step) -> Iterator[Tensor]:
    """Yield the matrices and convolution kernels of the networks being updated, with filters as rows."""
    for name in s.updating:
        modules = [*s.networks[name].modules()]
        transposed = {id(p) for m in modules if isinstance(m, nn.ConvTranspose2d) for p in m.parameters()}
        for p in s.networks[name].parameters():
            if p.requires_grad and p.ndim > 1:
                filters = (p.transpose(0, 1) if id(p) in transposed else p).flatten(1)
                if filters.shape[1] > 1:  # not the scales of weight norm
                    yield filters


def orthogonality_loss(w: Tensor) -> Tensor:
    """Return Σ_{i≠j} ⟨wᵢ, wⱼ⟩² of the rows of a matrix."""
    products = w @ w.T
    return products.square().sum() - products.diagonal().square().sum()

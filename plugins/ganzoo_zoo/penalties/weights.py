"""Terms and limits of the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ganzoo.step import Step


@dataclass
class Clip:
    """Every weight of the discriminator stays in [-c, c]. Arjovsky et al. 2017, algorithm 1.

    Args:
        limit: c.
    """

    limit: float = 0.01
    every: ClassVar[int] = 1
    player: ClassVar[str] = "discriminator"
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> None:
        """Add no term."""

    @torch.no_grad()
    def after(self, networks: Sequence[nn.Module]) -> None:
        """Clip the weights that have just moved."""
        for weight in (p for network in networks for p in network.parameters()):
            weight.clamp_(-self.limit, self.limit)


@dataclass
class HistoricalAverage:
    """weight · ‖θ - θ̄‖², θ̄ the average of a player's past weights. Salimans et al. 2016, arXiv:1606.03498, §3.3.

    θ̄ is the average that the run keeps anyway, so how far it reaches back is said by `ema`; the paper's reaches back to
    the beginning, and weighs all steps alike.

    Args:
        weight: of the squared distance, summed over all weights.
        player: whose weights.
    """

    weight: float = 1e-3
    player: str = "generator"
    every: ClassVar[int] = 1
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the squared distance of the moving networks from their averages."""
        pairs = [
            (p - past.detach()).square().sum()
            for name in s.moving
            for p, past in zip(s.networks[name].parameters(), s.averaged[name].parameters(), strict=True)
            if p.requires_grad
        ]
        return self.weight * torch.stack(pairs).sum()


@dataclass
class Orthogonal:
    """weight · Σ ‖WᵀW ∘ (1 - I)‖² over a player's matrices. Brock et al. 2019 (BigGAN), arXiv:1809.11096, eq. 3.

    Filters, the rows of a matrix, are asked to be at right angles, whatever their lengths.

    Args:
        weight: β; 1e-4 in the paper.
        player: whose matrices.
        every: steps between two such terms; each is then so many times as strong.
    """

    weight: float = 1e-4
    player: str = "generator"
    every: int = 1
    per_sample: ClassVar[bool] = False

    def __call__(self, s: Step) -> Tensor:
        """Return the term for the networks that move."""
        with torch.autocast(s.device.type, enabled=False):
            return self.weight * torch.stack([oblique(w) for w in matrices(s)]).sum()


def matrices(s: Step) -> Iterator[Tensor]:
    """Yield every weight of the moving networks that is a matrix or a convolution's kernel, its rows the filters."""
    for name in s.moving:
        modules = [*s.networks[name].modules()]
        turned = {id(p) for m in modules if isinstance(m, nn.ConvTranspose2d) for p in m.parameters()}
        for p in s.networks[name].parameters():
            if p.requires_grad and p.ndim > 1:
                filters = (p.transpose(0, 1) if id(p) in turned else p).flatten(1)
                if filters.shape[1] > 1:  # the lengths that weight norm learns have no angle
                    yield filters


def oblique(w: Tensor) -> Tensor:
    """Return Σ_{i≠j} ⟨wᵢ, wⱼ⟩² of the rows of a matrix."""
    products = w @ w.T
    return products.square().sum() - products.diagonal().square().sum()

"""Averaged weights: a bias-corrected exponential moving average of every network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ganzoo.base.torch_private import lerp_


def averaging_weight(decay: float, step: int) -> float:
    """Return the weight of the newest parameters in a bias-corrected average after `step` ≥ 1 of them.

    The average is then (1-β) Σ βᵗ⁻ⁱ wᵢ / (1-βᵗ): Kingma and Ba 2015 (Adam), §3, for weights.

    Args:
        decay: β in [0, 1).
        step: t, how many parameters have been averaged, this one included.
    """
    return (1 - decay) / (1 - decay**step)


class WeightAverage:
    """Keeps averaged copies of networks up to date.

    Args:
        networks: The networks that are trained.
        averaged: Their copies.
        decay: β of the moving average, in [0, 1).

    Attributes:
        since: For each network that has been updated, the step of its first update: its average begins there.
    """

    def __init__(self, networks: Mapping[str, nn.Module], averaged: Mapping[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.since: dict[str, int] = {}
        pairs = {n: (averaged[n], networks[n]) for n in networks}
        self._weights: dict[str, list[list[Tensor]]] = {
            n: [list(i.parameters()) for i in pair] for n, pair in pairs.items()
        }
        self._buffers = {n: [list(i.buffers()) for i in pair] for n, pair in pairs.items()}

    def begin(self, networks: tuple[str, ...], step: int) -> None:
        """Note that networks are updated in a step, counted from 0."""
        for name in networks:
            self.since.setdefault(name, step)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Average the weights after so many steps. Buffers are copied from the trained networks."""
        for name, first in self.since.items():
            averaged, live = self._weights[name]
            lerp_(averaged, live, averaging_weight(self.decay, step - first))
            for old, new in zip(*self._buffers[name], strict=True):
                old.copy_(new)

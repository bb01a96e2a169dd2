"""Heads that need nothing of a method: a single real/fake logit."""

from __future__ import annotations

from torch import Tensor, nn

from ganzoo.strategy.networks import last_layer


class RealnessHead(nn.Module):
    """One adversarial logit and no classes.

    Args:
        trunk: The trunk whose features the head is given.
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.adv = last_layer(trunk, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map features `[B, F]` to (adversarial logits `[B]`, None)."""
        return self.adv(features).squeeze(1), None

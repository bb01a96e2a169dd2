"""A discriminator: a plugin's trunk and a strategy's head as one module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from ganzoo.contracts import DiscOutput, Trunk

BatchNorm = nn.modules.batchnorm._BatchNorm


class Critic(nn.Module):
    """Trunk + head. The head runs in fp32: log-sum-exp and softplus of its logits do not survive bf16.

    batch_statistics: whether an image's output depends on the other images of its batch, through batch norm or a module
    with a true attribute `mixes_batch`. batch_norm: whether it has the first. conditional: whether the head is told
    classes.
    """

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head
        self.batch_norm = any(isinstance(m, BatchNorm) for m in self.modules())
        self.batch_statistics = self.batch_norm or any(getattr(m, "mixes_batch", False) for m in self.modules())
        self.conditional: bool = getattr(head, "conditional", False)

    def forward(self, x: Tensor, y: Tensor | None = None) -> DiscOutput:
        """Map images `[B, C, H, W]` in [-1, 1] to realness, features and class logits, all fp32.

        y: classes `[B]` int64, -1 where unknown; for a conditional head.
        """
        features = self.trunk(x)
        with torch.autocast(x.device.type, enabled=False):
            features = features.float()
            adv, logits = self.head(features, y) if self.conditional else self.head(features)
        return DiscOutput(adv, features, logits)


def last_layer(trunk: nn.Module, outputs: int) -> nn.Module:
    """Return a trunk's own last layer, features `[B, F]` → `[B, outputs]`, or a linear one where it has none."""
    if hasattr(trunk, "last_layer"):
        return cast(Callable[[int], nn.Module], trunk.last_layer)(outputs)
    return nn.Linear(cast(Trunk, trunk).num_features, outputs)


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Normalise by the batch, but leave the running statistics as they are.

    Fake images in the running mean of a discriminator ruin what it says of real ones at evaluation.
    """
    norms = [cast(Any, m) for m in module.modules() if getattr(m, "track_running_stats", False)]
    for m in norms:
        m.track_running_stats = False
    try:
        yield
    finally:
        for m in norms:
            m.track_running_stats = True

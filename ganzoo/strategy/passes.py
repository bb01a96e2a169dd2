"""Which images go through a discriminator in one forward pass, and which pass updates its running statistics."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from ganzoo.strategy.networks import DiscOutput, HeadedNetwork, frozen_statistics

REAL = ("labelled", "real")
"""Images that may update running statistics."""
UNKNOWN = -1
"""The class of an image whose class is not known."""


def group_passes(names: list[str], detached: set[str], network: HeadedNetwork, trains: bool) -> list[list[str]]:
    """Divide images into groups that pass through a network together.

    Args:
        names: Names of the images.
        detached: Names of images that need no gradient.
        network: The network.
        trains: Whether the network is being updated.

    Returns:
        Groups of names, in the order of their passes.
    """
    if network.batch_statistics:
        alone = [n for n in names if n not in REAL]
    else:
        alone = [] if trains else [n for n in names if n == "fake"]
    groups = [[n for n in names if n not in alone and (n in detached) == apart] for apart in (False, True)]
    return [group for group in groups if group] + [[n] for n in alone]


def forward_together(
    network: HeadedNetwork, images: Sequence[Tensor], classes: Sequence[Tensor | None], update_statistics: bool
) -> list[DiscOutput]:
    """Pass several batches of images through a network as one batch.

    Args:
        network: The network.
        images: Batches `[B, C, H, W]`.
        classes: For each batch its classes `[B]` int64, or None.
        update_statistics: Whether running statistics may be updated.

    Returns:
        One output per batch.
    """
    sizes = [len(x) for x in images]
    y = None
    if any(c is not None for c in classes):
        unknown = images[0].new_full((max(sizes),), UNKNOWN, dtype=torch.int64)
        y = torch.cat([unknown[:n] if c is None else c for c, n in zip(classes, sizes, strict=True)])
    with nullcontext() if update_statistics or not network.batch_statistics else frozen_statistics(network):
        out: DiscOutput = network(torch.cat([*images]) if len(images) > 1 else images[0], y)
    columns = [(None,) * len(sizes) if t is None else torch.split(t, sizes) for t in out]
    return [DiscOutput(*column) for column in zip(*columns, strict=True)]

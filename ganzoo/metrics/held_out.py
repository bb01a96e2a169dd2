"""The held-out error of a classifier while it is trained. It is reported, and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ganzoo.data import Batches, Dataset
from ganzoo.model import GAN

BATCH = 256


@torch.no_grad()
def held_out_errors(sides: Mapping[str, GAN], data: Dataset, batches: Batches) -> dict[str, float] | None:
    """Return the part of held-out images that each GAN classifies wrongly, in [0, 1].

    In fp32, as model folders will be used. None where nothing is held out, or nothing classifies.
    """
    known = data.test_labels >= 0
    if not (data.shape.classes and bool(known.any())):
        return None
    wrong = dict.fromkeys(sides, 0)
    places = torch.split(torch.arange(len(data.test)), BATCH)
    for side in sides.values():
        for network in side.networks.values():
            network.eval()
    for place, images in zip(places, data.test.batches(iter(places)), strict=False):
        x, truth = batches.see(images, "plain"), data.test_labels[place]
        for name, side in sides.items():
            logits = side.strategy.classify(side.networks, x)
            if logits is None:
                return None
            wrong[name] += int(((logits.argmax(1).cpu() != truth) & (truth >= 0)).sum())
    return {name: count / int(known.sum()) for name, count in wrong.items()}

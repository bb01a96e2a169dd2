"""The held-out error of a classifier during training. It is reported only, and influences nothing."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ganzoo.data import Batches, Dataset
from ganzoo.model.gan import GAN

BATCH = 256


@torch.no_grad()
def held_out_errors(gans: Mapping[str, GAN], data: Dataset, batches: Batches) -> dict[str, float] | None:
    """Compute the held-out error of GANs, in fp32 as in a model folder.

    Args:
        gans: GANs by name.
        data: The data set.
        batches: Converts images for the networks.

    Returns:
        Fraction of the held-out images that each GAN classifies wrongly, in [0, 1]; None if no labelled image is held
        out, or a GAN has no classifier.
    """
    known = data.test_labels >= 0
    if not (data.shape.classes and bool(known.any())):
        return None
    wrong = dict.fromkeys(gans, 0)
    positions = torch.split(torch.arange(len(data.test)), BATCH)
    for gan in gans.values():
        for network in gan.networks.values():
            network.eval()
    for batch, images in zip(positions, data.test.batches(iter(positions)), strict=False):
        x, truth = batches.augmented(images, "plain"), data.test_labels[batch]
        for name, gan in gans.items():
            logits = gan.strategy.classify(gan.networks, x)
            if logits is None:
                return None
            wrong[name] += int(((logits.argmax(1).cpu() != truth) & (truth >= 0)).sum())
    return {name: count / int(known.sum()) for name, count in wrong.items()}

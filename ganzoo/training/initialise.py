"""Initial weights: from another model, and from a batch of real images."""

from __future__ import annotations

from typing import Any

import torch

from ganzoo.base.pictures import from_uint8
from ganzoo.data.prepare import Dataset
from ganzoo.errors import Incompatible
from ganzoo.model.format import public_source
from ganzoo.model.gan import GAN
from ganzoo.strategy.networks import frozen_statistics

INITIALISED_FROM = 500
"""Real images that layers initialise themselves from."""


def initialise_from_model(gan: GAN, model: str) -> dict[str, Any]:
    """Copy the weights of another model into a GAN, as far as names and shapes match.

    Args:
        gan: The GAN that is initialised.
        model: Run folder, model folder or name on the Hub.

    Returns:
        The model's public name, and for each network how many tensors were taken.

    Raises:
        Incompatible: Nothing fits.
    """
    other = GAN.from_pretrained(model)
    taken = {}
    for name, network in gan.networks.items():
        own, given = network.state_dict(), other.networks[name].state_dict() if name in other.networks else {}
        matching = {key: given[key] for key, tensor in own.items() if key in given and given[key].shape == tensor.shape}
        network.load_state_dict(matching, strict=False)
        rest = [key for key in own if key not in matching]
        taken[name] = f"{len(matching)} of {len(own)} tensors" + (f", not {', '.join(rest[:3])}" if rest else "")
        taken[name] += f" and {len(rest) - 3} more" if len(rest) > 3 else ""
    if all(words.startswith("0 of") for words in taken.values()):
        raise Incompatible(f"no weights of {model} fit these networks; see what it is: ganzoo card {model}")
    return {"model": public_source(model), "taken": taken}


@torch.no_grad()
def initialise_from_data(gan: GAN, data: Dataset, seed: int) -> None:
    """Pass one batch of real images through each trunk in training mode, from which some layers initialise themselves.

    It is the same batch in every process. Running statistics are not updated.

    Args:
        gan: The GAN that is initialised.
        data: The images.
        seed: Seed of the choice of images, and of noise in the networks.
    """
    rng = torch.Generator().manual_seed(seed)
    some = torch.randperm(len(data.train), generator=rng)[:INITIALISED_FROM]
    (images,) = data.train.batches(iter([some]))
    torch.manual_seed(seed)
    for network in gan.networks.values():
        if hasattr(network, "trunk"):
            with frozen_statistics(network):
                network.train()(from_uint8(images.to(gan.device)))

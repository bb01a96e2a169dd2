"""How a GAN is trained, in terms of tensors. A new semi-supervised strategy subclasses what is here.

Generators, trunks, losses, penalties and augmentations are described here too: each contract stands beside the code
that calls it.
"""

from ganzoo.strategy.base import NetworkBuilder, SemiSupervised, Strategy
from ganzoo.strategy.heads import RealnessHead
from ganzoo.strategy.networks import (
    DiscOutput,
    Generator,
    HeadedNetwork,
    MappingGenerator,
    Networks,
    Trunk,
    draw_latents,
    frozen_statistics,
    last_layer,
)
from ganzoo.strategy.players import Penalty, Player, Terms, with_adaptation, with_penalties
from ganzoo.strategy.step import AdversarialLoss, Augment, Batch, Step, StepContext

__all__ = [
    "AdversarialLoss", "Augment", "Batch", "DiscOutput", "Generator", "HeadedNetwork", "MappingGenerator",
    "NetworkBuilder", "Networks", "Penalty", "Player", "RealnessHead", "SemiSupervised", "Step", "StepContext",
    "Strategy", "Terms", "Trunk", "draw_latents", "frozen_statistics", "last_layer", "with_adaptation",
    "with_penalties",
]  # fmt: skip

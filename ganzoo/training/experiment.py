"""Everything that a run trains: the components of a configuration as objects on their device."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from ganzoo.base.device import Backend
from ganzoo.config.schema import Config
from ganzoo.data.batches import Batches, Draw
from ganzoo.data.prepare import Dataset
from ganzoo.metrics.best import BestMetric
from ganzoo.model.gan import GAN
from ganzoo.strategy.networks import FollowsProgress, Networks, progress_followers
from ganzoo.strategy.players import Player
from ganzoo.strategy.step import AdversarialLoss, Augment, Step, StepContext


@dataclass
class Experiment:
    """Everything that a run trains.

    Attributes:
        config: The configuration.
        backend: Device, precision and processes.
        data: The images.
        gan: The networks that are trained.
        averaged: Their averaged copies.
        players: Who is updated in a step, in order.
        loss: The adversarial loss.
        augment: The augmentation of the discriminator's input, if any.
        adaptive: Augmentation and penalties that learn from the run; checkpoints keep their buffers.
        batches: The streams of images.
        best_metric: Selects the best weights, if the configuration asks for them.
    """

    config: Config
    backend: Backend
    data: Dataset
    gan: GAN
    averaged: GAN
    players: list[Player]
    loss: AdversarialLoss
    augment: Augment | None
    adaptive: nn.ModuleDict
    batches: Batches
    best_metric: BestMetric | None = None
    _followers: list[FollowsProgress] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._followers = progress_followers(self.gan.networks)

    def make_step(self, player: Player, draw: int, iteration: int, networks: Networks | None = None) -> Step:
        """Return what a player sees in one update, and tell networks that change over a run how far it is.

        Args:
            player: The player that is updated.
            draw: Number of the batch in the player's streams.
            iteration: Number of the step, counted from 0.
            networks: Networks to use instead of the trained ones.
        """
        progress = iteration / self.config.steps
        for module in self._followers if networks is None else progress_followers(networks):
            module.set_progress(progress)
        context = StepContext(
            networks=networks or self.gan.networks,
            averaged=self.averaged.networks,
            loss=self.loss,
            augment=self.augment,
            shape=self.gan.shape,
            batch_size=self.batches.sizes["unlabelled"] // self.backend.world,
            device=self.backend.device,
            world=self.backend.world,
        )
        batch = Draw(self.batches, player.name, draw)
        return Step(context, batch, player.networks, iteration, progress, player.real or self.gan.strategy.views[0])

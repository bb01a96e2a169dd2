"""The base classes of strategies: networks, players, and the terms that each player minimises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from ganzoo.registry.component import ImageShape
from ganzoo.strategy.heads import RealnessHead
from ganzoo.strategy.networks import DiscOutput, HeadedNetwork, Networks
from ganzoo.strategy.players import Player, Terms
from ganzoo.strategy.step import Step


@dataclass(frozen=True)
class NetworkBuilder:
    """Builds untrained networks as the configuration of the run describes them.

    Attributes:
        shape: Shape of the images.
        trunk: Returns a new discriminator trunk.
        generator: Returns a new generator.
    """

    shape: ImageShape
    trunk: Callable[[], nn.Module]
    generator: Callable[[], nn.Module]

    def with_head(self, head: Callable[[nn.Module, ImageShape], nn.Module]) -> HeadedNetwork:
        """Return a new trunk with a head.

        Args:
            head: Called with the trunk and the image shape; returns the head.
        """
        trunk = self.trunk()
        return HeadedNetwork(trunk, head(trunk, self.shape))


@dataclass
class Strategy:
    """A plain GAN, and the base of every other strategy: each method is a place to differ.

    A strategy holds options only. What it learns is kept in networks, where checkpoints include it.
    """

    # Without annotations these are not fields, and so not options. Subclasses and instances may override them.
    views = cast(tuple[str, ...], ("weak",))
    """Views of the unlabelled images; the first counts as real. `("labelled",)`: the labelled images count as real."""
    needs_labels = False
    """Whether it needs at least one labelled image."""
    needs_conditional = False
    """Whether it needs a class-conditional generator."""

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return the discriminator's head.

        A head with a true attribute `conditional` is also given classes `[B]` int64, -1 where unknown, or None.

        Args:
            trunk: The trunk whose features `[B, F]` the head is given.
            shape: Shape of the images.

        Returns:
            A module that maps features to (adversarial logits `[B]`, class logits `[B, K]` or None).
        """
        return RealnessHead(trunk)

    def networks(self, builder: NetworkBuilder) -> dict[str, nn.Module]:
        """Return the networks of the run by name. Each is updated by one of the players.

        A network that maps images keeps their trunk as its attribute `trunk`: it is given real images before training,
        so that layers can initialise themselves from data.

        Args:
            builder: Builds generators and trunks.
        """
        return {"generator": builder.generator(), "discriminator": builder.with_head(self.head)}

    def players(self) -> list[Player]:
        """Return the players in the order of their updates."""
        return [
            Player("discriminator", ("discriminator",), self.discriminator),
            Player("generator", ("generator",), self.generator),
        ]

    def discriminator(self, s: Step) -> Terms:
        """Return the discriminator's terms."""
        return {"adversarial": s.discriminator_loss()}

    def generator(self, s: Step) -> Terms:
        """Return the generator's terms."""
        return {"adversarial": s.generator_loss()}

    def classify(self, networks: Networks, x: Tensor) -> Tensor | None:
        """Classify images with trained networks.

        Args:
            networks: Networks by name, as `networks` returned them.
            x: Images `[B, C, H, W]` in [-1, 1].

        Returns:
            Class logits `[B, K]`, or None if the strategy trains no classifier.
        """
        return cast(DiscOutput, networks["discriminator"](x)).logits

    def reconstruct(self, networks: Networks, x: Tensor) -> Tensor | None:
        """Encode and decode images with trained networks.

        Args:
            networks: Networks by name, as `networks` returned them.
            x: Images `[B, C, H, W]` in [-1, 1].

        Returns:
            Images of the same shape, or None if the strategy trains nothing that reconstructs.
        """
        return None


@dataclass
class SemiSupervised(Strategy):
    """The base of strategies that train a classifier.

    Args:
        gan: Train the GAN too. If false, the same classifier is trained without generator and adversarial terms, as a
            baseline.
    """

    gan: bool = True

    needs_labels = True

    @property
    def fakes(self) -> tuple[str, ...]:
        """Names of the generated images: `("fake",)`, or none if the GAN is off."""
        return ("fake",) if self.gan else ()

    def networks(self, builder: NetworkBuilder) -> dict[str, nn.Module]:
        """Return discriminator and, if the GAN is on, generator."""
        return super().networks(builder) if self.gan else {"discriminator": builder.with_head(self.head)}

    def players(self) -> list[Player]:
        """Return the players, without the generator if the GAN is off."""
        return [p for p in super().players() if self.gan or p.name != "generator"]

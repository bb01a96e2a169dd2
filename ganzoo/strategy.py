"""What a semi-supervised strategy is: networks, heads, and the terms that each player makes small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, cast

from torch import Tensor, nn

from ganzoo.component import ImageShape
from ganzoo.contracts import DiscOutput, Networks, Player, Terms
from ganzoo.critic import Critic, last_layer
from ganzoo.step import Step

__all__ = ["Kit", "RealnessHead", "SemiSupervised", "Step", "Strategy"]


class RealnessHead(nn.Module):
    """One realness logit; no classes."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.adv = last_layer(trunk, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map features `[B, F]` to (adv [B], None)."""
        return self.adv(features).squeeze(1), None


@dataclass(frozen=True)
class Kit:
    """What a strategy makes its networks of: every call makes an untrained part as the run's configuration says.

    trunk: makes the discriminator's images → features. generator: makes the generator.
    """

    shape: ImageShape
    trunk: Callable[[], nn.Module]
    generator: Callable[[], nn.Module]

    def critic(self, head: Callable[[nn.Module, ImageShape], nn.Module]) -> Critic:
        """Make a trunk, and a head for it."""
        trunk = self.trunk()
        return Critic(trunk, head(trunk, self.shape))


@dataclass
class Strategy:
    """A plain GAN, and the base of every other strategy: each method is a place to differ.

    A strategy holds options alone; what it learns lives in networks, where checkpoints see it.
    """

    views: ClassVar[tuple[str, ...]] = ("weak",)
    """Views of the unlabelled images; the first is `real`. `("labelled",)`: the labelled images are the real ones."""
    needs_labels: ClassVar[bool] = False
    """Whether it means anything without a labelled image."""
    needs_conditional: ClassVar[bool] = False
    """Whether its generator has to be class-conditional."""

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return the discriminator's end: features `[B, F]` → (adv [B], class logits [B, K] or None).

        A head with a true attribute `conditional` is also given classes `[B]` int64, -1 where unknown, or None.
        """
        return RealnessHead(trunk)

    def networks(self, kit: Kit) -> dict[str, nn.Module]:
        """Return the run's networks by name, each moved by one of the players.

        One that maps images keeps their trunk as its attribute `trunk`: it is shown real images before training, so
        that layers can initialise themselves from data.
        """
        return {"generator": kit.generator(), "discriminator": kit.critic(self.head)}

    def players(self) -> list[Player]:
        """Return who moves in an iteration, in order. One that returns no term stands still in that iteration."""
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
        """Return class logits `[B, K]` of images, or None when the strategy trains no classifier."""
        return cast(DiscOutput, networks["discriminator"](x)).logits

    def reconstruct(self, networks: Networks, x: Tensor) -> Tensor | None:
        """Return images `[B, C, H, W]` encoded and decoded again, or None when the strategy trains nothing for it."""
        return None


@dataclass
class SemiSupervised(Strategy):
    """The base of strategies that classify.

    Args:
        gan: off trains the same classifier without generator and adversarial terms, as a baseline.
    """

    gan: bool = True

    needs_labels: ClassVar[bool] = True

    @property
    def fakes(self) -> tuple[str, ...]:
        """The names of generated images to see: `("fake",)`, or none when the GAN is off."""
        return ("fake",) if self.gan else ()

    def networks(self, kit: Kit) -> dict[str, nn.Module]:
        """Return discriminator and, when the GAN is on, generator."""
        return super().networks(kit) if self.gan else {"discriminator": kit.critic(self.head)}

    def players(self) -> list[Player]:
        """Return the players, without the generator when the GAN is off."""
        return [p for p in super().players() if self.gan or p.name != "generator"]

"""What a semi-supervised strategy is: heads, further networks, and the terms that each player makes small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

import torch
from torch import Tensor, nn

from ganzoo.component import ImageShape
from ganzoo.contracts import AdversarialLoss, Augment, Batch, DiscOutput, Generator, Networks, Player, Terms
from ganzoo.critic import Critic, frozen_statistics, last_layer


class RealnessHead(nn.Module):
    """One realness logit; no classes."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.adv = last_layer(trunk, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map features `[B, F]` to (adv [B], None)."""
        return self.adv(features).squeeze(1), None


class Step:
    """What a player sees when it moves. Everything is computed on demand, once.

    batch: the images. networks, averaged: every network of the run by name, live and averaged.
    moving: names of the networks that move now; the others are frozen, so that no gradient is computed for them.
    loss: the adversarial loss. progress: in [0, 1) over the run. iteration: counts from 0.
    """

    def __init__(
        self,
        batch: Batch,
        networks: Networks,
        averaged: Networks,
        moving: tuple[str, ...],
        loss: AdversarialLoss,
        augment: Augment | None,
        shape: ImageShape,
        size: int,
        real_view: str,
        iteration: int,
        progress: float,
        device: torch.device,
    ) -> None:
        self.batch, self.networks, self.averaged, self.moving = batch, networks, averaged, moving
        self.loss, self.augment, self.shape, self.size, self.real_view = loss, augment, shape, size, real_view
        self.iteration, self.progress, self.device = iteration, progress, device
        self._images: dict[str, Tensor] = {}
        self._seen: dict[str, DiscOutput] = {}
        self._z: Tensor | None = None
        self._y: Tensor | None = None

    @property
    def critic(self) -> Critic:
        """The discriminator."""
        return cast(Critic, self.networks["discriminator"])

    @property
    def z(self) -> Tensor:
        """The latents of this step's fakes, `[U, z_dim]`."""
        if self._z is None:
            self._z = latent(self.networks["generator"], self.size).to(self.device)
        return self._z

    @property
    def y(self) -> Tensor | None:
        """The classes of this step's fakes, `[U]` int64, drawn evenly; None for an unconditional generator."""
        if self._y is None and getattr(self.networks["generator"], "conditional", False):
            self._y = torch.randint(self.shape.classes, (self.size,)).to(self.device)
        return self._y

    def images(self, name: str) -> Tensor:
        """Return the images called `labelled`, `real`, `fake` or as a view, as the discriminator sees them."""
        if name not in self._images:
            self._images[name] = self.raw(name) if self.augment is None else self.augment(self.raw(name))
        return self._images[name]

    def raw(self, name: str) -> Tensor:
        """Return those images before the augmentation of the discriminator's input."""
        if name == "fake":
            return cast(Tensor, self.networks["generator"](self.z, self.y)).float()
        if name == "labelled":
            return self.batch.labelled
        return self.batch.view(self.real_view if name == "real" else name)

    def see(self, *names: str) -> tuple[DiscOutput, ...]:
        """Return what the discriminator says of the images of these names, in their order.

        What was not seen before goes through it in one pass. Where it has batch statistics, fakes and views pass
        alone, and only the pass of labelled and real images moves its running statistics. Names that are not fake are
        seen without a gradient while the discriminator itself stands still.
        """
        new = [n for n in dict.fromkeys(names) if n not in self._seen]
        trains = "discriminator" in self.moving
        for group in self._passes(new, trains):
            images = [self.images(n) for n in group]
            with torch.set_grad_enabled(trains or any(x.requires_grad for x in images)):
                out = self._pass(torch.cat(images) if len(images) > 1 else images[0], trains and "fake" not in group)
            parts = zip(*(_split(t, [len(x) for x in images]) for t in out), strict=True)
            self._seen |= {n: DiscOutput(*p) for n, p in zip(group, parts, strict=True)}
        return tuple(self._seen[n] for n in names)

    def _passes(self, names: list[str], trains: bool) -> list[list[str]]:
        if not self.critic.batch_statistics:
            alone = [] if trains else [n for n in names if n == "fake"]
        else:
            alone = [n for n in names if n not in ("labelled", "real")]
        together = [n for n in names if n not in alone]
        return ([together] if together else []) + [[n] for n in alone]

    def _pass(self, x: Tensor, real: bool) -> DiscOutput:
        if real or not self.critic.batch_statistics:
            return cast(DiscOutput, self.critic(x))
        with frozen_statistics(self.critic):
            return cast(DiscOutput, self.critic(x))

    def discriminator_loss(self) -> Tensor:
        """Return the adversarial loss of the discriminator's side."""
        real, fake = self.see("real", "fake")
        return self.loss.discriminator(real.adv, fake.adv)

    def generator_loss(self) -> Tensor:
        """Return the adversarial loss of the generator's side; real images are looked at only by losses that ask."""
        real, fake = self.see("real" if self.loss.relativistic else "fake", "fake")
        return self.loss.generator(real.adv, fake.adv)


@dataclass
class Strategy:
    """A plain GAN, and the base of every other strategy: each method is a place to differ.

    A strategy holds options alone; what it learns lives in networks, where checkpoints see it.
    """

    views: ClassVar[tuple[str, ...]] = ("weak",)
    """Views of the unlabelled images; the first is `real`."""
    needs_labels: ClassVar[bool] = False
    """Whether it means anything without a labelled image."""

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return the discriminator's end: features `[B, F]` → (adv [B], class logits [B, K] or None)."""
        return RealnessHead(trunk)

    def networks(self, shape: ImageShape) -> dict[str, nn.Module]:
        """Return further networks by name, each moved by one of the players."""
        return {}

    def players(self) -> list[Player]:
        """Return who moves in an iteration, in order."""
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


@dataclass
class SemiSupervised(Strategy):
    """The base of strategies that classify.

    Args:
        gan: off trains the same classifier without generator and adversarial terms, as a baseline.
    """

    gan: bool = True

    needs_labels: ClassVar[bool] = True

    def players(self) -> list[Player]:
        """Return the players, without the generator when the GAN is off."""
        return [p for p in super().players() if self.gan or p.name != "generator"]


class _HasLatent(Protocol):
    latent: Callable[[int, torch.Generator | None], Tensor]


def latent(generator: nn.Module, n: int, rng: torch.Generator | None = None) -> Tensor:
    """Draw n latents `[n, z_dim]` on the CPU (so the same on every device): N(0, 1) or the generator's own."""
    if hasattr(generator, "latent"):
        return cast(_HasLatent, generator).latent(n, rng)
    return torch.randn(n, cast(Generator, generator).z_dim, generator=rng)


def _split(tensor: Tensor | None, sizes: list[int]) -> tuple[Tensor | None, ...]:
    return (None,) * len(sizes) if tensor is None else torch.split(tensor, sizes)

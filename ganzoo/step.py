"""What a player sees when it moves: images, networks, and what a discriminator says; each computed once, when asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from ganzoo.component import ImageShape
from ganzoo.contracts import AdversarialLoss, Augment, Batch, DiscOutput, Generator, Networks
from ganzoo.critic import Critic, frozen_statistics
from ganzoo.errors import Incompatible

REAL = ("labelled", "real")
UNKNOWN = -1


class Step:
    """What a player sees when it moves.

    batch: the images. networks, averaged: every network of the run by name, live and averaged.
    moving: names of the networks that move now; the others are frozen, so that no gradient is computed for them.
    size: unlabelled images of this process. world: how many processes there are.
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
        world: int = 1,
    ) -> None:
        self.batch, self.networks, self.averaged, self.moving = batch, networks, averaged, moving
        self.loss, self.augment, self.shape, self.size, self.real_view = loss, augment, shape, size, real_view
        self.iteration, self.progress, self.device, self.world = iteration, progress, device, world
        self._raw: dict[str, Tensor] = {}
        self._images: dict[str, Tensor] = {}
        self._seen: dict[tuple[str, str, bool], DiscOutput] = {}
        self._z: Tensor | None = None
        self._y: Tensor | None = None
        self.fools = False
        """Whether who moves is to fool the discriminator: it has asked for the adversarial loss of that side."""

    def network(self, name: str) -> nn.Module:
        """Return a live network by name. Raises Incompatible when this strategy trains none of that name."""
        if name not in self.networks:
            raise Incompatible(f"this needs a {name}, and what the strategy trains is: {', '.join(self.networks)}")
        return self.networks[name]

    @property
    def critic(self) -> Critic:
        """The discriminator."""
        return cast(Critic, self.network("discriminator"))

    # --- images ---------------------------------------------------------------------------------------------------

    @property
    def z(self) -> Tensor:
        """The latents of this step's fakes, `[U, z_dim]`."""
        if self._z is None:
            self._z = latent(self.network("generator"), self.size).to(self.device)
        return self._z

    @property
    def y(self) -> Tensor | None:
        """The classes of this step's fakes, `[U]` int64, drawn evenly; None for an unconditional generator."""
        if self._y is None and getattr(self.network("generator"), "conditional", False):
            self._y = torch.randint(self.shape.classes, (self.size,)).to(self.device)
        return self._y

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return generated images `[B, C, H, W]`, fp32."""
        return cast(Tensor, self.network("generator")(z, y)).float()

    def images(self, name: str) -> Tensor:
        """Return the images called `labelled`, `real`, `fake` or as a view, as the discriminator sees them."""
        name = self._real(name)
        if name not in self._images:
            raw = self._raw[name] = self.raw(name)
            self._images[name] = raw if self.augment is None else self.augment(raw, name, self)
        return self._images[name]

    def shown(self, name: str) -> Tensor | None:
        """Return the images of a name as they were before that augmentation, if they have been asked for."""
        return self._raw.get(self._real(name))

    def raw(self, name: str) -> Tensor:
        """Return those images before the augmentation of the discriminator's input."""
        if name == "fake":
            return self.generate(self.z, self.y)
        view = self.real_view if name == "real" else name
        return self.batch.labelled if view == "labelled" else self.batch.view(view)

    def classes(self, name: str) -> Tensor | None:
        """Return the classes `[B]` of these images as far as they may be known, or None."""
        if name == "fake":
            return self.y
        return self.batch.labels if self._real(name) == self._real("labelled") else None

    def _real(self, name: str) -> str:
        """Return "real" for the view that is called so too, and other names as they are."""
        return "real" if name == self.real_view else name

    # --- what is said of them -------------------------------------------------------------------------------------

    def see(self, *names: str, by: str = "discriminator", given: Sequence[str] = ()) -> tuple[DiscOutput, ...]:
        """Return what the discriminator (or another `Critic` of the run) says of images by name, in their order.

        What was not seen before goes through it in one pass. Where it has batch statistics, fakes and views pass
        alone, and only the pass of labelled and real images moves its running statistics. Names that are not fake are
        seen without a gradient while it stands still.

        given: those of the names whose outputs are taken as given. They pass without a gradient, but where batch
            statistics bind them to the others; who sees them again later, does so anew.
        """
        critic, trains = cast(Critic, self.network(by)), by in self.moving
        names, given = tuple(map(self._real, names)), tuple(map(self._real, given))
        apart = set() if critic.batch_statistics else {n for n in given if (by, n, True) not in self._seen}
        keys = {n: (by, n, n not in apart) for n in names}
        for group in _passes([n for n, key in keys.items() if key not in self._seen], apart, critic, trains):
            images = [self.images(n) for n in group]
            classes = [self.classes(n) if critic.conditional else None for n in group]
            learns = not apart & set(group) and (trains or any(x.requires_grad for x in images))
            with torch.set_grad_enabled(learns):
                said = _pass(critic, images, classes, running=trains and set(group) <= set(REAL))
            self._seen |= {keys[n]: out for n, out in zip(group, said, strict=True)}
        return tuple(self._seen[keys[n]] for n in names)

    def seen(self, name: str) -> DiscOutput | None:
        """Return what the discriminator has said of images by name, if it has been asked."""
        keys = (("discriminator", self._real(name), learns) for learns in (True, False))
        return next((self._seen[key] for key in keys if key in self._seen), None)

    def judge(
        self, *images: Tensor, classes: Sequence[Tensor | None] | None = None, by: str = "discriminator"
    ) -> tuple[DiscOutput, ...]:
        """Return what it says of other batches of images, in one pass where batch statistics allow it.

        classes: for each batch its classes `[B]` or None, for a head that is told them. Running statistics stay.
        """
        critic, classes = cast(Critic, self.network(by)), classes or [None] * len(images)
        if not critic.batch_statistics:
            return tuple(_pass(critic, images, classes, running=True))
        return tuple(
            out for x, y in zip(images, classes, strict=True) for out in _pass(critic, [x], [y], running=False)
        )

    def discriminator_loss(self, real: DiscOutput | None = None, fake: DiscOutput | None = None) -> Tensor:
        """Return the adversarial loss of the discriminator's side, for this step's images or others."""
        real, fake = real or self.see("real", "fake")[0], fake or self.see("real", "fake")[1]
        return self.loss.discriminator(*self._pairs(real.adv, fake.adv))

    def _pairs(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Return as many of the one as of the other for a loss that compares: the fewer go round."""
        if not self.loss.relativistic:
            return real, fake
        place = torch.arange(max(len(real), len(fake)), device=real.device)
        return real[place % len(real)], fake[place % len(fake)]

    def generator_loss(self, fake: DiscOutput | None = None) -> Tensor:
        """Return the adversarial loss of the generator's side, for this step's fakes or others.

        Real images are looked at only by losses that ask.
        """
        self.fools = True
        fake = fake or self.see("fake")[0]
        real = self.see("real")[0] if self.loss.relativistic else fake
        return self.loss.generator(*self._pairs(real.adv, fake.adv))


def _passes(names: list[str], apart: set[str], critic: Critic, trains: bool) -> list[list[str]]:
    """Return which images go through a critic together; those `apart` need no gradient."""
    if critic.batch_statistics:
        alone = [n for n in names if n not in REAL]
    else:
        alone = [] if trains else [n for n in names if n == "fake"]
    groups = [[n for n in names if n not in alone and (n in apart) == part] for part in (False, True)]
    return [group for group in groups if group] + [[n] for n in alone]


def _pass(
    critic: Critic, images: Sequence[Tensor], classes: Sequence[Tensor | None], running: bool
) -> list[DiscOutput]:
    """Pass batches through a critic as one; `running` says that this may move its running statistics."""
    sizes = [len(x) for x in images]
    y = None
    if any(c is not None for c in classes):
        unknown = images[0].new_full((max(sizes),), UNKNOWN, dtype=torch.int64)
        y = torch.cat([unknown[:n] if c is None else c for c, n in zip(classes, sizes, strict=True)])
    with nullcontext() if running or not critic.batch_statistics else frozen_statistics(critic):
        out: DiscOutput = critic(torch.cat([*images]) if len(images) > 1 else images[0], y)
    parts = [(None,) * len(sizes) if t is None else torch.split(t, sizes) for t in out]
    return [DiscOutput(*part) for part in zip(*parts, strict=True)]


class _HasLatent(Protocol):
    latent: Callable[[int, torch.Generator | None], Tensor]


def latent(generator: nn.Module, n: int, rng: torch.Generator | None = None) -> Tensor:
    """Draw n latents `[n, z_dim]` on the CPU (so the same on every device): N(0, 1) or the generator's own."""
    if hasattr(generator, "latent"):
        return cast(_HasLatent, generator).latent(n, rng)
    return torch.randn(n, cast(Generator, generator).z_dim, generator=rng)

"""What a player sees in one update: images, networks and discriminator outputs, each computed once, when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from ganzoo.errors import Incompatible
from ganzoo.registry.component import ImageShape
from ganzoo.strategy.networks import DiscOutput, HeadedNetwork, Networks, draw_latents
from ganzoo.strategy.passes import REAL, forward_together, group_passes


class Batch(Protocol):
    """The real images of one step. Each kind of image is drawn when it is first asked for."""

    @property
    def labelled(self) -> Tensor:
        """Labelled images `[L, C, H, W]`, weakly augmented."""

    @property
    def labels(self) -> Tensor:
        """The labels `[L]` int64 of the labelled images."""

    @property
    def class_weights(self) -> Tensor | None:
        """Weight `[K]` of each class in a loss of the labelled images, or None; `F.cross_entropy` takes it."""

    def view(self, name: str) -> Tensor:
        """Return unlabelled images `[U, C, H, W]`, augmented as its name says; all views are of the same images."""


class AdversarialLoss(NamedTuple):
    """The two sides of an adversarial loss: pure functions of adversarial logits (real `[N]`, fake `[M]`).

    Attributes:
        discriminator: Returns the loss that the discriminator minimises.
        generator: Returns the loss that the generator minimises. Unless the loss is relativistic, it is given the fake
            logits twice.
        relativistic: Whether real and fake images are compared with each other. N is then equal to M, and the
            generator's side is given the real logits too.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    relativistic: bool = False


class Augment(Protocol):
    """A differentiable augmentation of the images that the discriminator sees in training, real and fake alike.

    An augmentation whose strength changes over the run is an `nn.Module` that keeps its state in buffers, which
    checkpoints store, and has a method `adapt(s)` that is called after the discriminator's terms of each step.
    """

    def __call__(self, x: Tensor, name: str, s: Step) -> Tensor:
        """Augment images without a device synchronisation.

        Args:
            x: Images `[B, C, H, W]`.
            name: What the images are called in the step, as "real" or "fake".
            s: The step.

        Returns:
            Images of the same shape.
        """


@dataclass(frozen=True)
class StepContext:
    """What all steps of a run have in common.

    Attributes:
        networks: Every network of the run by name.
        averaged: The averaged copies of these networks.
        loss: The adversarial loss.
        augment: The augmentation of the discriminator's input, if any.
        shape: Shape of the images.
        batch_size: Unlabelled images of this process in a step.
        device: Where the networks are.
        world: Number of processes.
    """

    networks: Networks
    averaged: Networks
    loss: AdversarialLoss
    augment: Augment | None
    shape: ImageShape
    batch_size: int
    device: torch.device
    world: int = 1


class Step:
    """One update of one player.

    Args:
        context: What all steps of the run have in common.
        batch: The real images.
        updating: Names of the networks that are being updated. The others are frozen, so that no gradient is computed
            for them.
        iteration: Number of the step, counted from 0.
        progress: Fraction of the run that is done, in [0, 1).
        real_view: The view of the unlabelled images that counts as real.
    """

    def __init__(
        self,
        context: StepContext,
        batch: Batch,
        updating: tuple[str, ...],
        iteration: int,
        progress: float,
        real_view: str,
    ) -> None:
        self.context, self.batch, self.updating = context, batch, updating
        self.networks, self.averaged = context.networks, context.averaged
        self.loss, self.augment, self.shape = context.loss, context.augment, context.shape
        self.batch_size, self.device, self.world = context.batch_size, context.device, context.world
        self.iteration, self.progress, self.real_view = iteration, progress, real_view
        self._unaugmented: dict[str, Tensor] = {}
        self._images: dict[str, Tensor] = {}
        self._outputs: dict[tuple[str, str, bool], DiscOutput] = {}
        self._z: Tensor | None = None
        self._y: Tensor | None = None
        self.used_generator_loss = False
        """Whether the player's terms include the generator's side of the adversarial loss."""

    def network(self, name: str) -> nn.Module:
        """Return a network that is being trained.

        Args:
            name: Name of the network, as "generator".

        Raises:
            Incompatible: The strategy trains no network of that name.
        """
        if name not in self.networks:
            raise Incompatible(f"this needs a {name}; the strategy trains only: {', '.join(self.networks)}")
        return self.networks[name]

    @property
    def discriminator(self) -> HeadedNetwork:
        """The discriminator."""
        return cast(HeadedNetwork, self.network("discriminator"))

    # --- images ---------------------------------------------------------------------------------------------------

    @property
    def z(self) -> Tensor:
        """The latents `[U, z_dim]` of the generated images of this step."""
        if self._z is None:
            self._z = draw_latents(self.network("generator"), self.batch_size).to(self.device)
        return self._z

    @property
    def y(self) -> Tensor | None:
        """The classes `[U]` int64 of the generated images, drawn uniformly; None for an unconditional generator."""
        if self._y is None and getattr(self.network("generator"), "conditional", False):
            self._y = torch.randint(self.shape.classes, (self.batch_size,)).to(self.device)
        return self._y

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Generate images `[B, C, H, W]`, fp32, from latents `[B, z_dim]` and classes `[B]`."""
        return cast(Tensor, self.network("generator")(z, y)).float()

    def images(self, name: str) -> Tensor:
        """Return images as the discriminator sees them.

        Args:
            name: "labelled", "real", "fake" or the name of a view.

        Returns:
            Images `[B, C, H, W]` after the augmentation of the discriminator's input.
        """
        name = self._canonical(name)
        if name not in self._images:
            x = self._unaugmented[name] = self.unaugmented(name)
            self._images[name] = x if self.augment is None else self.augment(x, name, self)
        return self._images[name]

    def unaugmented(self, name: str) -> Tensor:
        """Return images of a name before the augmentation of the discriminator's input."""
        if name == "fake":
            return self.generate(self.z, self.y)
        view = self.real_view if name == "real" else name
        return self.batch.labelled if view == "labelled" else self.batch.view(view)

    def cached_images(self, name: str) -> Tensor | None:
        """Return images of a name before that augmentation if they have been used in this step, else None."""
        return self._unaugmented.get(self._canonical(name))

    def classes(self, name: str) -> Tensor | None:
        """Return the classes `[B]` of images of a name if they are known, else None."""
        if name == "fake":
            return self.y
        return self.batch.labels if self._canonical(name) == self._canonical("labelled") else None

    def _canonical(self, name: str) -> str:
        """Return "real" for the view that counts as real, and other names as they are."""
        return "real" if name == self.real_view else name

    # --- discriminator outputs ------------------------------------------------------------------------------------

    def discriminate(
        self, *names: str, network: str = "discriminator", detached: Sequence[str] = ()
    ) -> tuple[DiscOutput, ...]:
        """Return the discriminator's outputs for images by name. Outputs are cached for the rest of the step.

        Images without a cached output go through the network in one pass. If the network has batch statistics,
        generated images and further views pass separately, and only the pass of labelled and real images updates the
        running statistics. While the network is not being updated, only generated images carry a gradient.

        Args:
            names: "labelled", "real", "fake" or names of views.
            network: Name of another `HeadedNetwork` of the run to use instead.
            detached: Those of the names whose outputs need no gradient. They pass without one, unless batch statistics
                tie them to the others. If the same images are needed with a gradient later, they pass again.

        Returns:
            One output per name, in the order of the names.
        """
        module, trains = cast(HeadedNetwork, self.network(network)), network in self.updating
        names, detached = tuple(map(self._canonical, names)), tuple(map(self._canonical, detached))
        apart: set[str] = set()
        if not module.batch_statistics:
            apart = {n for n in detached if (network, n, True) not in self._outputs}
        keys = {n: (network, n, n not in apart) for n in names}
        missing = [n for n, key in keys.items() if key not in self._outputs]
        for group in group_passes(missing, apart, module, trains):
            images = [self.images(n) for n in group]
            classes = [self.classes(n) if module.conditional else None for n in group]
            needs_grad = not apart & set(group) and (trains or any(x.requires_grad for x in images))
            with torch.set_grad_enabled(needs_grad):
                outputs = forward_together(
                    module, images, classes, update_statistics=trains and set(group) <= set(REAL)
                )
            self._outputs |= {keys[n]: out for n, out in zip(group, outputs, strict=True)}
        return tuple(self._outputs[keys[n]] for n in names)

    def cached_output(self, name: str) -> DiscOutput | None:
        """Return the discriminator's output for images of a name if it has been computed in this step, else None."""
        keys = (("discriminator", self._canonical(name), grad) for grad in (True, False))
        return next((self._outputs[key] for key in keys if key in self._outputs), None)

    def discriminate_images(
        self, *images: Tensor, classes: Sequence[Tensor | None] | None = None, network: str = "discriminator"
    ) -> tuple[DiscOutput, ...]:
        """Return the discriminator's outputs for given batches of images, in one pass if batch statistics allow it.

        Running statistics are not updated.

        Args:
            images: Batches `[B, C, H, W]`.
            classes: For each batch its classes `[B]` or None; used by a conditional head only.
            network: Name of another `HeadedNetwork` of the run to use instead.

        Returns:
            One output per batch.
        """
        module, classes = cast(HeadedNetwork, self.network(network)), classes or [None] * len(images)
        if not module.batch_statistics:
            return tuple(forward_together(module, images, classes, update_statistics=True))
        return tuple(
            out
            for x, y in zip(images, classes, strict=True)
            for out in forward_together(module, [x], [y], update_statistics=False)
        )

    # --- adversarial loss -----------------------------------------------------------------------------------------

    def discriminator_loss(self, real: DiscOutput | None = None, fake: DiscOutput | None = None) -> Tensor:
        """Return the discriminator's side of the adversarial loss.

        Args:
            real: Output for real images; default: that for this step's.
            fake: Output for generated images; default: that for this step's.

        Returns:
            A scalar to minimise.
        """
        real, fake = real or self.discriminate("real", "fake")[0], fake or self.discriminate("real", "fake")[1]
        return self.loss.discriminator(*self._paired(real.adv, fake.adv))

    def generator_loss(self, fake: DiscOutput | None = None) -> Tensor:
        """Return the generator's side of the adversarial loss. Real images are used by relativistic losses only.

        Args:
            fake: Output for generated images; default: that for this step's.

        Returns:
            A scalar to minimise.
        """
        self.used_generator_loss = True
        fake = fake or self.discriminate("fake")[0]
        real = self.discriminate("real")[0] if self.loss.relativistic else fake
        return self.loss.generator(*self._paired(real.adv, fake.adv))

    def _paired(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Return as many real as fake logits for a relativistic loss, by repeating the fewer."""
        if not self.loss.relativistic:
            return real, fake
        index = torch.arange(max(len(real), len(fake)), device=real.device)
        return real[index % len(real)], fake[index % len(fake)]

"""What tensors and parts promise each other. Images are float `[B, C, H, W]` in [-1, 1] everywhere.

Torch is imported for type checkers only, so that describing a part never loads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import Tensor, nn

    from ganzoo.metrics.evidence import Evidence
    from ganzoo.step import Step

Terms: TypeAlias = "dict[str, Tensor]"
"""Named scalars that a player makes small."""


Networks: TypeAlias = "Mapping[str, nn.Module]"
"""The networks of a run by name."""


class Part(Protocol):
    """A component and its options."""

    @property
    def name(self) -> str:
        """`plugin/name`."""

    @property
    def options(self) -> dict[str, Any]:
        """What it is given besides the shape of the images."""


class Parts(Protocol):
    """What names the components of a model: a `Config`, or what a model folder says."""

    @property
    def generator(self) -> Part:
        """The generator and its options."""

    @property
    def discriminator(self) -> Part:
        """The discriminator and its options."""

    @property
    def ssl(self) -> Part:
        """The ssl and its options."""


class Generator(Protocol):
    """An `nn.Module` made by `callable(shape, **options)`.

    A generator whose latent is not N(0, 1) has a method `latent(n, rng) -> z`; a class-conditional one has a true
    attribute `conditional`, and is then always given `y`.
    """

    z_dim: int

    def __call__(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map latents z `[B, z_dim]` and labels y (`[B]` int64, or `[B, K]` soft) to images in [-1, 1]."""


class MappingGenerator(Generator, Protocol):
    """A generator that maps its latents to others first, as StyleGAN does: its images are `synthesize(map(z, y))`.

    Truncation, the search for an image's latent and directions are then about what it maps to, `w [B, D]`. In
    evaluation `synthesize` may leave [-1, 1], and is cut off there.
    """

    def map(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map latents `[B, z_dim]` and labels to w `[B, D]`."""

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """Return w moved towards the centre of such: ψ = 1 leaves them bit for bit, 0 makes all the same."""

    def synthesize(self, w: Tensor) -> Tensor:
        """Map w to images `[B, C, H, W]`."""


class Trunk(Protocol):
    """An `nn.Module` made by `callable(shape, **options)`: a discriminator without its last layer.

    A trunk whose last layer is not a plain linear one has a method `last_layer(outputs) -> nn.Module`, which maps
    features `[B, num_features]` to `[B, outputs]`. A layer that initialises itself from data does so at its first pass
    in training mode: before training, every trunk is shown a batch of real images.
    """

    num_features: int

    def __call__(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""


class DiscOutput(NamedTuple):
    """What a discriminator says of images: realness `adv` [B], `features` [B, F], class `logits` [B, K] or None."""

    adv: Tensor
    features: Tensor
    logits: Tensor | None = None


class AdversarialLoss(NamedTuple):
    """Two pure functions of realness logits (real [N], fake [M]) → scalar to be made small.

    `relativistic` says that real and fake images are compared: then N is M, and the generator's side is given the real
    logits too; else it is given the fake ones twice.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    relativistic: bool = False


class Penalty(Protocol):
    """A term added to those of a player, every `every` steps (and then `every` times as strong).

    `player` names whose: mostly "discriminator". `per_sample` says that it differentiates with respect to single
    images, which batch norm forbids. One with a method `after(networks)` has it called each time that the player has
    moved its networks, as for weight clipping; then `__call__` may return None.
    """

    player: str
    every: int
    per_sample: bool

    def __call__(self, s: Step) -> Tensor | None:
        """Map what the player sees to a scalar."""


class Augment(Protocol):
    """A differentiable change of images that the discriminator sees in training, real and fake alike.

    One whose strength follows the run is an `nn.Module` with buffers, which checkpoints keep, and has a method
    `adapt(s)`, called after the discriminator's terms of each step.
    """

    def __call__(self, x: Tensor, name: str, s: Step) -> Tensor:
        """Map images, called `name` in the step, to images of the same shape, without a device synchronisation."""


class Extractor(Protocol):
    """Maps images to features that metrics compare, always the same ones to the same.

    `sha256` is that of its weights, `resize` says in words how it brings images to its size. One with a method
    `fit(data, device)` has it called first, to learn from the data, or to move to the device.
    """

    sha256: str
    resize: str

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map uint8 images `[B, C, H, W]`, with 1, 3 or 4 channels, to features `[B, D]` and class logits `[B, K]`."""


class Metric(Protocol):
    """Says how good a model is. `smaller_is_better` tells how its first value is to be read."""

    smaller_is_better: bool

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Return named values; what is to be minded about them is appended to `evidence.warnings`."""


@dataclass(frozen=True)
class Player:
    """Someone who moves: networks of the run by name, and what it wants to make small.

    `terms` is called with the step; the trainer sums what it returns and logs each under `name/term`. Where it returns
    none, the player stands still. `after` is called with its networks when it has moved them. `real` is the view of the
    unlabelled images that is real to this player; by default the first of the strategy's.
    """

    name: str
    networks: tuple[str, ...]
    terms: Callable[[Step], Terms]
    after: tuple[Callable[[Sequence[nn.Module]], None], ...] = ()
    real: str = ""


class Batch(Protocol):
    """The images of one step; each sort is drawn when it is first asked for."""

    @property
    def labelled(self) -> Tensor:
        """Labelled images `[L, C, H, W]`, weakly augmented."""

    @property
    def labels(self) -> Tensor:
        """Their labels `[L]` int64."""

    def view(self, name: str) -> Tensor:
        """Unlabelled images `[U, C, H, W]`, augmented as the view's name says; every view is of the same images."""


class Table(Protocol):
    """A list of images."""

    @property
    def labels(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Labels `[N]`, -1 where there is none."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> Image:
        """Decode one image."""

    def where(self, index: int) -> str:
        """Name one image in a message: its path or row."""


@dataclass(frozen=True)
class Source:
    """A data set as it is found: train images, test images or None, class names in the order of the labels."""

    name: str
    train: Table
    test: Table | None
    class_names: Sequence[str]

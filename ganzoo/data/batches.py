"""Batches as a function of the step: draw i of a stream always returns the same images.

A stream is the concatenation of permutations of its pool, one per epoch, each drawn from (seed, stream, epoch) alone.
So a run that continues needs no state of a random number generator, and every player has an independent order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from ganzoo.base.device import Backend
from ganzoo.base.pictures import from_uint8
from ganzoo.config.schema import Config
from ganzoo.data.images import Images
from ganzoo.data.prepare import Dataset
from ganzoo.data.views import VIEWS
from ganzoo.errors import Incompatible, nearest


def seed_of(*key: object) -> int:
    """Derive a seed in 0 … 2⁶³ - 1 from a key. Seeds of similar keys are unrelated."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "little") >> 1


def evenly(labels: Tensor) -> Tensor:
    """Return positions in which each class stands as often as the largest one.

    Args:
        labels: Labels `[L]`.

    Returns:
        Positions in the labels; those of smaller classes stand several times, as evenly as possible.
    """
    members = [(labels == k).nonzero().flatten() for k in torch.unique(labels)]
    largest = max((len(positions) for positions in members), default=0)
    return torch.cat([torch.empty(0, dtype=torch.int64), *(p[torch.arange(largest) % len(p)] for p in members)])


class Stream:
    """Endless batches of a pool of images, in random order.

    Args:
        images: All images.
        pool: Positions of the images to draw from `[N]`.
        batch: Images in a draw, over all processes.
        key: Key of the seed.
        rank: Number of this process; each process gets its own share of every draw.
        world: Number of processes.
    """

    def __init__(
        self, images: Images, pool: Tensor, batch: int, key: tuple[object, ...], rank: int, world: int
    ) -> None:
        self.images, self.pool, self.batch, self.key, self.rank, self.world = images, pool, batch, key, rank, world
        self._next = -1
        self._positions: list[Tensor] = []
        self._drawn: Iterator[Tensor] = iter(())
        self._epochs: dict[int, Tensor] = {}

    def at(self, draw: int) -> tuple[Tensor, Tensor]:
        """Return the images of a draw. Draws in ascending order are fastest, since they are decoded ahead.

        Args:
            draw: Number of the draw, from 0.

        Returns:
            Positions in the pool `[batch / world]`, and uint8 images `[batch / world, C, H, W]`.
        """
        if draw != self._next:
            self._drawn = self.images.batches(self._indices(draw))
        self._next = draw + 1
        images = next(self._drawn)
        return self.positions(draw), images

    def positions(self, draw: int) -> Tensor:
        """Return the positions in the pool `[batch / world]` of the images of a draw."""
        own = self.batch // self.world
        start = (draw * self.world + self.rank) * own
        missing, chunks = own, []
        while missing:
            epoch, offset = divmod(start, len(self.pool))
            chunk = self._epoch(epoch)[offset : offset + missing]
            chunks.append(chunk)
            start, missing = start + len(chunk), missing - len(chunk)
        return chunks[0] if len(chunks) == 1 else torch.cat(chunks)

    def _indices(self, draw: int) -> Iterator[Tensor]:
        while True:
            yield self.pool[self.positions(draw)]
            draw += 1

    def _epoch(self, epoch: int) -> Tensor:
        if epoch not in self._epochs:
            rng = torch.Generator().manual_seed(seed_of(*self.key, epoch))
            recent = {e: p for e, p in self._epochs.items() if abs(e - epoch) < 3}
            self._epochs = recent | {epoch: torch.randperm(len(self.pool), generator=rng)}
        return self._epochs[epoch]


class Draw:
    """The batch of one update (see `ganzoo.strategy.step.Batch`). Images are drawn and augmented on first access.

    Args:
        batches: The streams.
        player: Name of the player that is updated.
        number: Number of the draw.
    """

    def __init__(self, batches: Batches, player: str, number: int) -> None:
        self._batches, self._player, self._number = batches, player, number
        self._views: dict[str, Tensor] = {}

    @cached_property
    def _labelled(self) -> tuple[Tensor, Tensor]:
        positions, images = self._batches.stream(self._player, "labelled").at(self._number)
        labels = self._batches.labels[positions].to(self._batches.device, non_blocking=True)
        return self._batches.augmented(images, "weak"), labels

    @cached_property
    def _unlabelled(self) -> Tensor:
        return self._batches.stream(self._player, "unlabelled").at(self._number)[1]

    @property
    def labelled(self) -> Tensor:
        """Labelled images `[L, C, H, W]` in [-1, 1], weakly augmented."""
        return self._labelled[0]

    @property
    def labels(self) -> Tensor:
        """Labels `[L]` of the labelled images."""
        return self._labelled[1]

    @property
    def class_weights(self) -> Tensor | None:
        """Weight `[K]` of each class in a loss of the labelled images, if classes are weighted."""
        return self._batches.class_weights

    def view(self, name: str) -> Tensor:
        """Return the unlabelled images `[U, C, H, W]` in [-1, 1], augmented; all views are of the same images.

        Args:
            name: Name of a view in `VIEWS`.

        Raises:
            Incompatible: There is no such view.
        """
        if name not in self._views:
            self._views[name] = self._batches.augmented(self._unlabelled, name)
        return self._views[name]


class Batches:
    """The streams of images of a run: one for each player and kind of image.

    Args:
        data: The images.
        config: Batch sizes, views and seed.
        backend: The device, and the processes that share each batch.

    Attributes:
        sizes: Images in one draw over all processes, of each kind.
        labelled: Positions in the training images of the labelled ones, in an epoch of their stream.
        labels: Their labels.
        class_weights: Weight `[K]` of each class in a loss of the labelled images, if classes are weighted.

    Raises:
        Incompatible: A batch cannot be divided into equal micro-batches, or among the processes.
    """

    def __init__(self, data: Dataset, config: Config, backend: Backend) -> None:
        self.data, self.config, self.device, self.seed = data, config.data, backend.device, config.seed
        self.rank, self.world = backend.rank, backend.world
        self.format = torch.channels_last if backend.channels_last else torch.contiguous_format
        whole = {"unlabelled": config.batch_size, "labelled": config.labelled_batch_size or config.batch_size}
        self.sizes = {kind: self._micro_batch(kind, size, config) for kind, size in whole.items()}
        self._streams: dict[tuple[str, str], Stream] = {}
        chosen = evenly(data.labels) if config.data.label_sampling == "balanced" else torch.arange(len(data.labels))
        self.labelled, self.labels = data.labelled[chosen], data.labels[chosen]
        self.class_weights: Tensor | None = None
        if config.data.class_weights == "balanced" and len(data.labels):
            counts = data.labels.bincount(minlength=data.shape.classes)
            self.class_weights = (len(data.labels) / (len(counts) * counts)).to(backend.device)

    def _micro_batch(self, kind: str, size: int, config: Config) -> int:
        """Return the size of a micro-batch, over all processes."""
        count = config.gradient_accumulation_steps
        each, rest = divmod(size, count)
        if rest:
            raise Incompatible(
                f"{size} {kind} images cannot be divided into {count} equal micro-batches; choose a batch size that is "
                f"a multiple of {count}"
            )
        if each % self.world:
            raise Incompatible(
                f"{each} {kind} images cannot be divided among {self.world} processes; choose a batch size that is a "
                f"multiple of {self.world * count}"
            )
        return each

    def stream(self, player: str, kind: str) -> Stream:
        """Return a stream of images. Each has an order of its own.

        Args:
            player: Name of the player that gets the images.
            kind: "labelled" or "unlabelled".

        Raises:
            Incompatible: The data set has no such image.
        """
        if (player, kind) not in self._streams:
            pool = self.labelled if kind == "labelled" else self.data.unlabelled
            if not len(pool):
                raise Incompatible(f"the run needs {kind} images, and '{self.data.name}' has none")
            key = (self.seed, player, kind)
            self._streams[player, kind] = Stream(self.data.train, pool, self.sizes[kind], key, self.rank, self.world)
        return self._streams[player, kind]

    def close(self) -> None:
        """Close the streams, and end the processes that decode for them."""
        self._streams.clear()

    def augmented(self, images: Tensor, view: str) -> Tensor:
        """Convert uint8 images to float on the device, and augment them.

        Args:
            images: uint8 images `[B, C, H, W]`.
            view: Name of a view.

        Returns:
            Images `[B, C, H, W]` in [-1, 1].

        Raises:
            Incompatible: There is no such view.
        """
        if view not in VIEWS:
            raise Incompatible(f"no view is called '{view}'{nearest(view, VIEWS)} Views: {', '.join(VIEWS)}")
        x = from_uint8(images.to(self.device, non_blocking=True))
        return VIEWS[view](x, self.config).contiguous(memory_format=self.format)

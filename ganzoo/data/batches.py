"""Batches as a function of the step: draw i of a stream is always the same images, however the run got there.

A stream is the concatenation of fresh permutations of its pool, one per epoch, each from (seed, stream, epoch) alone;
so a run that continues needs no state of its random numbers, and every player has an independent order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from ganzoo.config import DataConfig
from ganzoo.data.prepare import Dataset, Images
from ganzoo.data.views import VIEWS
from ganzoo.errors import Incompatible, nearest
from ganzoo.pictures import from_uint8


def seed_of(*parts: object) -> int:
    """Return a seed that depends on every part, and is unrelated for related parts."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "little") >> 1


class Stream:
    """Endless draws of `batch` positions of a pool, each rank its own part of them."""

    def __init__(
        self, images: Images, pool: Tensor, batch: int, key: tuple[object, ...], rank: int, world: int
    ) -> None:
        self.images, self.pool, self.batch, self.key, self.rank, self.world = images, pool, batch, key, rank, world
        self._next = -1
        self._positions: list[Tensor] = []
        self._drawn: Iterator[Tensor] = iter(())
        self._epochs: dict[int, Tensor] = {}

    def at(self, draw: int) -> tuple[Tensor, Tensor]:
        """Return (positions in the pool `[batch / world]`, images uint8) of a draw; in order is fastest."""
        if draw != self._next:
            self._drawn = self.images.batches(self._indices(draw))
        self._next = draw + 1
        images = next(self._drawn)
        return self.positions(draw), images

    def positions(self, draw: int) -> Tensor:
        """Return positions in the pool of a draw, of this rank."""
        own = self.batch // self.world
        start = (draw * self.world + self.rank) * own
        wanted, parts = own, []
        while wanted:
            epoch, offset = divmod(start, len(self.pool))
            taken = self._epoch(epoch)[offset : offset + wanted]
            parts.append(taken)
            start, wanted = start + len(taken), wanted - len(taken)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

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
    """The batch of one move (`ganzoo.contracts.Batch`): drawn and augmented when a part of it is first asked for."""

    def __init__(self, batches: Batches, player: str, number: int) -> None:
        self._batches, self._player, self._number = batches, player, number
        self._views: dict[str, Tensor] = {}

    @cached_property
    def _labelled(self) -> tuple[Tensor, Tensor]:
        positions, images = self._batches.stream(self._player, "labelled").at(self._number)
        labels = self._batches.data.labels[positions].to(self._batches.device, non_blocking=True)
        return self._batches.see(images, "weak"), labels

    @cached_property
    def _unlabelled(self) -> Tensor:
        return self._batches.stream(self._player, "unlabelled").at(self._number)[1]

    @property
    def labelled(self) -> Tensor:
        """Labelled images, weakly augmented."""
        return self._labelled[0]

    @property
    def labels(self) -> Tensor:
        """Their labels."""
        return self._labelled[1]

    def view(self, name: str) -> Tensor:
        """Unlabelled images, augmented as `VIEWS` says."""
        if name not in self._views:
            self._views[name] = self._batches.see(self._unlabelled, name)
        return self._views[name]


class Batches:
    """Every stream of a run.

    batch, labelled_batch: images in one draw over all processes; each process gets its part.
    """

    def __init__(
        self,
        data: Dataset,
        config: DataConfig,
        batch: int,
        labelled_batch: int,
        seed: int,
        device: torch.device,
        channels_last: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        for what, size in (("batch", batch), ("labelled batch", labelled_batch)):
            if size % world:
                raise Incompatible(
                    f"a {what} of {size} cannot be shared by {world} processes; choose a multiple of {world}"
                )
        self.data, self.config, self.device, self.seed = data, config, device, seed
        self.sizes = {"unlabelled": batch, "labelled": labelled_batch}
        self.rank, self.world = rank, world
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self._streams: dict[tuple[str, str], Stream] = {}

    def stream(self, player: str, sort: str) -> Stream:
        """Return the stream of a player, `labelled` or `unlabelled`; each has an order of its own."""
        if (player, sort) not in self._streams:
            pool = self.data.labelled if sort == "labelled" else self.data.unlabelled
            if not len(pool):
                raise Incompatible(f"the run needs {sort} images, and there is none")
            key = (self.seed, player, sort)
            self._streams[player, sort] = Stream(self.data.train, pool, self.sizes[sort], key, self.rank, self.world)
        return self._streams[player, sort]

    def close(self) -> None:
        """Let go of the streams, and of the processes that decode for them."""
        self._streams.clear()

    def see(self, images: Tensor, view: str) -> Tensor:
        """Return uint8 images as float in [-1, 1] on the device, augmented as the view says."""
        if view not in VIEWS:
            raise Incompatible(f"no view is called '{view}'{nearest(view, VIEWS)} There are: {', '.join(VIEWS)}")
        x = from_uint8(images.to(self.device, non_blocking=True))
        return VIEWS[view](x, self.config).contiguous(memory_format=self.format)

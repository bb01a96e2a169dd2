"""Decode a data set once into uint8, or leave it to be streamed; no label outside the split remains."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ganzoo.component import ImageShape
from ganzoo.config import DataConfig
from ganzoo.contracts import Source, Table
from ganzoo.data.split import Labels, Split, make_split
from ganzoo.errors import BadData
from ganzoo.pictures import prepare

LOOKED_AT = 64
CHUNK = 64


class Images(Protocol):
    """N images of one shape, somewhere."""

    def __len__(self) -> int: ...

    def batches(self, indices: Iterator[Tensor]) -> Iterator[Tensor]:
        """Map index tensors `[B]` to uint8 images `[B, C, H, W]`."""

    def fingerprint(self) -> str:
        """Return a hash of the images, as far as they are known without reading them all again."""


@dataclass(frozen=True)
class InMemory:
    """Images held once, on the device that trains."""

    pixels: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def fingerprint(self) -> str:
        """Return the sha256 of the pixels."""
        return hashlib.sha256(self.pixels.cpu().numpy().tobytes()).hexdigest()

    def batches(self, indices: Iterator[Tensor]) -> Iterator[Tensor]:
        """Index the tensor."""
        for index in indices:
            yield self.pixels[index.to(self.pixels.device, non_blocking=True)]


@dataclass(frozen=True)
class Streamed:
    """Images decoded from disk by worker processes when a batch needs them."""

    table: Table
    members: Labels
    decode: Decoder
    workers: int

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: int) -> Tensor | BadData:
        try:
            return torch.from_numpy(self.decode.one(self.table, int(self.members[index])))
        except BadData as error:  # raised in a worker it would arrive wrapped in a traceback
            return error

    def fingerprint(self) -> str:
        """Return the sha256 of the images' names."""
        return hashlib.sha256("\n".join(self.table.where(int(i)) for i in self.members).encode()).hexdigest()

    def batches(self, indices: Iterator[Tensor]) -> Iterator[Tensor]:
        """Decode ahead in worker processes."""
        loader: DataLoader[Tensor | BadData] = DataLoader(
            self,  # type: ignore[arg-type]
            batch_sampler=(index.tolist() for index in indices),
            num_workers=self.workers,
            generator=torch.Generator(),  # its own: starting workers must not use up the run's random numbers
            pin_memory=torch.cuda.is_available(),
            collate_fn=stack,
        )
        for batch in loader:
            if isinstance(batch, BadData):
                raise batch
            yield batch


def stack(items: Sequence[Tensor | BadData]) -> Tensor | BadData:
    """Return images as one tensor, or the first that could not be read."""
    errors = [i for i in items if isinstance(i, BadData)]
    return errors[0] if errors else torch.stack([i for i in items if isinstance(i, Tensor)])


@dataclass(frozen=True)
class Dataset:
    """A data set ready for training.

    train: the images of `split.train`, in that order; labelled: positions in `train` whose label may be seen, and
    `labels`, theirs; unlabelled: positions that are used without one. test and test_labels: held out (label -1: none).
    validation and validation_labels: held out besides, and may choose weights; mostly none.
    corrupt: images left out because they could not be read.
    """

    name: str
    shape: ImageShape
    class_names: Sequence[str]
    train: Images
    labelled: Tensor
    labels: Tensor
    unlabelled: Tensor
    test: Images
    test_labels: Tensor
    split: Split
    validation: Images
    validation_labels: Tensor
    corrupt: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Decoder:
    """How images are brought to one shape."""

    channels: int
    size: int
    fit: str

    def one(self, table: Table, index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return image `index` of a table as uint8 `[C, H, W]`. Raises BadData naming it."""
        try:
            return prepare(table.image(index), self.channels, self.size, self.fit)
        except Exception as error:  # decoders raise anything from OSError to SyntaxError
            raise BadData(
                f"image {table.where(index)} cannot be read ({str(error).splitlines()[0] if str(error) else error!r}); "
                "mend or remove it, or leave such images out with --skip-corrupt"
            ) from error

    def all(self, table: Table, skip_corrupt: bool) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], list[int]]:
        """Decode a whole table. Returns the images and the indices that could not be read (their pixels are zero)."""
        pixels = np.zeros((len(table), self.channels, self.size, self.size), dtype=np.uint8)

        def fails(index: int) -> bool:
            try:
                pixels[index] = self.one(table, index)
            except BadData:
                if not skip_corrupt:
                    raise
                return True
            return False

        return pixels, such(fails, len(table))

    def unreadable(self, table: Table) -> list[int]:
        """Return the indices of images that cannot be read."""

        def fails(index: int) -> bool:
            try:
                self.one(table, index)
            except BadData:
                return True
            return False

        return such(fails, len(table))


def such(test: Callable[[int], bool], count: int) -> list[int]:
    """Return the numbers below `count` that pass a test, tried by several threads. A thread takes many at a time: to
    hand one over costs about as much as to decode a small image."""
    chunks = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return [i for found in pool.map(lambda chunk: [i for i in chunk if test(i)], chunks) for i in found]


def look(source: Source, skip_corrupt: bool) -> tuple[int, int]:
    """Return (channels, smaller side in pixels) of a data set, from its first images that can be read."""
    shapes: list[tuple[int, int]] = []
    for index in map(int, np.linspace(0, len(source.train) - 1, min(LOOKED_AT, len(source.train)))):
        try:
            picture = source.train.image(index)
        except Exception:
            if skip_corrupt:
                continue
            Decoder(3, 8, "stretch").one(source.train, index)
            raise
        transparent = picture.mode in ("LA", "RGBA", "PA") or "transparency" in picture.info
        grey = picture.mode in ("1", "L", "F") or picture.mode.startswith("I")
        shapes.append((4 if transparent else 1 if grey else 3, min(picture.size)))
    if not shapes:
        raise BadData(f"none of {LOOKED_AT} images looked at of '{source.name}' can be read")
    return max(c for c, _ in shapes), int(np.median([s for _, s in shapes]))


def prepare_data(
    source: Source, config: DataConfig, channels: int, size: int, device: torch.device, split: Split | None = None
) -> Dataset:
    """Decode, hold out and split a data set. Given a `split`, that one is used instead of a new one.

    Raises BadData for an image that cannot be read, or labels that cannot be had.
    """
    decode = Decoder(config.channels or channels, size, config.fit)
    tables = [source.train] + ([source.test] if source.test else [])
    fits = sum(map(len, tables)) * decode.channels * size * size <= config.memory
    readable: list[Labels] = []
    pixels: list[Any] = []
    corrupt: list[str] = []
    for table in tables:
        if fits:
            decoded, bad = decode.all(table, config.skip_corrupt)
            pixels.append(decoded)
        else:
            bad = decode.unreadable(table) if config.skip_corrupt else []
        corrupt += [table.where(i) for i in bad]
        readable.append(np.setdiff1d(np.arange(len(table)), bad))

    def images(which: int, members: Labels) -> Images:
        if fits:
            return InMemory(torch.from_numpy(pixels[which][members]).to(device))
        return Streamed(tables[which], members, decode, config.workers)

    if split is None:
        own = readable[0]
        found = make_split(
            np.asarray(source.train.labels)[own],
            source.class_names,
            config.labels,
            config.split_seed,
            0.0 if source.test else config.test_fraction,
            config.test_seed,
            config.validation,
        )
        split = Split(own[found.train], own[found.labelled], found.labels, own[found.test], own[found.validation])
    else:
        split.check(np.asarray(source.train.labels), readable[0], source.class_names, source.test is not None)
    labelled = torch.from_numpy(np.searchsorted(split.train, split.labelled))
    unlabelled = torch.arange(len(split.train))
    if not config.labelled_in_unlabelled:
        unlabelled = unlabelled[~torch.isin(unlabelled, labelled)]
    if source.test is not None:
        test, test_labels = images(1, readable[1]), np.asarray(source.test.labels)[readable[1]]
    else:
        test, test_labels = images(0, split.test), np.asarray(source.train.labels)[split.test]
    return Dataset(
        name=source.name,
        shape=ImageShape(decode.channels, size, len(source.class_names)),
        class_names=list(source.class_names),
        train=images(0, split.train),
        labelled=labelled,
        labels=torch.from_numpy(split.labels),
        unlabelled=unlabelled,
        test=test,
        test_labels=torch.from_numpy(test_labels),
        split=split,
        validation=images(0, split.validation),
        validation_labels=torch.from_numpy(np.asarray(source.train.labels)[split.validation]),
        corrupt=corrupt,
    )

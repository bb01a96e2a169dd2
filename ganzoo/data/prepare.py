"""Prepare a data set for training: decode it into memory or stream it, and keep only the labels of the split."""

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

from ganzoo.base.preparation import Preparation
from ganzoo.config.schema import DataConfig
from ganzoo.data.source import Source, Table
from ganzoo.data.split import Labels, Split, SplitSettings, make_split
from ganzoo.errors import BadData, GanzooError
from ganzoo.registry.component import ImageShape

SAMPLED = 64
"""Number of images from which the shape of a data set is determined."""
CHUNK = 64
"""Images that a thread decodes at a time: starting a task costs about as much as decoding a small image."""


class Images(Protocol):
    """N images of one shape, in memory or on disk."""

    def __len__(self) -> int: ...

    def batches(self, indices: Iterator[Tensor]) -> Iterator[Tensor]:
        """Return batches of images.

        Args:
            indices: Positions of the images of each batch `[B]`.

        Yields:
            uint8 images `[B, C, H, W]`.
        """

    def fingerprint(self) -> str:
        """Return a hash that identifies the images, without reading them again."""


@dataclass(frozen=True)
class InMemory:
    """Images in the memory of the device that trains.

    Attributes:
        pixels: uint8 images `[N, C, H, W]`.
    """

    pixels: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the pixels."""
        return hashlib.sha256(self.pixels.cpu().numpy().tobytes()).hexdigest()

    def batches(self, indices: Iterator[Tensor]) -> Iterator[Tensor]:
        """Return batches of images by their positions."""
        for index in indices:
            yield self.pixels[index.to(self.pixels.device, non_blocking=True)]


@dataclass(frozen=True)
class Streamed:
    """Images that worker processes decode from disk when a batch needs them.

    Attributes:
        table: The stored images.
        members: Indices of the N images in the table.
        decode: Decoder of the images.
        workers: Number of worker processes.
    """

    table: Table
    members: Labels
    decode: Decoder
    workers: int

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: int) -> Tensor | BadData:
        try:
            return torch.from_numpy(self.decode.one(self.table, int(self.members[index])))
        except BadData as error:  # raised in a worker, it would arrive wrapped in a traceback
            return error

    def fingerprint(self) -> str:
        """Return the SHA-256 of the locations of the images."""
        return hashlib.sha256("\n".join(self.table.where(int(i)) for i in self.members).encode()).hexdigest()

    def batches(self, indices: Iterator[Tensor]) -> Iterator[Tensor]:
        """Return batches of images, decoded ahead by worker processes.

        Raises:
            BadData: An image cannot be read.
        """
        loader: DataLoader[Tensor | BadData] = DataLoader(
            self,  # type: ignore[arg-type]
            batch_sampler=(index.tolist() for index in indices),
            num_workers=self.workers,
            generator=torch.Generator(),  # starting workers must not advance the global generator
            pin_memory=torch.cuda.is_available(),
            collate_fn=stack,
        )
        for batch in loader:
            if isinstance(batch, BadData):
                raise batch
            yield batch


def stack(items: Sequence[Tensor | BadData]) -> Tensor | BadData:
    """Stack images `[C, H, W]` into `[B, C, H, W]`, or return the first error among them."""
    errors = [item for item in items if isinstance(item, BadData)]
    return errors[0] if errors else torch.stack([item for item in items if isinstance(item, Tensor)])


@dataclass(frozen=True)
class Dataset:
    """A data set that is ready for training.

    Attributes:
        name: Name of the data set.
        shape: Shape of the images and number of classes.
        class_names: Names of the classes.
        train: The N training images, in the order of `split.train`.
        labelled: Positions in `train` of the images whose labels may be used `[L]`.
        labels: Labels of these images `[L]`.
        unlabelled: Positions in `train` of the images that are used without a label `[U]`.
        test: The T test images.
        test_labels: Labels of the test images `[T]`, -1 for none.
        split: The split.
        validation: The V images by which the best weights may be selected; none by default.
        validation_labels: Labels of these images `[V]`.
        corrupt: Locations of the images that were left out because they cannot be read.
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
    """Decode images into one shape.

    Attributes:
        shape: The shape.
        prepare: How they are brought to it.
    """

    shape: ImageShape
    prepare: Preparation

    def one(self, table: Table, index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Decode an image.

        Args:
            table: The stored images.
            index: Number of the image.

        Returns:
            A uint8 image `[C, H, W]`.

        Raises:
            BadData: The image cannot be read.
        """
        try:
            return self.prepare(table.image(index), self.shape)
        except GanzooError as error:
            raise BadData(f"image {table.where(index)}: {error}") from error
        except Exception as error:  # decoders raise anything from OSError to SyntaxError
            reason = str(error).splitlines()[0] if str(error) else repr(error)
            raise BadData(
                f"image {table.where(index)} cannot be read ({reason}); replace or remove it, or skip such images with "
                "--skip-corrupt"
            ) from error

    def all(self, table: Table, skip_corrupt: bool) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], list[int]]:
        """Decode all images of a table.

        Args:
            table: The stored images.
            skip_corrupt: Go on if an image cannot be read.

        Returns:
            uint8 images `[N, C, H, W]`, and the indices of those that cannot be read, whose pixels are 0.

        Raises:
            BadData: An image cannot be read, and `skip_corrupt` is false.
        """
        pixels = np.zeros((len(table), *self.shape.dimensions), dtype=np.uint8)

        def fails(index: int) -> bool:
            try:
                pixels[index] = self.one(table, index)
            except BadData:
                if not skip_corrupt:
                    raise
                return True
            return False

        return pixels, indices_where(fails, len(table))

    def unreadable(self, table: Table) -> list[int]:
        """Return the indices of the images of a table that cannot be read."""

        def fails(index: int) -> bool:
            try:
                self.one(table, index)
            except BadData:
                return True
            return False

        return indices_where(fails, len(table))


def indices_where(test: Callable[[int], bool], count: int) -> list[int]:
    """Return the numbers in 0 … count - 1 for which a test is true, in ascending order.

    Args:
        test: The test; it is called in several threads.
        count: How many numbers are tested.
    """
    chunks = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return [i for found in pool.map(lambda chunk: [i for i in chunk if test(i)], chunks) for i in found]


def inspect_images(source: Source, skip_corrupt: bool) -> tuple[int, int]:
    """Determine the shape of the images of a data set from a sample of them.

    Args:
        source: The data set.
        skip_corrupt: Skip images that cannot be read.

    Returns:
        The largest number of channels (1: grey, 3: RGB, 4: RGBA), and the median of the smaller sides in pixels.

    Raises:
        BadData: An image cannot be read, and `skip_corrupt` is false; or none can be read.
    """
    shapes: list[tuple[int, int]] = []
    for index in map(int, np.linspace(0, len(source.train) - 1, min(SAMPLED, len(source.train)))):
        try:
            picture = source.train.image(index)
        except Exception:
            if skip_corrupt:
                continue
            Decoder(ImageShape(3, 8, 8, 0), Preparation()).one(source.train, index)
            raise
        transparent = picture.mode in ("LA", "RGBA", "PA") or "transparency" in picture.info
        grey = picture.mode in ("1", "L", "F") or picture.mode.startswith("I")
        shapes.append((4 if transparent else 1 if grey else 3, min(picture.size)))
    if not shapes:
        raise BadData(f"none of {min(SAMPLED, len(source.train))} images sampled from '{source.name}' can be read")
    return max(c for c, _ in shapes), int(np.median([s for _, s in shapes]))


@dataclass(frozen=True)
class ReadTable:
    """The readable images of a table.

    Attributes:
        table: The stored images.
        readable: Indices of the images that can be read, as far as this was checked.
        pixels: uint8 images `[N, C, H, W]` of the whole table, or None if they are to be streamed.
        decode: Decoder of the images.
    """

    table: Table
    readable: Labels
    pixels: np.ndarray[Any, np.dtype[np.uint8]] | None
    decode: Decoder

    @property
    def labels(self) -> Labels:
        """Labels of all images of the table, -1 for none."""
        return np.asarray(self.table.labels)

    @property
    def corrupt(self) -> list[str]:
        """Locations of the images that cannot be read."""
        return [self.table.where(int(i)) for i in np.setdiff1d(np.arange(len(self.table)), self.readable)]

    def images(self, members: Labels, device: torch.device, workers: int) -> Images:
        """Return some images of the table, in memory or streamed.

        Args:
            members: Indices of the images.
            device: Device of the images in memory.
            workers: Number of processes that decode streamed images.
        """
        if self.pixels is None:
            return Streamed(self.table, members, self.decode, workers)
        return InMemory(torch.from_numpy(self.pixels[members]).to(device))


def read_table(table: Table, decode: Decoder, in_memory: bool, skip_corrupt: bool) -> ReadTable:
    """Decode a table into memory, or find the images that can be streamed.

    Args:
        table: The stored images.
        decode: Decoder of the images.
        in_memory: Decode the images now.
        skip_corrupt: Leave out images that cannot be read.

    Raises:
        BadData: An image cannot be read, and `skip_corrupt` is false.
    """
    pixels = None
    if in_memory:
        pixels, unreadable = decode.all(table, skip_corrupt)
    else:
        unreadable = decode.unreadable(table) if skip_corrupt else []
    return ReadTable(table, np.setdiff1d(np.arange(len(table)), unreadable), pixels, decode)


def prepare_data(
    source: Source, config: DataConfig, shape: ImageShape, device: torch.device, split: Split | None = None
) -> Dataset:
    """Decode and split a data set.

    Args:
        source: The data set.
        config: How images are decoded, held out and labelled.
        shape: Shape of the images and number of classes.
        device: Device of the images that are kept in memory.
        split: Split to use; default: a new one.

    Returns:
        The data set, ready for training.

    Raises:
        BadData: An image cannot be read, there are too few labels, or `split` was made for other data.
    """
    decode = Decoder(shape, Preparation(config.fit, config.range))
    tables = [source.train, *([source.test] if source.test else [])]
    in_memory = sum(map(len, tables)) * shape.pixels <= config.memory
    train, *others = [read_table(table, decode, in_memory, config.skip_corrupt) for table in tables]
    if split is None:
        split = _new_split(train, source, config)
    else:
        split.check(train.labels, train.readable, source.class_names, source.test is not None)
    test, test_members = (others[0], others[0].readable) if others else (train, split.test)
    labelled = torch.from_numpy(np.searchsorted(split.train, split.labelled))
    unlabelled = torch.arange(len(split.train))
    if not config.labelled_in_unlabelled:
        unlabelled = unlabelled[~torch.isin(unlabelled, labelled)]
    return Dataset(
        name=source.name,
        shape=shape,
        class_names=list(source.class_names),
        train=train.images(split.train, device, config.workers),
        labelled=labelled,
        labels=torch.from_numpy(split.labels),
        unlabelled=unlabelled,
        test=test.images(test_members, device, config.workers),
        test_labels=torch.from_numpy(test.labels[test_members]),
        split=split,
        validation=train.images(split.validation, device, config.workers),
        validation_labels=torch.from_numpy(train.labels[split.validation]),
        corrupt=[path for table in (train, *others) for path in table.corrupt],
    )


def _new_split(train: ReadTable, source: Source, config: DataConfig) -> Split:
    """Draw a split of the readable images of a training table."""
    readable, held_out = train.readable, 0.0 if source.test else config.test_fraction
    settings = SplitSettings(config.labels, config.split_seed, held_out, config.test_seed, config.validation)
    drawn = make_split(train.labels[readable], source.class_names, settings)
    members = (readable[drawn.train], readable[drawn.labelled], drawn.labels, readable[drawn.test])
    return Split(*members, readable[drawn.validation])

"""Prepared images on disk: Arrow files that are mapped into memory, and that `datasets` opens too.

A folder has files such as `train-00000-of-00001.arrow`, with one record batch each, and `prepared.json`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from ganzoo.base.storage import read_json, to_json
from ganzoo.data.identity import Keys, hash_rows, sha256_of
from ganzoo.data.images import Shards, Uint8
from ganzoo.errors import CorruptFile

FILE = "prepared.json"
FORMAT = 1
LARGEST = 2**31 - 1
"""Bytes of pixels in one file: values that an Arrow array can have in every implementation."""
COLUMNS = ("label", "key", "hash", "readable")
"""Columns of int64 beside `image` and `path`."""


class StoredFile(msgspec.Struct, frozen=True):
    """An Arrow file.

    Attributes:
        name: File name.
        images: Number of images.
        bytes: Size of the file.
        changed: Time of its last change in ns.
        sha256: SHA-256 of its columns without the pixels, among them the hash of the pixels of each image.
    """

    name: str
    images: int
    bytes: int
    changed: int
    sha256: str


class StoredSet(msgspec.Struct, frozen=True):
    """The content of `prepared.json`.

    Attributes:
        ganzoo: Version of the format.
        name: Name of the data set.
        class_names: Names of the classes.
        preparation: How the images were decoded.
        parts: Files of each part: "train", and "test" if the data set has test images of its own.
        unreadable: Reason why an image cannot be read, by part and number.
            notes: What was found when the original was read.
    """

    ganzoo: int
    name: str
    class_names: list[str]
    preparation: dict[str, Any]
    parts: dict[str, list[StoredFile]]
    unreadable: dict[str, dict[str, str]]
    kinds: dict[str, int]
    side: int
    notes: list[str]


@dataclass(frozen=True)
class Part:
    """The decoded images of a table.

    Attributes:
        shards: Pixels of all images, 0 for unreadable ones; None if they are to be streamed.
        labels: Label of each image, -1 for none `[N]`.
        keys: Key of each image, by which it is known `[N]`.
        hashes: Hash of the decoded pixels of each image `[N]`.
        readable: Numbers of the images that could be read.
        reasons: Why the others could not, by number.
        paths: Where the images lay when they were decoded, if that is kept.
    """

    shards: Shards | None
    labels: Keys
    keys: Keys
    hashes: Keys
    readable: Keys
    reasons: dict[int, str]
    paths: Sequence[str] = ()

    def pixels(self, numbers: Sequence[int]) -> Uint8:
        """Return a copy of images that are not streamed."""
        assert self.shards is not None
        return self.shards.take(np.array(numbers, dtype=np.int64))


def file_names(part: str, count: int, image_bytes: int) -> list[tuple[str, range]]:
    """Return the names of the files of a part, and the images in each.

    Args:
        part: Name of the part.
        count: Number of images.
        image_bytes: Bytes of one image.
    """
    rows = max(LARGEST // image_bytes, 1)
    starts = range(0, count, rows) or range(1)
    return [
        (f"{part}-{number:05}-of-{len(starts):05}.arrow", range(start, min(start + rows, count)))
        for number, start in enumerate(starts)
    ]


def allocate(
    path: Path, dimensions: tuple[int, int, int], labels: Keys, paths: Sequence[str], class_names: Sequence[str]
) -> None:
    """Write an Arrow file with labels and paths, whose pixels, keys and hashes are 0 and are filled in later.

    Args:
        path: The file.
        dimensions: Channels, height and width of the images.
        labels: Label of each image `[N]`.
        paths: Where each image was read from.
        class_names: Names of the classes.
    """
    count = len(labels)
    zeros = np.zeros(count * int(np.prod(dimensions)), dtype=np.uint8)  # not in memory before it is written to
    image: Any = pa.Array.from_buffers(pa.uint8(), len(zeros), [None, pa.py_buffer(zeros)])
    feature: dict[str, Any] = {"dtype": "uint8", "_type": "Value"}
    for length in reversed(dimensions):
        image = pa.FixedSizeListArray.from_arrays(image, length)
        feature = {"feature": feature, "length": length, "_type": "List"}
    numbers = {name: np.zeros(count, dtype=np.int64) for name in COLUMNS} | {"label": labels.astype(np.int64)}
    columns = {"image": image, **{name: pa.array(values) for name, values in numbers.items()}}
    columns["path"] = pa.array([p.encode(errors="backslashreplace").decode() for p in paths], pa.string())
    features: dict[str, Any] = {"image": feature}
    features |= {name: {"dtype": "int64", "_type": "Value"} for name in COLUMNS}
    features |= {"label": {"names": list(class_names), "_type": "ClassLabel"}} if class_names else {}
    features |= {"path": {"dtype": "string", "_type": "Value"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    batch = pa.record_batch(columns).replace_schema_metadata(metadata)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, batch.schema) as writer:
        writer.write_batch(batch)


class Opened:
    """The columns of an Arrow file, and where they lie in it.

    Args:
        path: The file.

    Raises:
        CorruptFile: The file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            mapped = pa.memory_map(str(path))
            base = mapped.read_buffer(mapped.size()).address
            mapped.seek(0)
            batch = pa.ipc.open_stream(mapped).read_next_batch()
            batch.validate()
            image, dimensions = batch.column("image"), []
            while isinstance(image.type, pa.FixedSizeListType):
                dimensions.append(image.type.list_size)
                image = image.values
            if image.type != pa.uint8() or len(dimensions) != 3 or image.null_count:
                raise CorruptFile(f"{path} does not have images of three dimensions")
            columns = {"image": image, **{name: batch.column(name) for name in COLUMNS}}
            self.shape = (batch.num_rows, *dimensions)
            self.offsets = {n: c.buffers()[1].address - base if len(c) else 0 for n, c in columns.items()}
            self.columns = {name: np.array(columns[name].to_numpy(zero_copy_only=False)) for name in COLUMNS}
            self.paths = batch.column("path")
        except (OSError, KeyError, StopIteration, ValueError, pa.ArrowException) as error:
            raise CorruptFile(f"{path} is damaged ({error})") from error

    @property
    def pixels(self) -> Uint8:
        """The pixels `[N, C, H, W]`, mapped from the file."""
        if not self.shape[0]:
            return np.empty(self.shape, dtype=np.uint8)
        return np.memmap(self.path, dtype=np.uint8, mode="r", offset=self.offsets["image"], shape=self.shape)

    def write(self, column: str, first: int, values: np.ndarray[Any, Any]) -> None:
        """Overwrite rows of a column.

        Args:
            column: "image" or one of `COLUMNS`.
            first: Number of the first row.
            values: The rows.
        """
        with self.path.open("r+b") as file:
            file.seek(self.offsets[column] + first * values[0].nbytes)
            file.write(np.ascontiguousarray(values).data)

    def sha256(self) -> str:
        """Return the SHA-256 of the columns without the pixels."""
        return sha256_of(*(self.columns[name] for name in COLUMNS), self.paths.to_pylist())


def describe_file(path: Path) -> StoredFile:
    """Flush a complete Arrow file to disk, and describe it."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
    opened, stat = Opened(path), path.stat()
    return StoredFile(path.name, opened.shape[0], stat.st_size, stat.st_mtime_ns, opened.sha256())


def write_description(folder: Path, stored: StoredSet) -> None:
    """Write `prepared.json`, last of all."""
    (folder / FILE).write_bytes(to_json(msgspec.to_builtins(stored)))


def read_description(folder: Path) -> StoredSet:
    """Read `prepared.json`.

    Raises:
        CorruptFile: It is damaged, or of a later version.
    """
    try:
        stored = msgspec.convert(read_json(folder / FILE), StoredSet)
        channels, height, width = stored.preparation["shape"]
        whole = channels in (1, 3, 4) and min(height, width) > 0 and "train" in stored.parts
        numbers = [int(number) for some in stored.unreadable.values() for number in some]
    except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
        raise CorruptFile(f"{folder / FILE} is damaged ({error})") from error
    if not whole or min(numbers, default=0) < 0:
        raise CorruptFile(f"{folder / FILE} is damaged: it does not describe prepared images")
    if stored.ganzoo > FORMAT:
        raise CorruptFile(f"{folder} was prepared by a later version of ganzoo; update it: pip install -U torch-ganzoo")
    return stored


def open_part(folder: Path, stored: StoredSet, part: str) -> Part:
    """Open the images of a part.

    Pixels are verified by their hashes if a file was moved or changed since it was written.

    Args:
        folder: The folder.
        stored: Its description.
        part: "train" or "test".

    Raises:
        CorruptFile: A file is damaged.
    """
    opened = [_verified(folder, file) for file in stored.parts[part]]
    shape = tuple(stored.preparation["shape"])
    labels = [each.columns["label"] for each in opened if each.shape[0]]
    if any(each.shape[1:] != shape for each in opened) or any(
        some.min() < -1 or some.max() >= len(stored.class_names) for some in labels
    ):
        raise CorruptFile(f"{folder} is damaged: its images or labels are not those that {FILE} describes")
    label, key, hashes, readable = (np.concatenate([each.columns[name] for each in opened]) for name in COLUMNS)
    return Part(
        Shards([each.pixels for each in opened]),
        label,
        key,
        hashes,
        np.flatnonzero(readable),
        {int(number): reason for number, reason in stored.unreadable.get(part, {}).items()},
        Paths([each.paths for each in opened]),
    )


def _verified(folder: Path, file: StoredFile) -> Opened:
    """Open an Arrow file and compare it with its description."""
    path = folder / Path(file.name).name
    opened, stat = Opened(path), path.stat()
    whole = (opened.shape[0], stat.st_size) == (file.images, file.bytes) and opened.sha256() == file.sha256
    if whole and stat.st_mtime_ns != file.changed:
        whole = bool((hash_rows(opened.pixels) == opened.columns["hash"]).all())
    if not whole:
        raise CorruptFile(f"{path} is damaged: its content is not what {FILE} says")
    return opened


@dataclass(frozen=True)
class Paths(Sequence[str]):
    """Text columns of several files as one sequence.

    Attributes:
        columns: The columns.
    """

    columns: Sequence[Any]

    def __len__(self) -> int:
        return sum(map(len, self.columns))

    def __getitem__(self, index: Any) -> Any:
        for column in self.columns:
            if index < len(column):
                return column[index].as_py()
            index -= len(column)
        raise IndexError(index)

    def __iter__(self) -> Iterator[str]:
        for column in self.columns:
            yield from column.to_pylist()

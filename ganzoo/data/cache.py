"""The cache of prepared images: each image is decoded once, whatever it is called and wherever it lies.

`looks/<signature>.json` says what is known of data that look like this: which kinds of images they are, and which
prepared sets have their pixels. `sets/<content>/` is such a set.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import BaseFileLock, FileLock

from ganzoo.base.cache import cache_folder
from ganzoo.base.storage import read_json, read_tensors, tensor_bytes, to_json, write_file, writing
from ganzoo.data import store
from ganzoo.data.decode import Decoder, inspect_images
from ganzoo.data.identity import NONE, Keys, sha256_of
from ganzoo.data.images import Uint8
from ganzoo.data.parallel import chunks, map_ranges
from ganzoo.data.prepared import facts_of
from ganzoo.data.source import Facts, Source, Table
from ganzoo.errors import CannotWrite, CorruptFile, Notice

Parts = dict[str, store.Part]
ROWS = 256
"""Images that a process decodes before it writes them."""
SLOW = 20_000
"""Images from which on the first preparation is announced."""


def cache_root() -> Path:
    """Return the folder of prepared images in the user's cache."""
    return cache_folder("prepared")


def known_facts(source: Source, skip_corrupt: bool) -> Facts:
    """Return what the headers of all images say; they are read once."""
    if source.facts:
        return source.facts
    if source.folder:
        return facts_of(source.folder)
    look = _read_look(source.signature)
    with suppress(KeyError, TypeError):
        return Facts(**look["facts"])
    facts = inspect_images(source, skip_corrupt)
    _update_look(source.signature, facts=asdict(facts))
    return facts


def open_or_prepare(source: Source, decode: Decoder, facts: Facts | None, skip_corrupt: bool) -> Parts | None:
    """Return the decoded images of a data set, and decode them first where that was not done before.

    Several processes that need the same images wait for one of them.

    Args:
        source: The data set.
        decode: Decoder of the images.
        facts: What the headers say, to be kept with the images.
        skip_corrupt: Go on if an image cannot be read.

    Returns:
        The parts by name; None if they cannot be kept, which is said in a Notice.

    Raises:
        BadData: An image cannot be read, and `skip_corrupt` is false.
    """
    if source.folder and store.read_description(source.folder).preparation == decode.preparation:
        return open_set(source.folder)
    if not source.signature:
        return None
    try:
        with locked(sha256_of([source.signature, json.dumps(decode.preparation)])[:32]):
            return _open_known(source, decode) or _prepare(source, decode, facts, skip_corrupt)
    except (OSError, CannotWrite) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        warnings.warn(
            f"prepared images cannot be kept in {cache_root()} ({reason}), so every run decodes them anew; set "
            "XDG_CACHE_HOME to a folder with room that can be written",
            Notice,
            stacklevel=2,
        )
        return None


def remembered(signature: str, compute: Callable[[], dict[str, Keys]]) -> dict[str, Keys]:
    """Return integer arrays that take long to compute, from the cache if they are there.

    Args:
        signature: Text that changes whenever the result does.
        compute: Computes the arrays by name.
    """
    path = _look_file(signature).with_suffix(".safetensors")
    with suppress(CorruptFile):
        return {name: tensor.numpy() for name, tensor in read_tensors(path).items()}
    arrays = compute()
    with suppress(CannotWrite, OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, tensor_bytes({name: torch.from_numpy(array) for name, array in arrays.items()}))
    return arrays


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process at a time do something.

    Raises:
        OSError: The cache cannot be written.
    """
    folder = cache_root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock: BaseFileLock = FileLock(folder / f"{name}.lock")
    with lock:
        yield


def _open_known(source: Source, decode: Decoder) -> Parts | None:
    """Open the set that was prepared from data of this signature; a damaged one is deleted."""
    name = str(_read_look(source.signature).get("sets", {}).get(_preparation(decode), ""))
    folder = cache_root() / "sets" / Path(name).name
    if not name or not folder.is_dir():
        return None
    try:
        parts = open_set(folder)
    except CorruptFile as error:
        warnings.warn(f"prepared images are made anew: {error}", Notice, stacklevel=3)
        shutil.rmtree(folder, ignore_errors=True)
        return None
    fits = list(parts) == list(source.parts) and all(
        np.array_equal(parts[name].labels, table.labels) for name, table in source.parts.items()
    )
    return parts if fits else None


def open_set(folder: Path, used: bool = True) -> Parts:
    """Open the parts of a prepared set.

    Args:
        folder: The folder.
        used: Note the time, so that `ganzoo cache` can say when the set was last used.

    Raises:
        CorruptFile: It is damaged.
    """
    stored = store.read_description(folder)
    parts = {name: store.open_part(folder, stored, name) for name in stored.parts}
    if used:
        with suppress(OSError):
            os.utime(folder / store.FILE)
    return parts


def _prepare(source: Source, decode: Decoder, facts: Facts | None, skip_corrupt: bool) -> Parts:
    """Decode a data set into the cache.

    Raises:
        OSError: The cache cannot be written, or has no room.
        BadData: An image cannot be read, and `skip_corrupt` is false.
    """
    count = sum(map(len, source.parts.values()))
    sets = cache_root() / "sets"
    sets.mkdir(parents=True, exist_ok=True)
    if count * decode.shape.pixels > shutil.disk_usage(sets).free:
        raise OSError(28, f"{count * decode.shape.pixels / 1e9:.1f} GB are needed")
    if count >= SLOW:
        warnings.warn(
            f"preparing {count:,} images at {decode.shape.size}; later runs take them from {sets}",
            Notice,
            stacklevel=4,
        )
    folder = Path(tempfile.mkdtemp(prefix=".partial-", dir=sets)) / "set"
    try:
        parts = write_set(folder, source, decode, facts, skip_corrupt, Before(decode))
        content = [array for part in parts.values() for array in (part.labels, part.keys)]
        name = sha256_of([_preparation(decode), *source.class_names, *parts], *content)[:32]
        if not (sets / name).is_dir():
            folder.rename(sets / name)
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)
    known = _read_look(source.signature).get("sets", {})
    _update_look(source.signature, sets={**known, _preparation(decode): name})
    return open_set(sets / name)


def prepare_folder(out: Path, source: Source, decode: Decoder, facts: Facts, skip_corrupt: bool) -> Parts:
    """Decode a data set into a folder of its own.

    Args:
        out: The folder, which must not exist or be empty.
        source: The data set.
        decode: Decoder of the images.
        facts: What the headers say.
        skip_corrupt: Go on if an image cannot be read.

    Returns:
        The parts by name.

    Raises:
        CannotWrite: The folder exists and is not empty, or cannot be written.
        BadData: An image cannot be read, and `skip_corrupt` is false.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CannotWrite(f"{out} exists and is not empty; choose another folder with --out")
    temporary = out.with_name(f".{out.name}.partial")
    with writing(out):
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            write_set(temporary, source, decode, facts, skip_corrupt, Before(decode))
            if out.exists():
                out.rmdir()
            temporary.rename(out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return open_set(out)


def write_set(
    folder: Path, source: Source, decode: Decoder, facts: Facts | None, skip_corrupt: bool, known: Before | None = None
) -> Parts:
    """Decode a data set into a folder.

    Args:
        folder: The folder, which does not exist yet.
        source: The data set.
        decode: Decoder of the images.
        facts: What the headers say.
        skip_corrupt: Go on if an image cannot be read.
        known: Images that were decoded before.

    Returns:
        The parts by name.

    Raises:
        OSError: The folder cannot be written.
        BadData: An image cannot be read, and `skip_corrupt` is false.
    """
    folder.mkdir(parents=True)
    files: dict[str, list[store.StoredFile]] = {}
    unreadable: dict[str, dict[str, str]] = {}
    for part, table in source.parts.items():
        files[part], unreadable[part] = [], {}
        for name, numbers in store.file_names(part, len(table), decode.shape.pixels):
            paths, labels = [table.where(i) for i in numbers], np.asarray(table.labels)[numbers.start : numbers.stop]
            store.allocate(folder / name, decode.shape.dimensions, labels, paths, source.class_names)
            fill = _filler(store.Opened(folder / name), table, decode, skip_corrupt, known, numbers.start)
            for reasons in map_ranges(fill, chunks(len(numbers), ROWS)):
                unreadable[part] |= {str(i): reason for i, reason in reasons.items()}
            files[part].append(store.describe_file(folder / name))
    kinds, side = (facts.kinds, facts.side) if facts else ({}, 0)
    stored = store.StoredSet(
        store.FORMAT,
        source.name,
        list(source.class_names),
        decode.preparation,
        files,
        unreadable,
        kinds,
        side,
        list(source.notes),
    )
    store.write_description(folder, stored)
    return open_set(folder)


def _filler(
    file: store.Opened, table: Table, decode: Decoder, skip_corrupt: bool, known: Before | None, first: int
) -> Callable[[range], dict[int, str]]:
    """Return a function that decodes a range of rows into a file, and returns why images cannot be read."""

    def fill(rows: range) -> dict[int, str]:
        numbers = range(first + rows.start, first + rows.stop)
        decoded = decode.several(table, numbers, skip_corrupt, known)
        readable = np.array([i not in decoded.reasons for i in numbers], dtype=np.int64)
        columns: dict[str, Any] = {
            "image": decoded.pixels,
            "key": decoded.keys,
            "hash": decoded.hashes,
            "readable": readable,
        }
        for name, values in columns.items():
            file.write(name, rows.start, values)
        return decoded.reasons

    return fill


class Before:
    """Images of all prepared sets that were decoded in the same way.

    Args:
        decode: The decoder.
    """

    def __init__(self, decode: Decoder) -> None:
        self._parts = [
            part
            for folder, stored in list_sets()
            if stored.preparation == decode.preparation
            for part in _parts_of(folder)
        ]
        owner = [np.full(len(part.readable), number) for number, part in enumerate(self._parts)]
        keys = np.concatenate([NONE, *(part.keys[part.readable] for part in self._parts)])
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._owner = np.concatenate([NONE, *owner])[order]
        self._row = np.concatenate([NONE, *(part.readable for part in self._parts)])[order]

    def pixels_of(self, key: int) -> Uint8 | None:
        """Return the image `[C, H, W]` of a key, or None if there is none."""
        place = int(np.searchsorted(self._keys, key))
        if place == len(self._keys) or self._keys[place] != key:
            return None
        pixels: Uint8 = self._parts[self._owner[place]].pixels([self._row[place]])[0]
        return pixels


def _parts_of(folder: Path) -> list[store.Part]:
    try:
        return list(open_set(folder, used=False).values())
    except CorruptFile:
        return []


@dataclass(frozen=True)
class CachedSet:
    """A prepared set in the cache.

    Attributes:
        name: Name of the data set.
        images: Number of images.
        size: Height and width in pixels, and kind of colours.
        bytes: Size on disk.
        used: Time of its last use in seconds.
        folder: Its folder.
    """

    name: str
    images: int
    size: str
    bytes: int
    used: float
    folder: Path

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "folder": str(self.folder)}


def cached_sets() -> list[CachedSet]:
    """Return what the cache has, largest first."""
    found = []
    for folder, stored in list_sets():
        files = [file for part in stored.parts.values() for file in part]
        _, height, width = stored.preparation["shape"]
        used = (folder / store.FILE).stat().st_mtime
        count, size = sum(file.images for file in files), sum(file.bytes for file in files)
        found.append(CachedSet(stored.name, count, f"{height}x{width}", size, used, folder))
    return sorted(found, key=lambda each: -each.bytes)


def clear_sets(chosen: Sequence[CachedSet], everything: bool) -> None:
    """Delete sets from the cache.

    Args:
        chosen: The sets.
        everything: Delete also what was left by interrupted preparations, and what is known of data sets.
    """
    for each in chosen:
        shutil.rmtree(each.folder, ignore_errors=True)
    if everything:
        shutil.rmtree(cache_root(), ignore_errors=True)


def list_sets() -> list[tuple[Path, store.StoredSet]]:
    """Return the folders of all prepared sets in the cache, with their descriptions."""
    found = []
    for path in sorted((cache_root() / "sets").glob(f"[!.]*/{store.FILE}")):
        with suppress(CorruptFile):
            found.append((path.parent, store.read_description(path.parent)))
    return found


def _preparation(decode: Decoder) -> str:
    return sha256_of([json.dumps(decode.preparation, sort_keys=True)])[:16]


def _look_file(signature: str) -> Path:
    return cache_root() / "looks" / f"{sha256_of([signature])[:32]}.json"


def _read_look(signature: str) -> dict[str, Any]:
    """Return what is known of data with a signature; nothing if the file is missing or damaged."""
    with suppress(CorruptFile):
        return read_json(_look_file(signature)) if signature and _look_file(signature).is_file() else {}
    return {}


def _update_look(signature: str, **values: Any) -> None:
    """Add to what is known of data with a signature, if the cache can be written."""
    if signature:
        with suppress(CannotWrite, OSError):
            _look_file(signature).parent.mkdir(parents=True, exist_ok=True)
            write_file(_look_file(signature), to_json(_read_look(signature) | values))

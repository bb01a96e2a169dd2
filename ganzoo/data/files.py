"""Folders and zip files of images: `root/<class>/…` and `root/unlabeled/…`, or the same below `train` and `test`."""

from __future__ import annotations

import os
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ganzoo.base.dicom import HEAD
from ganzoo.base.opening import open_picture
from ganzoo.data.layout import (
    HELD_OUT,
    begins_as_image,
    class_folder,
    find_parts,
    image_suffixes,
    is_hidden,
    part_of,
    system_folder,
)
from ganzoo.data.source import Source
from ganzoo.errors import BadData, Notice

MAX_MEMBERS, MAX_BYTES, MAX_RATIO = 5_000_000, 2**40, 1000


class Reader(Protocol):
    """Reads files by their paths below a root."""

    def __call__(self, name: str, /) -> bytes:
        """Return the content of a file."""
        ...

    def head(self, name: str, /) -> bytes:
        """Return the first `HEAD` bytes of a file."""
        ...


@dataclass(frozen=True)
class FileTable:
    """Images by relative path.

    Attributes:
        read: Returns the content of a file by its path.
        root: Folder or zip file, for messages.
        names: Paths of the images.
        labels: Labels `[N]`, -1 for none.
    """

    read: Reader
    root: str
    names: Sequence[str]
    labels: np.ndarray[Any, np.dtype[np.int64]]

    def __len__(self) -> int:
        return len(self.names)

    def image(self, index: int) -> Image.Image:
        """Decode one image."""
        return open_picture(self.read(self.names[index]))

    def where(self, index: int) -> str:
        """Return the path of one image, for messages."""
        return f"{self.root}/{self.names[index]}"


@dataclass(frozen=True)
class FolderReader:
    """Read files below a folder.

    Attributes:
        root: The folder.
    """

    root: Path

    def __call__(self, name: str) -> bytes:
        """Return the content of a file, by its path below the folder; raises OSError."""
        path = self.root / name
        if path.exists() and not path.is_file():  # a pipe would wait for its writer forever
            raise OSError("not a regular file")
        return path.read_bytes()

    def head(self, name: str) -> bytes:
        """Return the first `HEAD` bytes of a file; none if it cannot be read or is not a regular file."""
        path = self.root / name
        try:
            if not path.is_file():  # a pipe would wait for its writer forever
                return b""
            with path.open("rb") as file:
                return file.read(HEAD)
        except OSError:
            return b""


class ZipReader:
    """Read members of a zip file.

    Each process opens the file for itself, because processes would move a shared file position.

    Args:
        path: The zip file.
        prefix: Start of the names of members that is left out when one is read.
    """

    def __init__(self, path: Path, prefix: str = "") -> None:
        self.path, self.prefix = path, prefix
        self._open: dict[int, tuple[zipfile.ZipFile, dict[str, str]]] = {}

    def __reduce__(self) -> tuple[type[ZipReader], tuple[Path, str]]:
        return ZipReader, (self.path, self.prefix)

    def __call__(self, name: str) -> bytes:
        """Return the content of a member, by its name without the prefix."""
        archive, member = self._member(name)
        return archive.read(member)

    def head(self, name: str) -> bytes:
        """Return the first `HEAD` bytes of a member; none if it cannot be read."""
        archive, member = self._member(name)
        try:
            with archive.open(member) as file:
                return file.read(HEAD)
        except (OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error):
            return b""

    def _member(self, name: str) -> tuple[zipfile.ZipFile, str]:
        pid = os.getpid()
        if pid not in self._open:
            archive = zipfile.ZipFile(self.path)
            self._open = {pid: (archive, {member_path(m): m for m in archive.namelist()})}
        archive, members = self._open[pid]
        return archive, members[self.prefix + name]

    def names(self) -> list[str]:
        """Return the paths of all members, with slashes.

        Raises:
            BadData: The archive is damaged, could be a decompression bomb, or points outside of itself.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = archive.infolist()
        except (OSError, zipfile.BadZipFile) as error:
            raise BadData(f"{self.path} cannot be read as a zip file ({error}); copy or download it again") from error
        size = sum(m.file_size for m in members)
        packed = sum(m.compress_size for m in members)
        if len(members) > MAX_MEMBERS or size > MAX_BYTES or size > MAX_RATIO * max(packed, 1):
            raise BadData(
                f"{self.path} unpacks to {size:,} bytes in {len(members):,} files; this is refused as too large"
            )
        names = [member_path(m.filename) for m in members]
        if strange := [n for n in names if n.startswith("/") or ".." in n.split("/") or ":" in n[:2]]:
            raise BadData(f"{self.path} has a member '{strange[0]}' that points outside of it; this is refused")
        return names


def member_path(name: str) -> str:
    """Return the path that the name of a zip file's member means; some Windows programs write backslashes."""
    return name.replace("\\", "/")


def folder_source(root: Path, /) -> Source:
    """Open a folder of images.

    Args:
        root: The folder. Symbolic links are followed, hidden folders are not.

    Returns:
        The data set.

    Raises:
        BadData: The folder has no image, or its structure is unclear.
    """
    names: list[str] = []
    visited: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        here = PurePosixPath(Path(folder).relative_to(root).as_posix())
        names += [f"{here / f}/" for f in folders if system_folder(f)]
        folders[:] = sorted(f for f in folders if not f.startswith(".") and not system_folder(f))
        if (real := os.path.realpath(folder)) in visited:  # a link to a folder that was visited before
            folders.clear()
            continue
        visited.add(real)
        names += [f"{here / f}/" for f in folders] + [str(here / f) for f in sorted(files)]
    reader = FolderReader(root)
    return arrange(*select(names, reader, root), reader, root)


def zip_source(path: Path, /) -> Source:
    """Open a zip file of a folder of images, or of the contents of one.

    Args:
        path: The zip file.

    Returns:
        The data set.

    Raises:
        BadData: The file is damaged or unsafe, has no image, or its structure is unclear.
    """
    reader = ZipReader(path)
    names, images = select(sorted(reader.names()), reader, path)
    tops = {n.partition("/")[0] for n in images}
    if len(tops) == 1 and all("/" in n for n in images):  # all lie in one folder, which was zipped itself
        top = f"{tops.pop()}/"
        names, images = (
            [n.removeprefix(top) for n in each if n.startswith(top) and n != top] for each in (names, images)
        )
        reader = ZipReader(path, top)
    return arrange(names, images, reader, path)


def select(names: Sequence[str], reader: Reader, root: Path) -> tuple[list[str], list[str]]:
    """Leave out hidden and system files, and find the images by their suffixes or their first bytes.

    What else is passed over is said in a `Notice`.

    Args:
        names: Paths of files, and of folders, which end in `/`.
        reader: Reads the files.
        root: The folder or zip file, for messages.

    Returns:
        The paths that are left, and those of them that are images.
    """
    systems = sorted({folder for n in names if (folder := system_folder(n))})
    names = [n for n in names if not is_hidden(n) and not system_folder(n)]
    suffixes = image_suffixes()
    images: list[str] = []
    others: list[str] = []
    for name in names:
        if not name.endswith("/"):
            known = PurePosixPath(name).suffix.lower() in suffixes
            (images if known or begins_as_image(reader.head(name)) else others).append(name)
    passed = [f"{len(others)} file{'s' * (len(others) > 1)} that are not images ({shorten(others)})"] if others else []
    passed += [f"system folders ({shorten(systems)})"] if systems else []
    if images and passed:
        warnings.warn(f"{root}: passed over {' and '.join(passed)}", Notice, stacklevel=3)
    return names, images


def shorten(names: Sequence[str]) -> str:
    """Return the first three names, for a message."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def arrange(names: Sequence[str], images: Sequence[str], reader: Reader, root: Path) -> Source:
    """Derive classes, training images and test images from paths.

    Args:
        names: Paths relative to the root; those of folders end in `/`.
        images: Those of them that are images.
        reader: Reads the files.
        root: The folder or zip file.

    Returns:
        The data set.

    Raises:
        BadData: There is no image, a class is empty, or the structure is unclear.
    """
    if not images:
        raise BadData(f"{root} has no images; expected {root}/<class>/*.png or {root}/*.png")
    by_folder: dict[str, list[str]] = {}
    for name in images:
        by_folder.setdefault(name.split("/")[0] if "/" in name else "", []).append(name)
    train, prefix, folders = list(images), "", list(names)
    held_out: list[str] = []
    if parts := find_parts(by_folder):
        training = [f for f, part in parts.items() if part == "train"]
        unlabelled = [f for f, part in parts.items() if part == "unlabeled"]
        held_out = [f for kind in HELD_OUT for f, part in parts.items() if part == kind]
        prefix = f"{training[0]}/"
        if surplus := sorted({*by_folder, *training[1:], *held_out[1:]} - {training[0], *held_out[:1], *unlabelled}):
            where = f"{root}/{surplus[0]}" if surplus[0] else f"images directly in {root}"
            raise BadData(
                f"beside {root}/{training[0]} there may be one of {', '.join(HELD_OUT)}, and unlabeled; not {where}"
            )
        train = [n for folder in (training[0], *unlabelled) for n in by_folder[folder]]
        folders = [n.removeprefix(prefix) for n in names if n.startswith(prefix)]
    classes = sorted(c for c in {class_folder(n) for n in folders if "/" in n} if part_of(c) != "unlabeled")
    filled = {class_folder(n.removeprefix(prefix)) for n in train}
    empty = [c for c in classes if c not in filled]
    if empty:
        raise BadData(f"class '{empty[0]}' has no image: {root}/{prefix}{empty[0]}; add images or remove the folder")

    def table(members: list[str], below: str) -> FileTable:
        tops = [class_folder(n.removeprefix(below)) for n in members]
        unknown = sorted(t for t in set(tops) - set(classes) - {""} if part_of(t) != "unlabeled")
        if unknown:
            raise BadData(f"{root}/{below}{unknown[0]} is a class that {root}/{prefix} does not have")
        labels = np.array([classes.index(t) if t in classes else -1 for t in tops], dtype=np.int64)
        return FileTable(reader, str(root), members, labels)

    test = table(by_folder[held_out[0]], f"{held_out[0]}/") if held_out else None
    return Source(root.stem, table(train, prefix), test, classes)

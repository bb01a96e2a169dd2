"""Folders and zip files of images: `root/<class>/…` and `root/unlabeled/…`, or the same below `train` and `test`."""

from __future__ import annotations

import io
import os
import unicodedata
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from ganzoo.data.source import Source
from ganzoo.errors import BadData

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}
UNLABELLED = {"unlabeled", "unlabelled"}
HELD_OUT = ("test", "val", "valid", "validation")
MAX_MEMBERS, MAX_BYTES, MAX_RATIO = 5_000_000, 2**40, 1000


@dataclass(frozen=True)
class FileTable:
    """Images by relative path.

    Attributes:
        read: Returns the content of a file by its path.
        root: Folder or zip file, for messages.
        names: Paths of the images.
        labels: Labels `[N]`, -1 for none.
    """

    read: Callable[[str], bytes]
    root: str
    names: Sequence[str]
    labels: np.ndarray[Any, np.dtype[np.int64]]

    def __len__(self) -> int:
        return len(self.names)

    def image(self, index: int) -> Image.Image:
        """Decode one image."""
        return Image.open(io.BytesIO(self.read(self.names[index])))

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
        """Return the content of a file, by its path below the folder."""
        return (self.root / name).read_bytes()


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
        pid = os.getpid()
        if pid not in self._open:
            archive = zipfile.ZipFile(self.path)
            self._open = {pid: (archive, {member_path(m): m for m in archive.namelist()})}
        archive, members = self._open[pid]
        return archive.read(members[self.prefix + name])

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


def class_folder(path: str) -> str:
    """Return the class that a path lies in, or an empty string; equal names are equal in whichever Unicode form."""
    return unicodedata.normalize("NFC", path.split("/")[0]) if "/" in path else ""


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
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        if (real := os.path.realpath(folder)) in visited:  # a link to a folder that was visited before
            folders.clear()
            continue
        visited.add(real)
        here = PurePosixPath(Path(folder).relative_to(root).as_posix())
        names += [f"{here / f}/" for f in folders] + [str(here / f) for f in sorted(files)]
    return arrange(names, FolderReader(root), root)


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
    names = sorted(n for n in reader.names() if not n.startswith("__MACOSX/"))
    tops = {n.partition("/")[0] for n in names if is_image(n)}
    if len(tops) == 1 and all("/" in n for n in names if is_image(n)):  # all lie in one folder, which was zipped itself
        top = f"{tops.pop()}/"
        inner = [n.removeprefix(top) for n in names if n.startswith(top) and n != top]
        return arrange(inner, ZipReader(path, top), path)
    return arrange(names, reader, path)


def is_image(name: str) -> bool:
    """Return whether a path names an image, by its suffix; hidden files do not count."""
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not name.endswith("/")


def arrange(names: Sequence[str], read: Callable[[str], bytes], root: Path) -> Source:
    """Derive classes, training images and test images from paths.

    Args:
        names: Paths relative to the root; those of folders end in `/`.
        read: Returns the content of a file by its path.
        root: The folder or zip file.

    Returns:
        The data set.

    Raises:
        BadData: There is no image, a class is empty, or the structure is unclear.
    """
    images = [n for n in names if is_image(n)]
    if not images:
        raise BadData(f"{root} has no images; expected {root}/<class>/*.png or {root}/*.png")
    by_folder: dict[str, list[str]] = {}
    for name in images:
        by_folder.setdefault(name.split("/")[0] if "/" in name else "", []).append(name)
    held_out = [f for f in HELD_OUT if f in by_folder] if "train" in by_folder else []
    train, prefix, folders = images, "", list(names)
    if "train" in by_folder:
        prefix = "train/"
        train = [n for folder in ("train", *UNLABELLED) for n in by_folder.get(folder, [])]
        folders = [n.removeprefix(prefix) for n in names if n.startswith(prefix)]
        if surplus := sorted({*by_folder, *held_out[1:]} - {"train", *held_out[:1], *UNLABELLED}):
            where = f"{root}/{surplus[0]}" if surplus[0] else f"images directly in {root}"
            raise BadData(f"beside {root}/train there may be one of {', '.join(HELD_OUT)}, and unlabeled; not {where}")
    classes = sorted({class_folder(n) for n in folders if "/" in n} - UNLABELLED)
    filled = {class_folder(n.removeprefix(prefix)) for n in train}
    empty = [c for c in classes if c not in filled]
    if empty:
        raise BadData(f"class '{empty[0]}' has no image: {root}/{prefix}{empty[0]}; add images or remove the folder")

    def table(members: list[str], below: str) -> FileTable:
        tops = [class_folder(n.removeprefix(below)) for n in members]
        unknown = sorted(set(tops) - set(classes) - UNLABELLED - {""})
        if unknown:
            raise BadData(f"{root}/{below}{unknown[0]} is a class that {root}/{prefix} does not have")
        labels = np.array([classes.index(t) if t in classes else -1 for t in tops], dtype=np.int64)
        return FileTable(read, str(root), members, labels)

    test = table(by_folder[held_out[0]], f"{held_out[0]}/") if held_out else None
    return Source(root.stem, table(train, prefix), test, classes)

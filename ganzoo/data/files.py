"""Folders and zip files of images: `root/<class>/…` and `root/unlabeled/…`, or the same below `train` and `test`."""

from __future__ import annotations

import os
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
from ganzoo.data.arrange import Listing, arrange, list_files
from ganzoo.data.identity import Keys, sha256_of
from ganzoo.data.labels import LabelOptions
from ganzoo.data.layout import is_run, system_folder
from ganzoo.data.source import Source
from ganzoo.data.tables import SUFFIXES
from ganzoo.errors import BadData

MAX_MEMBERS, MAX_BYTES, MAX_RATIO = 5_000_000, 2**40, 1000


class Reader(Protocol):
    """Reads files by their paths below a root."""

    def __call__(self, name: str, /) -> bytes:
        """Return the content of a file."""
        ...

    def head(self, name: str, /) -> bytes:
        """Return the first `HEAD` bytes of a file."""
        ...

    def signature(self, names: Sequence[str], /) -> str:
        """Return text that changes whenever the files do."""
        ...


@dataclass(frozen=True)
class FileTable:
    """Images by relative path.

    Attributes:
        read: Returns the content of a file by its path.
        root: Folder or zip file, for messages.
        names: Paths of the images.
        labels: Labels `[N]`, -1 for none.
        signature: Text that changes whenever the files do.
    """

    read: Reader
    root: str
    names: Sequence[str]
    labels: np.ndarray[Any, np.dtype[np.int64]]
    signature: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def image(self, index: int) -> Image.Image:
        """Decode one image."""
        return open_picture(self.encoded(index))

    def encoded(self, index: int) -> bytes:
        """Return the content of the file of one image."""
        return self.read(self.names[index])

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

    def signature(self, names: Sequence[str]) -> str:
        """Return the SHA-256 of paths, sizes and times of change of files."""
        found = [str(self.root.resolve())]
        for name in names:
            try:
                stat = (self.root / name).stat()
                found.append(f"{name} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}")
            except OSError:  # it is found again when it is read
                found.append(name)
        return sha256_of(found)


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

    def signature(self, names: Sequence[str]) -> str:
        """Return size and time of change of the archive, and the SHA-256 of the paths of members."""
        return FolderReader(self.path.parent).signature([self.path.name]) + sha256_of(names)

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


def folder_source(
    root: Path, /, *, level: int | None = None, labels_file: str = "", path: str = "", label: str = ""
) -> Source:
    """Open a folder of images.

    Args:
        root: The folder. Symbolic links are followed; hidden folders and the folders of runs are not read.
        level: Depth of the folders that are classes, from 1; default: 1.
        labels_file: File with labels, as a path below the folder; default: the one that names most images.
        path: Column of paths in it; default: guessed.
        label: Column of labels in it; default: guessed.

    Returns:
        The data set.

    Raises:
        BadData: The folder has no image, or its structure is unclear.
    """
    names: list[str] = []
    runs: list[str] = []
    visited: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        here = PurePosixPath(Path(folder).relative_to(root).as_posix())
        names += [f"{here / f}/" for f in folders if system_folder(f)]
        folders[:] = sorted(f for f in folders if not f.startswith(".") and not system_folder(f))
        if is_run(files) and str(here) != ".":
            runs.append(str(here))
            folders.clear()
            continue
        if (real := os.path.realpath(folder)) in visited:  # a link to a folder that was visited before
            folders.clear()
            continue
        visited.add(real)
        names += [f"{here / f}/" for f in folders] + [str(here / f) for f in sorted(files)]
    inside = tuple(f"{run}/" for run in runs)
    listing = list_files([n for n in names if n not in inside], FolderReader(root), root, runs)
    top = _only_folder(listing)
    if level is None and top and all(image.count("/") > 1 for image in listing.images):  # it has the class folders
        listing = listing.below(top, FolderReader(root / top))
    return _arranged(listing, LabelOptions(labels_file, path, label), level)


def zip_source(
    archive: Path, /, *, level: int | None = None, labels_file: str = "", path: str = "", label: str = ""
) -> Source:
    """Open a zip file of a folder of images, or of the contents of one.

    Args:
        archive: The zip file.
        level: Depth of the folders that are classes, from 1; default: 1.
        labels_file: File with labels, as a path in the archive; default: the one that names most images.
        path: Column of paths in it; default: guessed.
        label: Column of labels in it; default: guessed.

    Returns:
        The data set.

    Raises:
        BadData: The file is damaged or unsafe, has no image, or its structure is unclear.
    """
    reader = ZipReader(archive)
    listing = list_files(sorted(reader.names()), reader, archive)
    if top := _only_folder(listing):  # the folder was zipped itself
        listing = listing.below(top, ZipReader(archive, top))
    return _arranged(listing, LabelOptions(labels_file, path, label), level)


def label_file_source(file: Path, /, *, path: str = "", label: str = "") -> Source:
    """Open the images that a label file names; they lie below its folder.

    Args:
        file: A table of paths and labels: CSV, TSV, Parquet, JSON or JSON Lines.
        path: Column of paths; default: guessed.
        label: Column of labels; default: guessed.

    Raises:
        BadData: The file is damaged, or names no image.
    """
    return folder_source(file.parent, labels_file=file.name, path=path, label=label)


def _only_folder(listing: Listing) -> str:
    """Return the folder at the top that all images and tables lie in, with a slash, or an empty string."""
    tables = [name for name in listing.others if PurePosixPath(name).suffix.lower() in SUFFIXES]
    tops = {name.partition("/")[0] if "/" in name else "" for name in (*listing.images, *tables)}
    return f"{tops.pop()}/" if len(tops) == 1 and "" not in tops else ""


def _arranged(listing: Listing, options: LabelOptions, level: int | None) -> Source:
    """Arrange files into a data set of file tables."""
    reader, root = listing.reader, str(listing.root)

    def make_table(members: list[str], labels: Keys) -> FileTable:
        return FileTable(reader, root, members, labels, reader.signature(members))

    return arrange(listing, make_table, options, level)

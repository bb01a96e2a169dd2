"""Image folders and zip files of them: `root/<class>/…`, `root/unlabeled/…`, `train` and `test` parts, or none."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from ganzoo.contracts import Source
from ganzoo.errors import BadData

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}
UNLABELLED = {"unlabeled", "unlabelled"}
HELD_OUT = ("test", "val", "valid", "validation")
MAX_MEMBERS, MAX_BYTES, MAX_RATIO = 5_000_000, 2**40, 1000


@dataclass(frozen=True)
class FileTable:
    """Images by relative path, read through `read`."""

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
        """Return the path of one image."""
        return f"{self.root}/{self.names[index]}"


@dataclass(frozen=True)
class FolderReader:
    """Reads files below a folder."""

    root: Path

    def __call__(self, name: str) -> bytes:
        """Return the content of a file."""
        return (self.root / name).read_bytes()


class ZipReader:
    """Reads members of a zip file; each process opens it anew, since a shared position would mix up their reads."""

    def __init__(self, path: Path, prefix: str = "") -> None:
        self.path, self.prefix = path, prefix
        self._open: dict[int, zipfile.ZipFile] = {}

    def __reduce__(self) -> tuple[type[ZipReader], tuple[Path, str]]:
        return ZipReader, (self.path, self.prefix)

    def __call__(self, name: str) -> bytes:
        """Return the content of a member."""
        pid = os.getpid()
        if pid not in self._open:
            self._open = {pid: zipfile.ZipFile(self.path)}
        return self._open[pid].read(self.prefix + name)

    def names(self) -> list[str]:
        """Return the members. Raises BadData for an archive that is damaged or could be a bomb."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = archive.infolist()
        except (OSError, zipfile.BadZipFile) as error:
            raise BadData(f"{self.path} cannot be read as a zip file ({error})") from error
        size = sum(m.file_size for m in members)
        packed = sum(m.compress_size for m in members)
        if len(members) > MAX_MEMBERS or size > MAX_BYTES or size > MAX_RATIO * max(packed, 1):
            raise BadData(f"{self.path} unpacks to {size:,} bytes in {len(members):,} files; refused as too large")
        names = [m.filename for m in members]
        if strange := [n for n in names if n.startswith("/") or ".." in n.split("/") or "\\" in n or ":" in n[:2]]:
            raise BadData(f"{self.path} has a member '{strange[0]}' that points outside of it; refused")
        return names


def folder_source(root: Path, /) -> Source:
    """Return the images below a folder. Raises BadData."""
    names: list[str] = []
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        if (real := os.path.realpath(folder)) in seen:  # a link to what was seen already, or to itself
            folders.clear()
            continue
        seen.add(real)
        here = PurePosixPath(Path(folder).relative_to(root).as_posix())
        names += [f"{here / f}/" for f in folders] + [str(here / f) for f in sorted(files)]
    return arrange(names, FolderReader(root), root)


def zip_source(path: Path, /) -> Source:
    """Return the images in a zip file of such a folder, or of what is in it. Raises BadData."""
    reader = ZipReader(path)
    names = sorted(n for n in reader.names() if not n.startswith("__MACOSX/"))
    tops = {n.partition("/")[0] for n in names if is_image(n)}
    if len(tops) == 1 and all("/" in n for n in names if is_image(n)):  # the folder itself was zipped
        top = f"{tops.pop()}/"
        inner = [n.removeprefix(top) for n in names if n.startswith(top) and n != top]
        return arrange(inner, ZipReader(path, top), path)
    return arrange(names, reader, path)


def is_image(name: str) -> bool:
    """Return whether a path is of an image, by its suffix; hidden files are not."""
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not name.endswith("/")


def arrange(names: Sequence[str], read: Callable[[str], bytes], root: Path) -> Source:
    """Read classes and parts from relative paths (folders end in `/`). Raises BadData."""
    images = [n for n in names if is_image(n)]
    if not images:
        raise BadData(f"{root} holds no image; expected {root}/<class>/*.png or {root}/*.png")
    parts: dict[str, list[str]] = {}
    for name in images:
        parts.setdefault(name.split("/")[0] if "/" in name else "", []).append(name)
    held_out = [p for p in HELD_OUT if p in parts] if "train" in parts else []
    train, prefix, folders = images, "", list(names)
    if "train" in parts:
        prefix = "train/"
        train = [n for part in ("train", *UNLABELLED) for n in parts.get(part, [])]
        folders = [n.removeprefix(prefix) for n in names if n.startswith(prefix)]
        if surplus := sorted({*parts, *held_out[1:]} - {"train", *held_out[:1], *UNLABELLED}):
            where = f"{root}/{surplus[0]}" if surplus[0] else f"images directly in {root}"
            raise BadData(f"beside {root}/train there may be one of {', '.join(HELD_OUT)}, and unlabeled; not {where}")
    classes = sorted({n.split("/")[0] for n in folders if "/" in n} - UNLABELLED)
    filled = {n.removeprefix(prefix).split("/")[0] for n in train}
    empty = [c for c in classes if c not in filled]
    if empty:
        raise BadData(f"class '{empty[0]}' has no image: {root}/{prefix}{empty[0]}; fill the folder or remove it")

    def table(members: list[str], below: str) -> FileTable:
        tops = [n.removeprefix(below).split("/")[0] if "/" in n.removeprefix(below) else "" for n in members]
        unknown = sorted(set(tops) - set(classes) - UNLABELLED - {""})
        if unknown:
            raise BadData(f"{root}/{below}{unknown[0]} is a class that {root}/{prefix} does not have")
        labels = np.array([classes.index(t) if t in classes else -1 for t in tops], dtype=np.int64)
        return FileTable(read, str(root), members, labels)

    test = table(parts[held_out[0]], f"{held_out[0]}/") if held_out else None
    return Source(root.stem, table(train, prefix), test, classes)

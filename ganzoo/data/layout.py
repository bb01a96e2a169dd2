"""What the names of files and folders in a data set mean: images, parts such as `train` and `test`, classes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import cache, lru_cache

from PIL import Image

from ganzoo.base.dicom import is_dicom
from ganzoo.errors import printable

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "AVIF", "JPEG2000")
"""Formats that a file is known by from its first bytes, whatever its name."""
NAMED_FORMATS = (*FORMATS, "BMP", "DIB", "PPM", "TGA")
"""Formats that a file is known by from its suffix; too many other files begin as these do."""
SYSTEM = {"@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "__MACOSX", "lost+found", "__pycache__"}
SYSTEM_FILES = {"Thumbs.db", "ehthumbs.db", "desktop.ini", "DICOMDIR"}

PARTS = {
    "train": {"train", "training"},
    "test": {"test", "testing"},
    "val": {"val", "valid", "validation"},
    "unlabeled": {"unlabeled", "unlabelled", "unsup", "unsupervised"},
}
HELD_OUT = ("test", "val")
_NOISE = {"data", "dataset", "set", "images", "seg"}


@cache
def image_suffixes() -> frozenset[str]:
    """Return the suffixes of images that can be opened, in lower case and with their dots."""
    return frozenset(
        suffix for suffix, name in Image.registered_extensions().items() if name in NAMED_FORMATS and name in Image.OPEN
    ) | {".dcm"}


def begins_as_image(head: bytes) -> bool:
    """Return whether a file is an image, by its first `HEAD` bytes."""
    image_suffixes()  # Pillow then knows all its formats
    return is_dicom(head) or any(
        accept(head) for name in FORMATS if name in Image.OPEN and (accept := Image.OPEN[name][1])
    )


def is_run(files: Collection[str]) -> bool:
    """Return whether a folder with these files is that of a run or of a model."""
    return "config.json" in files and any(name.endswith(".safetensors") or name == "environment.json" for name in files)


def system_folder(path: str) -> str:
    """Return the folder of a NAS, of Windows or of macOS that a path lies in, or an empty string."""
    folder, _, name = path.rpartition("/")
    return _system_part(folder) or (name if name in SYSTEM else "")


@lru_cache(2**16)
def _system_part(folder: str) -> str:
    return next((part for part in folder.split("/") if part in SYSTEM), "")


def is_hidden(path: str) -> bool:
    """Return whether a file or a folder that it lies in is hidden, or is a file that a system leaves behind."""
    folder, _, name = path.rpartition("/")
    return name.startswith(".") or name in SYSTEM_FILES or _has_hidden_part(folder)


@lru_cache(2**16)
def _has_hidden_part(folder: str) -> bool:
    return any(part.startswith(".") for part in folder.split("/"))


def class_folder(path: str, level: int = 1) -> str:
    """Return the folder of a class that a path lies in, or an empty string.

    Equal names are equal in whichever Unicode form, and bytes that are not UTF-8 are replaced.

    Args:
        path: Path of a file, or of a folder, which ends in `/`.
        level: Number of folders that name a class, as `animals/birds` at level 2.
    """
    return _class_of(path.rpartition("/")[0], level)


@lru_cache(2**16)
def _class_of(folder: str, level: int) -> str:
    folders = folder.split("/")[:level] if folder else []
    return printable(unicodedata.normalize("NFC", "/".join(folders))) if len(folders) == level else ""


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key by which `class 2` comes before `class 10`."""
    words = re.findall(r"[0-9]+|[^0-9]+", name)
    return (*((0, int(word), "") if word.isdigit() else (1, 0, word) for word in words), (2, 0, name))


def part_of(folder: str) -> str:
    """Return the part of a data set that the name of a folder means: `train`, `test`, `val`, `unlabeled` or nothing.

    `Training`, `train_data` and `seg_train` all mean `train`.
    """
    words = [w for w in re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", folder)) if w]
    said = [w.lower() for w in words if w.lower() not in _NOISE]
    return next((part for part, names in PARTS.items() if len(said) == 1 and said[0] in names), "")


def find_parts(folders: Collection[str]) -> dict[str, str]:
    """Return the part that each folder at the top of a data set means, where it has parts.

    A data set has parts if there is a folder `train`, or one of another spelling beside a held-out part or alone:
    `training` beside `running` and `jumping` is a class.
    """
    parts = {folder: part for folder in folders if (part := part_of(folder))}
    kinds = set(parts.values())
    whole = "train" in parts or ("train" in kinds and (not kinds.isdisjoint(HELD_OUT) or len(parts) == len(folders)))
    return parts if whole else {}

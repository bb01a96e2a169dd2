"""WebDataset shards: tar files in which the files of an image have one name and different suffixes.

`0001.png` and `0001.cls` are an image and its label: a number, or the name of a class. A `0001.json` with `label`,
`cls` or `class` is a label, too.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL.Image import Image

from ganzoo.base.opening import open_picture
from ganzoo.data.cache import remembered
from ganzoo.data.files import FolderReader
from ganzoo.data.identity import Keys
from ganzoo.data.layout import HELD_OUT, image_suffixes, is_hidden, part_of
from ganzoo.data.parallel import map_ranges
from ganzoo.data.source import Source
from ganzoo.errors import BadData, NoSuchData

LABELS = (".cls", ".json")
LARGEST_LABEL = 2**20
"""Bytes of the largest file of a label that is read."""
BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True)
class ShardTable:
    """Images in tar files, by their places.

    Attributes:
        paths: The tar files.
        files: Number of the tar file of each image `[N]`.
        offsets: Place of its first byte `[N]`.
        sizes: Its number of bytes `[N]`.
        labels: Labels `[N]`, -1 for none.
        signature: Text that changes whenever the files do.
    """

    paths: Sequence[Path]
    files: Keys
    offsets: Keys
    sizes: Keys
    labels: Keys
    signature: str

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> Image:
        """Decode one image."""
        return open_picture(self.encoded(index))

    def encoded(self, index: int) -> bytes:
        """Return the content of the file of one image."""
        with self.paths[int(self.files[index])].open("rb", buffering=0) as file:
            file.seek(int(self.offsets[index]))
            return file.read(int(self.sizes[index]))

    def where(self, index: int) -> str:
        """Return tar file and place of one image."""
        return f"{self.paths[int(self.files[index])]}, byte {self.offsets[index]}"


def shard_source(pattern: str, /) -> Source:
    """Open WebDataset shards.

    Args:
        pattern: A tar file, a folder of them, or several as in `train-{0000..0099}.tar` or `train-*.tar`. Shards whose
            names begin with a part, as `test-0000.tar`, are of that part; the others are training images.

    Returns:
        The data set.

    Raises:
        BadData: A file is damaged or compressed, there is no image, or a part is unclear.
    """
    paths = shard_paths(pattern)
    parts = {path: part_of(re.sub(r"[-_.]?\d+.*", "", path.stem)) or "train" for path in paths}
    held_out = [kind for kind in HELD_OUT if kind in parts.values()]
    if len(held_out) > 1:
        raise BadData(f"{pattern} has shards of {' and '.join(held_out)}; name those of one of them")
    train = [path for path in paths if parts[path] in ("train", "unlabeled")]
    test = [path for path in paths if parts[path] in held_out]
    if not train:
        raise BadData(f"{pattern} has no training shards, only those of {held_out[0]}")
    indexed = [index_of(group) for group in (train, test) if group]
    names = sorted({name for index in indexed for name in index.classes}, key=_by_number)
    tables = [index.table(names) for index in indexed]
    if not len(tables[0]):
        raise BadData(f"{pattern} has no images; expected pairs such as 0001.png and 0001.cls")
    name = re.sub(r"[-_.]?[{*].*", "", Path(pattern).stem) or "shards"
    return Source(name, tables[0], tables[1] if test else None, names, (f"{len(paths):,} WebDataset shards",))


def shard_paths(pattern: str) -> list[Path]:
    """Return the tar files that a pattern or a folder names, in order.

    Raises:
        NoSuchData: One does not exist.
    """
    if Path(pattern).is_dir():
        return [path for path in sorted(Path(pattern).glob("*.tar")) if path.is_file()]
    if match := BRACES.search(pattern):
        first, last = match.groups()
        numbers = [f"{n:0{len(first)}}" for n in range(int(first), int(last) + 1)]
        paths = [Path(f"{pattern[: match.start()]}{number}{pattern[match.end() :]}") for number in numbers]
    else:
        path = Path(pattern)
        paths = sorted(path.parent.glob(path.name)) if "*" in path.name else [path]
    if missing := [path for path in paths if not path.is_file()] or ([] if paths else [Path(pattern)]):
        raise NoSuchData(f"there is no shard {missing[0]}")
    return paths


@dataclass(frozen=True)
class Index:
    """Where the images of tar files lie.

    Attributes:
        paths: The tar files.
        arrays: `files`, `offsets`, `sizes` and `labels` of the images `[N]`; a label is a position in `classes`.
        classes: Labels as text.
        signature: Text that changes whenever the files do.
    """

    paths: Sequence[Path]
    arrays: dict[str, Keys]
    classes: Sequence[str]
    signature: str

    def table(self, names: Sequence[str]) -> ShardTable:
        """Return the images with labels as positions in the names of all classes."""
        renumbered = np.array([*(names.index(name) for name in self.classes), -1], dtype=np.int64)
        files, offsets, sizes, labels = (self.arrays[name] for name in ("files", "offsets", "sizes", "labels"))
        return ShardTable(self.paths, files, offsets, sizes, renumbered[labels], self.signature)


def index_of(paths: Sequence[Path]) -> Index:
    """Find the images of tar files. The result is kept in the cache.

    Raises:
        BadData: A file is damaged.
    """

    def compute() -> dict[str, Keys]:
        ranges = [range(number, number + 1) for number in range(len(paths))]
        found = list(map_ranges(lambda each: index_tar(paths[each.start]), ranges, many=2))
        classes = sorted({label for _, labels in found for label in labels} - {""})
        codes = {"": -1, **{label: code for code, label in enumerate(classes)}}
        places = np.concatenate([some for some, _ in found])
        return {
            "files": np.repeat(np.arange(len(paths)), [len(some) for some, _ in found]),
            "offsets": places[:, 0],
            "sizes": places[:, 1],
            "labels": np.array([codes[label] for _, labels in found for label in labels], dtype=np.int64),
            "classes": np.frombuffer(json.dumps(classes).encode(), dtype=np.uint8).astype(np.int64),
        }

    signature = FolderReader(Path("/")).signature([str(path.resolve()) for path in paths])
    arrays = remembered(f"shards {signature}", compute)
    classes = json.loads(arrays.pop("classes").astype(np.uint8).tobytes())
    return Index(paths, arrays, classes, signature)


def index_tar(path: Path) -> tuple[Keys, list[str]]:
    """Return the places `[N, 2]` of the images in a tar file (first byte, number of bytes), and their labels as text.

    Raises:
        BadData: The file is damaged or compressed.
    """
    images: dict[str, tuple[int, int]] = {}
    labels: dict[str, str] = {}
    suffixes = image_suffixes()
    try:
        with path.open("rb", buffering=2**20) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # those of a million images take a gigabyte
                folder, _, name = member.name.rpartition("/")
                stem, _, suffix = name.lower().partition(".")
                key, suffix = f"{folder}/{stem}", f".{suffix}"
                if not member.isfile() or is_hidden(member.name):
                    continue
                if PurePosixPath(suffix[1:]).suffix in suffixes or suffix in suffixes:
                    images[key] = (member.offset_data, member.size)
                elif suffix in LABELS and member.size <= LARGEST_LABEL:
                    content = os.pread(file.fileno(), member.size, member.offset_data)
                    labels[key] = read_label(content, suffix, f"{path}: {member.name}")
    except (OSError, tarfile.TarError, EOFError) as error:
        raise BadData(f"{path} cannot be read as a tar file ({error}); compressed shards must be unpacked") from error
    return np.array([*images.values()], dtype=np.int64).reshape(-1, 2), [labels.get(key, "") for key in images]


def read_label(content: bytes, suffix: str, where: str) -> str:
    """Return a label as text; an empty text for none.

    Args:
        content: Content of the file.
        suffix: `.cls` or `.json`.
        where: The file, for messages.

    Raises:
        BadData: It is not a label.
    """
    try:
        text = content.decode().strip()
        if suffix == ".json":
            values = json.loads(text)
            label = next((values[key] for key in ("label", "cls", "class") if key in values), "")
            text = "" if label is None or isinstance(label, list | dict) else str(label)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadData(f"{where} is not a label ({error})") from error
    return text


def _by_number(name: str) -> tuple[int, int, str]:
    return (0, int(name), "") if name.isdecimal() else (1, 0, name)

"""From the paths of files to a data set: which are images, their parts, and their classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ganzoo.data.identity import Keys
from ganzoo.data.labels import Labelling, LabelOptions, find_labels
from ganzoo.data.layout import (
    HELD_OUT,
    begins_as_image,
    class_folder,
    find_parts,
    image_suffixes,
    is_hidden,
    natural_key,
    part_of,
    system_folder,
)
from ganzoo.data.source import Source
from ganzoo.errors import BadData, printable

LISTED = 3


@dataclass(frozen=True)
class Listing:
    """What a folder or an archive contains.

    Attributes:
        reader: Reads the files.
        root: The folder or archive, for messages.
        images: Paths of the images.
        others: Paths of other files.
        folders: Paths of folders that should have images.
        notes: What was passed over.
    """

    reader: Any
    root: Path
    images: list[str]
    others: list[str]
    folders: list[str]
    notes: list[str] = field(default_factory=list)

    def below(self, top: str, reader: Any) -> Listing:
        """Return what lies in one folder, with paths relative to it."""
        images, others, folders = (
            [name.removeprefix(top) for name in names if name.startswith(top) and name != top]
            for names in (self.images, self.others, self.folders)
        )
        return Listing(reader, self.root, images, others, folders, self.notes)


def list_files(names: Sequence[str], reader: Any, root: Path, runs: Sequence[str] = ()) -> Listing:
    """Find the images among files, by their suffixes or their first bytes.

    Args:
        names: Paths of files, and of folders, which end in `/`.
        reader: Reads the files.
        root: The folder or archive, for messages.
        runs: Folders of runs, which were left out.
    """
    systems = sorted({folder for name in names if (folder := system_folder(name))})
    images, others, folders = [], [], []
    suffixes = image_suffixes()
    for name in names:
        if is_hidden(name) or system_folder(name):
            continue
        if name.endswith("/"):
            folders.append(name)
        elif f".{name.rpartition('.')[2].lower()}" in suffixes or begins_as_image(reader.head(name)):
            images.append(name)
        else:
            others.append(name)
    passed = [f"system folders ({shorten(systems)})"] if systems else []
    passed += [f"folders of runs ({shorten(runs)})"] if runs else []
    notes = [f"passed over {' and '.join(passed)}"] if passed else []
    return Listing(reader, root, images, others, _with_images(folders, images, runs), notes)


def _with_images(folders: list[str], images: list[str], runs: Sequence[str]) -> list[str]:
    """Leave out folders that contain nothing but folders of runs."""
    if not runs:
        return folders
    above = {f"{parent}/" for name in images for parent in map(str, PurePosixPath(name).parents)}
    around = {f"{parent}/" for name in runs for parent in map(str, PurePosixPath(name).parents)}
    return [folder for folder in folders if folder in above or folder not in around]


def shorten(names: Sequence[str]) -> str:
    """Return the first names, for a message."""
    return ", ".join(printable(name) for name in names[:LISTED]) + (", …" if len(names) > LISTED else "")


def arrange(listing: Listing, make_table: Any, options: LabelOptions, level: int | None) -> Source:
    """Find the parts and classes of a data set.

    Args:
        listing: Its files.
        make_table: Creates a table from paths and labels.
        options: What the user says about label files.
        level: Depth of the folders that are classes, from 1; default: 1.

    Raises:
        BadData: There is no image, a class is empty, or the structure is unclear.
    """
    root, images, notes = listing.root, listing.images, list(listing.notes)
    if not images:
        raise BadData(f"{root} has no images; expected {root}/<class>/*.png or {root}/*.png")
    found = find_labels(listing.others, images, listing.reader, root, options)
    others = [name for name in listing.others if name not in found.files]
    if others:
        files = f"{len(others):,} files that are" if len(others) > 1 else "1 file that is"
        notes.append(f"passed over {files} not images: {shorten(others)}")
    notes += found.notes
    parts, prefixes, training = _parts(listing, found)
    if found.classes:
        names: list[str | None] = [found.classes.get(image) for image in images]
    else:
        names, depth_notes = _classes(listing, parts, prefixes, training, level)
        notes += depth_notes
    return _source(listing, names, parts, notes, make_table)


def _source(listing: Listing, names: list[str | None], parts: list[str], notes: list[str], make_table: Any) -> Source:
    """Create a data set from the class and part of each image."""
    train = [i for kind in ("train", "unlabeled") for i, part in enumerate(parts) if part == kind]
    test = [i for i, part in enumerate(parts) if part not in ("train", "unlabeled")]
    classes = sorted({name for i in train if (name := names[i]) is not None}, key=natural_key)
    numbers: dict[str | None, int] = {None: -1, **{name: k for k, name in enumerate(classes)}}
    if unknown := sorted({str(names[i]) for i in test if names[i] not in numbers}):
        raise BadData(f"test images of {listing.root} are of the class '{unknown[0]}', and no training image is")

    def table(members: list[int]) -> Any:
        labels: Keys = np.array([numbers[names[i]] for i in members], dtype=np.int64)
        return make_table([listing.images[i] for i in members], labels)

    name = listing.root.resolve().stem
    return Source(name, table(train), table(test) if test else None, classes, tuple(notes))


def _parts(listing: Listing, found: Labelling) -> tuple[list[str], list[str], str]:
    """Return the part of each image, the folder of its part, and the folder of the training images.

    Raises:
        BadData: There are images outside of the parts, or several held-out parts.
    """
    root, images = listing.root, listing.images
    if found.parts:
        kinds = set(found.parts.values())
        if "train" not in kinds or set(HELD_OUT) <= kinds:
            raise BadData(
                f"the table of {root} has the parts {', '.join(sorted(kinds))}; there may be train, one of "
                f"{', '.join(HELD_OUT)}, and unlabeled: rename the others, or leave their images out"
            )
        return [found.parts.get(image, "train") for image in images], [""] * len(images), ""
    tops = Counter(image.partition("/")[0] if "/" in image else "" for image in images)
    parts = find_parts([top for top in tops if top]) if any(tops) else {}
    if not parts:
        return ["train"] * len(images), [""] * len(images), ""
    training = [folder for folder, part in parts.items() if part == "train"]
    unlabelled = [folder for folder, part in parts.items() if part == "unlabeled"]
    held_out = [folder for kind in HELD_OUT for folder, part in parts.items() if part == kind]
    if surplus := sorted(set(tops) - {training[0], *held_out[:1], *unlabelled}):
        where = f"{root}/{surplus[0]}" if surplus[0] else f"images directly in {root}"
        raise BadData(
            f"beside {root}/{training[0]} there may be one of {', '.join(HELD_OUT)}, and unlabeled; not {where}"
        )
    tops_of = [image.partition("/")[0] for image in images]
    return [parts[top] for top in tops_of], [f"{top}/" for top in tops_of], f"{training[0]}/"


def _classes(
    listing: Listing, parts: list[str], prefixes: list[str], training: str, level: int | None
) -> tuple[list[str | None], list[str]]:
    """Return the class of each image by the folders that it lies in, and what is said of their level.

    Raises:
        BadData: A class has no image.
    """
    depth = level or 1
    paths = [image.removeprefix(prefix) for image, prefix in zip(listing.images, prefixes, strict=True)]
    names = [
        class_folder(path, depth) or None if part != "unlabeled" else None
        for path, part in zip(paths, parts, strict=True)
    ]
    names = [None if name and part_of(name.partition("/")[0]) == "unlabeled" else name for name in names]
    filled = {name for name, part in zip(names, parts, strict=True) if part == "train"}
    folders = {
        class_folder(folder.removeprefix(training), depth)
        for folder in listing.folders
        if folder.startswith(training) and folder.removeprefix(training).count("/") == depth
    }
    tops = {prefix.rstrip("/") for prefix in prefixes}  # parts, which have images
    empty = sorted(name for name in folders - filled - tops - {""} if name and part_of(name) != "unlabeled")
    if empty:
        where = f"{listing.root}/{training}{empty[0]}"
        raise BadData(f"class '{empty[0]}' has no image: {where}; add images or remove the folder")
    deeper = {class_folder(path, depth + 1) for path in paths} - {""}
    if level is None and len(deeper) > len(filled):
        example = min(deeper, key=natural_key)
        return names, [
            f"classes are the folders at level 1 ({len(filled - {None})}); data.level=2 gives {len(deeper)}, such as "
            f"{printable(example)}"
        ]
    return names, []

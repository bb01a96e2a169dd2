"""Label files beside images: tables in CSV, TSV, Parquet, JSON Lines or JSON, and the exports of common tools."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from ganzoo.data.layout import part_of
from ganzoo.data.tables import SUFFIXES, BadTable, TableFile, read_table
from ganzoo.errors import BadData, nearest, printable

PATHS = ("file_name", "filename", "filepath", "file_path", "path", "image_path", "image", "img", "file", "name", "id")
CLASSES = ("label", "class", "choice", "category", "target", "class_name", "label_name", "labels", "y")
PARTS = ("split", "part", "subset", "partition", "set")
UNKNOWN = {"", "nan", "none", "null", "unlabeled", "unlabelled", "?"}
LONGEST = 200
"""Characters of the longest name of a class."""
ENOUGH = 0.5
"""Fraction of the images beside a label file that it must name to be used."""


@dataclass(frozen=True)
class LabelOptions:
    """What a user says about label files; what is empty is guessed.

    Attributes:
        file: Path of the label file to use.
        path: Column of paths.
        label: Column of labels.
    """

    file: str = ""
    path: str = ""
    label: str = ""


@dataclass(frozen=True)
class Labelling:
    """Labels and parts from label files.

    Attributes:
        classes: Class of each image that is named, None if it has no label.
        parts: Part of each image, if a column says so.
        notes: What was read, and what was not used.
        files: Paths of the files that the notes name.
    """

    classes: dict[str, str | None]
    parts: dict[str, str]
    notes: list[str]
    files: tuple[str, ...] = ()


def find_labels(
    others: Sequence[str], images: Sequence[str], read: Any, root: object, options: LabelOptions
) -> Labelling:
    """Read the label files among the files beside images.

    Args:
        others: Paths of files that are not images.
        images: Paths of the images.
        read: Returns the content of a file by its path.
        root: The folder or archive, for messages.
        options: What the user says about them.

    Raises:
        BadData: A file is damaged or contradicts itself, several could be meant, or the one that is asked for does not
            fit.
    """
    candidates = [name for name in others if PurePosixPath(name).suffix.lower() in SUFFIXES and name.count("/") < 2]
    if options.file:
        if options.file not in others:
            raise BadData(f"{root} has no file '{options.file}'{nearest(options.file, candidates)}")
        candidates = [options.file]
    classes: dict[str, str | None] = {}
    parts: dict[str, str] = {}
    notes: list[str] = []
    used: dict[str, str] = {}
    named: list[str] = []
    finder = Finder(images if candidates else ())
    for name in candidates:
        scope = name[: name.rfind("/") + 1]
        beside = sum(image.startswith(scope) for image in images)
        try:
            labels = assign(read_table(name, _content(read, name), f"{root}/{name}"), finder, scope, options)
        except BadTable as error:
            if options.file:
                raise
            named.append(name)
            notes.append(f"label file {printable(name)} is not used: {error}")
            continue
        named.append(name)
        if not options.file and len(labels.classes) < ENOUGH * beside:
            count = f"{len(labels.classes):,} of {beside:,} images"
            notes.append(f"label file {printable(name)} is not used: it names {count}")
            continue
        if scope in used:
            raise BadData(
                f"{root}/{used[scope]} and {root}/{name} both have labels; name one of them: --set "
                f"data.options.labels_file={used[scope]}"
            )
        used[scope] = name
        known = sum(label is not None for label in labels.classes.values())
        notes.append(f"{printable(name)}, {labels.notes[0]}: labels of {known:,} of {beside:,} images")
        notes += labels.notes[1:]
        classes |= labels.classes
        parts |= labels.parts
    return Labelling(classes, parts, notes, tuple(named))


def _content(read: Any, name: str) -> bytes:
    try:
        content: bytes = read(name)
    except Exception as error:  # archives raise errors of many types
        raise BadTable(f"it cannot be read ({error})") from error
    return content


class Finder:
    """Finds images by the ways in which tables name them.

    Args:
        images: Paths of the images.
    """

    def __init__(self, images: Sequence[str]) -> None:
        self._whole: dict[str, str] = {}
        self._ends: dict[str, str | None] = {}
        for image in images:
            plain = unicodedata.normalize("NFC", image)
            self._whole[plain] = image
            base = plain.rpartition("/")[2]
            for key in {plain.rpartition(".")[0], base, base.rpartition(".")[0]} - {""}:
                self._ends[key] = None if key in self._ends else image  # two images end like this

    def __call__(self, text: str, scope: str) -> str | None:
        """Return the image that a text names, or None.

        Args:
            text: A path with or without folders and suffix, relative or absolute.
            scope: Folder of the table.
        """
        plain = unicodedata.normalize("NFC", text.strip().replace("\\", "/"))
        if "?d=" in plain:  # Label Studio's local files
            plain = unquote(plain.partition("?d=")[2])
        plain = plain.removeprefix("./").lstrip("/")
        if found := self._whole.get(scope + plain) or self._whole.get(plain):
            return found
        words = plain.split("/")
        for first in range(1, len(words)):  # the end of a path of another machine
            tail = "/".join(words[first:])
            if found := self._whole.get(scope + tail) or self._whole.get(tail):
                return found
        base = words[-1]
        for key in (scope + plain, plain, base, base.partition("-")[2] if "upload" in words else ""):
            if key and (found := self._ends.get(key)):
                return found
        return None


def assign(table: TableFile, finder: Finder, scope: str, options: LabelOptions) -> Labelling:
    """Return the classes and parts that a table gives to images.

    Raises:
        BadData: A column is missing, or an image has two labels.
    """
    rows = table.rows
    path, label, part, guessed = choose_columns(table, finder, scope, options)
    classes: dict[str, str | None] = {}
    parts: dict[str, str] = {}
    absent: list[str] = []
    for number, row in rows:
        image = finder(str(row.get(path) or ""), scope)
        if image is None:
            absent.append(str(row.get(path))[:40])
            continue
        name = class_name(row.get(label), f"{table.where}, {table.unit} {number}") if label else None
        if classes.get(image, name) != name:
            raise BadData(f"{table.where} gives the labels '{classes[image]}' and '{name}' to {image}; keep one")
        classes[image] = name
        if part and (said := part_of(str(row.get(part) or ""))):
            parts[image] = said
    words = f"columns {path} and {label}" if label else f"column {path}"
    notes = [words + (" (guessed)" if guessed else "")]
    if absent and classes:
        notes.append(
            f"{printable(table.name)} names {len(absent):,} files that are not there "
            f"({', '.join(printable(each) for each in absent[:3])}{', …' * (len(absent) > 3)})"
        )
    return Labelling(classes, parts, notes)


def choose_columns(table: TableFile, finder: Finder, scope: str, options: LabelOptions) -> tuple[str, str, str, bool]:
    """Return the columns of paths, labels and parts, and whether they were guessed.

    Raises:
        BadData: There is no such column, or it cannot be guessed.
    """
    columns = table.columns
    for asked in (options.path, options.label):
        if asked and asked not in columns:
            raise BadData(f"{table.where} has no column '{asked}'{nearest(asked, columns)} It has: {listed(columns)}")
    some = [row for _, row in table.rows[:200]]

    def matches(column: str) -> int:
        return sum(finder(str(row.get(column) or ""), scope) is not None for row in some)

    path = options.path or _named(columns, PATHS)
    if not path or (not options.path and not matches(path)):
        path = max(columns, key=matches, default="")
        if not path or not matches(path):
            raise BadTable(f"none of its columns names an image that is there: {listed(columns)}")
    rest = [column for column in columns if column != path]
    part = _named(rest, PARTS)
    label = options.label or _named(rest, CLASSES)
    if not label:
        few = [
            column
            for column in rest
            if column != part and len({str(row.get(column)) for row in some}) <= max(len(some) // 2, 1)
        ]
        if len(few) > 1:
            raise BadData(
                f"{table.where} has the columns {listed(columns)}; say which has the labels: --set "
                f"data.options.label={few[0]}"
            )
        label = few[0] if few else ""
    return path, label, part, not (options.path and options.label)


def class_name(value: Any, where: str) -> str | None:
    """Return the name of a class as a table gives it, or None if an image has no label.

    Raises:
        BadData: It is a list or another structure.
    """
    if isinstance(value, Mapping | list | tuple):
        if isinstance(value, list | tuple) and len(value) == 1:
            return class_name(value[0], where)
        raise BadData(f"{where} has a label of several values; one class for each image is needed")
    if isinstance(value, float):
        return None if math.isnan(value) else str(int(value)) if value.is_integer() else str(value)
    text = unicodedata.normalize("NFC", str(value).strip()) if value is not None else ""
    if text.endswith(".0") and text[:-2].isdecimal():  # pandas writes integers so if one is missing
        text = text[:-2]
    if len(text) > LONGEST:
        raise BadTable(f"{where} has a label of {len(text):,} characters")
    return None if text.lower() in UNKNOWN else printable(text)


def listed(columns: Sequence[str]) -> str:
    """Return the names of some columns, cut to a readable length."""
    shown = [printable(column[:40]) for column in columns[:8]]
    return ", ".join([*shown, *(["…"] if len(columns) > len(shown) else [])]) or "it has none"


def _named(columns: Sequence[str], names: Sequence[str]) -> str:
    """Return the column that has the first of several names, or an empty string."""
    lower = {column.strip().lower(): column for column in reversed(columns)}
    return next((lower[name] for name in names if name in lower), "")

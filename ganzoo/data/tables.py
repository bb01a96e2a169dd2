"""Tables of rows from files: CSV and its relatives, Parquet, JSON Lines, JSON, and what annotation tools export."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ganzoo.errors import BadData

SUFFIXES = {".csv", ".tsv", ".parquet", ".json", ".jsonl"}
LARGEST = 2**31
Row = tuple[int, dict[str, Any]]


class BadTable(BadData):
    """A file is not a table of labels."""


@dataclass(frozen=True)
class TableFile:
    """A table.

    Attributes:
        name: Path of the file.
        where: The file, for messages.
        rows: Line or row number and values by column.
        columns: Names of the columns.
        unit: What the numbers count: "line" or "row".
    """

    name: str
    where: str
    rows: Sequence[Row]
    columns: Sequence[str]
    unit: str


def read_table(name: str, content: bytes, where: str) -> TableFile:
    """Read a table.

    Args:
        name: Path of the file; its suffix says what it is.
        content: Its content.
        where: The file, for messages.

    Raises:
        BadTable: It is damaged, too large, or not a table.
    """
    if len(content) > LARGEST:
        raise BadTable(f"{where} has more than {LARGEST // 2**30} GiB; a label file should be smaller")
    suffix = PurePosixPath(name).suffix.lower()
    readers = {".parquet": read_parquet, ".json": read_json_rows, ".jsonl": read_jsonl}
    rows = list(readers.get(suffix, read_csv)(content, where))
    columns = list(dict.fromkeys(column for _, row in rows[:1000] for column in row))
    return TableFile(name, where, rows, columns, "line" if suffix in (".csv", ".tsv", ".jsonl") else "row")


def decode_text(content: bytes) -> str:
    """Decode text in UTF-8, in UTF-16 with a byte-order mark, or else in Latin-1."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def read_csv(content: bytes, where: str) -> Iterator[Row]:
    """Yield the rows of a table that is separated by commas, tabs, semicolons or bars.

    The first line has the names of the columns, unless its first cell is the name of a file.

    Raises:
        BadTable: A line has fewer cells than the first one.
    """
    text = decode_text(content)
    first_line = text.partition("\n")[0]
    delimiter = max(",\t;|", key=first_line.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    try:
        header: list[str] | None = None
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                named = "." not in cells[0].strip(". ")
                header = (
                    [cell.strip() for cell in cells] if named else ["path", "label", *map(str, range(2, len(cells)))]
                )
                if named:
                    continue
            if len(cells) < len(header):
                raise BadTable(f"{where}, line {reader.line_num} has {len(cells)} cells instead of {len(header)}")
            yield reader.line_num, dict(zip(header, cells, strict=False))
    except csv.Error as error:
        raise BadTable(f"{where}, line {reader.line_num} cannot be read ({error})") from error


def read_parquet(content: bytes, where: str) -> Iterator[Row]:
    """Yield the rows of a Parquet file.

    Raises:
        BadTable: It is damaged.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadTable(f"{where} cannot be read as a Parquet file ({str(error).splitlines()[0]})") from error
    yield from enumerate(table.to_pylist(), 1)


def read_jsonl(content: bytes, where: str) -> Iterator[Row]:
    """Yield the objects of a file with one in each line.

    Raises:
        BadTable: A line is not a JSON object.
    """
    for number, line in enumerate(decode_text(content).splitlines(), 1):
        if line.strip():
            row = parse_json(line, f"{where}, line {number}")
            if not isinstance(row, dict):
                raise BadTable(f"{where}, line {number} is not a JSON object")
            yield number, row


def parse_json(text: str, where: str) -> Any:
    """Parse JSON.

    Raises:
        BadTable: It is damaged.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadTable(f"{where} is not JSON ({error})") from error


def read_json_rows(content: bytes, where: str) -> Iterator[Row]:
    """Yield the rows of a JSON file: a list of objects, `{path: label}`, or what a tool exports.

    These tools are known: the dataset tool of StyleGAN (`{"labels": [[path, class], …]}`), COCO (`images`,
    `annotations`, `categories`), and Label Studio (tasks with a choice).

    Raises:
        BadTable: It is damaged, or of no known form.
    """
    values = parse_json(decode_text(content), where)
    try:
        rows = known_rows(values, where)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise BadTable(f"{where} is incomplete ({error!r})") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadTable(f"{where} is not a list of objects, nor another known form of labels")
    yield from enumerate(rows, 1)


def known_rows(values: Any, where: str) -> Any:
    """Return the rows of a known form of labels; other values are returned unchanged."""
    if isinstance(values, dict) and {"images", "annotations", "categories"} <= values.keys():
        return coco(values, where)
    if isinstance(values, dict) and set(values) == {"labels"}:
        labels = values["labels"] or []
        pairs = labels.items() if isinstance(labels, dict) else labels
        return [{"path": path, "label": label} for path, label in pairs]
    if isinstance(values, list) and values and isinstance(values[0], dict) and "annotations" in values[0]:
        return [label_studio(task) for task in values]
    if isinstance(values, dict) and all(isinstance(value, str | int | float | None) for value in values.values()):
        return [{"path": path, "label": label} for path, label in values.items()]
    return values


def coco(values: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """Return the rows of a COCO file whose images have one category each.

    Raises:
        BadTable: Images have annotations of several categories.
        KeyError: It is incomplete.
    """
    names = {category["id"]: category["name"] for category in values["categories"]}
    found: dict[Any, set[Any]] = {image["id"]: set() for image in values["images"]}
    for annotation in values["annotations"]:
        found.setdefault(annotation["image_id"], set()).add(annotation["category_id"])
    if several := sum(len(categories) > 1 for categories in found.values()):
        raise BadTable(
            f"{where} has {several:,} images with annotations of several categories; one class for each is needed"
        )
    return [
        {"file_name": image["file_name"], "label": next((names[c] for c in found[image["id"]]), None)}
        for image in values["images"]
    ]


def label_studio(task: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a Label Studio task: its image, and the choice of most annotations that were not cancelled."""
    data = task.get("data")
    image = next((v for v in data.values() if isinstance(v, str)), "") if isinstance(data, dict) else ""
    choices: Counter[str] = Counter()
    for annotation in task["annotations"] if isinstance(task.get("annotations"), list) else []:
        if isinstance(annotation, dict) and not annotation.get("was_cancelled"):
            for result in annotation.get("result") or []:
                value = result.get("value") if isinstance(result, dict) else None
                choices.update(value.get("choices") or [] if isinstance(value, dict) else [])
    return {"path": image, "label": choices.most_common(1)[0][0] if choices else None}

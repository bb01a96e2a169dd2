"""Data sets in the layout of the Hugging Face Hub: a local folder of parquet files, or `hf:<name>`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganzoo.base.opening import open_picture
from ganzoo.data.files import FolderReader
from ganzoo.data.source import Source
from ganzoo.errors import BadData, nearest
from ganzoo.registry.component import describe

ENCODED = {"bytes", "path"}
"""Fields of an encoded image in a parquet file."""


@dataclass(frozen=True)
class HubTable:
    """Images of one split of a `datasets.Dataset`.

    Attributes:
        rows: The split, with one column of encoded images.
        column: Name of the column.
        name: Name of data set and split, for messages.
        labels: Labels `[N]`, -1 for none.
        signature: Text that changes whenever the files do.
    """

    rows: Any
    column: str
    name: str
    labels: np.ndarray[Any, np.dtype[np.int64]]
    signature: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> Image.Image:
        """Decode one image."""
        return open_picture(self.encoded(index))

    def encoded(self, index: int) -> bytes:
        """Return the content of the file of one image."""
        cell = self.rows[int(index)][self.column]
        content: bytes = Path(cell["path"]).read_bytes() if cell["bytes"] is None else cell["bytes"]
        return content

    def where(self, index: int) -> str:
        """Return the name and row of one image."""
        return f"{self.name}, row {index}"


def has_images(path: Path) -> bool:
    """Return whether a Parquet file has a column of images, and not only their paths."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        schema = parquet.read_schema(path)
    except (pa.ArrowException, OSError):
        return False
    return any(pa.types.is_struct(f.type) and {c.name for c in f.type} == ENCODED for f in schema) or (
        b'"Image"' in (schema.metadata or {}).get(b"huggingface", b"")
    )


def hub_source(
    name: str,
    /,
    *,
    config: str | None = None,
    train: str = "train",
    test: str = "test",
    image: str | None = None,
    label: str | None = None,
    revision: str | None = None,
) -> Source:
    """Load a data set of the Hub, or a local folder in its layout, with the library `datasets`.

    Args:
        name: Name or path, as for `datasets.load_dataset`.
        config: Configuration of the data set.
        train: Split to train on.
        test: Split that is held out, if there is one of that name.
        image: Column of images; default: the first column of images, or of structs of `bytes` and `path`, which is how
            images are stored in a parquet file that was not written by `datasets`.
        label: Column of labels; default: the first column of classes, or a column `label` of integers.
        revision: Branch, tag or commit.

    Returns:
        The data set.

    Raises:
        BadData: The data set cannot be loaded, or has no such split or column.
    """
    import datasets

    datasets.disable_progress_bars()
    try:
        dataset = datasets.load_dataset(name, config, revision=revision)
    except Exception as error:  # datasets raises errors of many types
        raise BadData(
            f"data set {name} cannot be loaded ({describe(error)}); check its name and your connection"
        ) from error
    if train not in dataset:
        raise BadData(f"data set {name} has no split '{train}'{nearest(train, dataset)} It has: {', '.join(dataset)}")
    features = dataset[train].features
    image = image or next((c for c, f in features.items() if isinstance(f, datasets.Image)), None)
    image = image or next((c for c, f in features.items() if isinstance(f, dict) and f.keys() == ENCODED), None)
    label = label or next((c for c, f in features.items() if isinstance(f, datasets.ClassLabel)), None)
    label = label or next((c for c, f in features.items() if c == "label" and "int" in getattr(f, "dtype", "")), None)
    for column in (image, label):
        if column is not None and column not in features:
            known = ", ".join(features)
            raise BadData(f"data set {name} has no column '{column}'{nearest(column, features)} It has: {known}")
    if image is None:
        raise BadData(f"data set {name} has no column of images; it has: {', '.join(features)}")

    def table(split: str) -> HubTable:
        rows = dataset[split].cast_column(image, datasets.Image(decode=False)).select_columns([image])
        labels = np.array(dataset[split][label] if label else [-1] * len(rows), dtype=np.int64)
        files = [file["filename"] for file in dataset[split].cache_files]
        signature = FolderReader(Path("/")).signature(files) + f" {split} {image} {label}" if files else ""
        return HubTable(rows, image, f"{name} ({split})", labels, signature)

    classes = features[label].names if label and isinstance(features[label], datasets.ClassLabel) else []
    tables = table(train), table(test) if test in dataset else None
    if label and not classes:
        classes = [str(k) for k in range(int(max(tables[0].labels.max(), 0)) + 1)]
    return Source(name.rstrip("/").split("/")[-1], *tables, classes)

"""Data sets of torchvision, downloaded on first use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganzoo.data.source import Source
from ganzoo.errors import BadData
from ganzoo.registry.component import describe

SPLIT_ARGUMENT = {"SVHN": ("train", "test"), "STL10": ("train+unlabeled", "test")}


@dataclass(frozen=True)
class VisionTable:
    """A torchvision data set.

    Attributes:
        pairs: Sequence of (PIL image, label).
        name: Name of the data set.
        labels: `[N]` int64.
    """

    pairs: Any
    name: str
    labels: np.ndarray[Any, np.dtype[np.int64]]

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> Image.Image:
        """Return one image."""
        picture: Image.Image = self.pairs[index][0]
        return picture

    def where(self, index: int) -> str:
        """Return the name of one image for messages."""
        return f"{self.name} {index}"


def named(name: str, root: str = "~/.cache/ganzoo/data", download: bool = True) -> Source:
    """Return a data set of torchvision.

    Args:
        name: Class in `torchvision.datasets`.
        root: Folder of the files.
        download: Download missing files.

    Raises:
        BadData: torchvision cannot be imported, or the files are missing and cannot be downloaded.
    """
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError) as error:
        raise BadData(f"torchvision cannot be imported ({describe(error)}); see: ganzoo doctor") from error
    create, folder = getattr(datasets, name), Path(root).expanduser()
    try:
        if name in SPLIT_ARGUMENT:
            train, test = (create(folder, split=s, download=download) for s in SPLIT_ARGUMENT[name])
        else:
            train, test = (create(folder, train=t, download=download) for t in (True, False))
    except (OSError, RuntimeError) as error:
        raise BadData(
            f"{name} is not in {root} and cannot be downloaded ({describe(error)}); "
            "copy its files there, or give a folder of images with --data"
        ) from error

    def table(pairs: Any, split: str) -> VisionTable:
        labels = pairs.targets if hasattr(pairs, "targets") else pairs.labels
        return VisionTable(pairs, f"{name} {split}", np.asarray(labels, dtype=np.int64))

    tables = table(train, "train"), table(test, "test")
    classes = getattr(train, "classes", None) or [str(k) for k in range(int(tables[0].labels.max()) + 1)]
    return Source(name, *tables, [str(c) for c in classes])

"""Data sets that torchvision knows by name, downloaded when first used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganzoo.component import describe
from ganzoo.contracts import Source
from ganzoo.errors import BadData

SPLIT_ARGUMENT = {"SVHN": ("train", "test"), "STL10": ("train+unlabeled", "test")}


@dataclass(frozen=True)
class VisionTable:
    """A torchvision data set of (picture, label) pairs."""

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
        """Return the name and number of one image."""
        return f"{self.name} {index}"


def named(name: str, root: str = "~/.cache/ganzoo/data", download: bool = True) -> Source:
    """Return a data set of torchvision.

    Args:
        name: the class in `torchvision.datasets`.
        root: the folder that it is kept in.
        download: fetch what is missing.

    Raises BadData when torchvision cannot be imported, or the files cannot be had.
    """
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError) as error:
        raise BadData(f"torchvision cannot be imported ({describe(error)}); see: ganzoo doctor") from error
    made = getattr(datasets, name)
    try:
        if name in SPLIT_ARGUMENT:
            train, test = (made(Path(root).expanduser(), split=s, download=download) for s in SPLIT_ARGUMENT[name])
        else:
            train, test = (made(Path(root).expanduser(), train=t, download=download) for t in (True, False))
    except (OSError, RuntimeError) as error:
        raise BadData(
            f"{name} is not in {root} and cannot be downloaded ({describe(error)}); "
            "put its files there, or give a folder of images with --data"
        ) from error

    def table(pairs: Any, part: str) -> VisionTable:
        labels = pairs.targets if hasattr(pairs, "targets") else pairs.labels
        return VisionTable(pairs, f"{name} {part}", np.asarray(labels, dtype=np.int64))

    tables = table(train, "train"), table(test, "test")
    classes = getattr(train, "classes", None) or [str(k) for k in range(int(tables[0].labels.max()) + 1)]
    return Source(name, *tables, [str(c) for c in classes])

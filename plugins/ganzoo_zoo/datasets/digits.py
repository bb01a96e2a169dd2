"""The UCI optical handwritten digits, included in the package; see ATTRIBUTION.md in this folder."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import safetensors.numpy
from PIL import Image

from ganzoo.data.source import Source


@dataclass(frozen=True)
class ArrayTable:
    """Grey images in an array.

    Attributes:
        name: Name of the data set.
        images: `[N, H, W]` uint8.
        labels: `[N]` int64.
    """

    name: str
    images: np.ndarray[Any, np.dtype[np.uint8]]
    labels: np.ndarray[Any, np.dtype[np.int64]]

    def __len__(self) -> int:
        return len(self.images)

    def image(self, index: int) -> Image.Image:
        """Return one image."""
        return Image.fromarray(self.images[index])

    def where(self, index: int) -> str:
        """Return the name of one image for messages."""
        return f"{self.name} {index}"


def digits() -> Source:
    """Return the 1,797 images, 8×8 grey, of the digits 0 to 9. There is no fixed test set."""
    with as_file(files("ganzoo_zoo.datasets") / "digits.safetensors") as path:
        arrays = safetensors.numpy.load_file(path)
    table = ArrayTable("digits", arrays["images"], arrays["labels"].astype(np.int64))
    return Source("digits", table, None, [str(k) for k in range(10)])

"""The interface of a data set: tables of images, their labels, and the names of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL.Image import Image


class Table(Protocol):
    """A list of images and their labels."""

    @property
    def labels(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Labels `[N]` (int64), -1 where an image has none."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> Image:
        """Decode one image.

        Args:
            index: Number of the image, in 0 … N - 1.
        """

    def where(self, index: int) -> str:
        """Return the location of one image for messages: its path or row."""


@dataclass(frozen=True)
class Source:
    """A data set as it is stored, before images are held out or resized.

    Attributes:
        name: Name of the data set in messages.
        train: Training images.
        test: Test images, or None if the data set has none of its own.
        class_names: Names of the classes, in the order of the labels; empty if there are no labels.
    """

    name: str
    train: Table
    test: Table | None
    class_names: Sequence[str]

"""The interface of a data set: tables of images, their labels, and the names of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL.Image import Image

KINDS = ("grey", "colour", "grey with transparency", "colour with transparency")


class Table(Protocol):
    """A list of images and their labels.

    Two further members are optional:

    - A method `encoded(index) -> bytes` returns the content of an image's file. Its hash is the key by which the image
      is known when it is moved or renamed. Without it, that is a hash of the pixels.
    - An attribute `signature: str` changes whenever the images do, as their paths, sizes and times of change. With it,
      decoded images are kept for later runs; without it, each run decodes them.
    """

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
class Facts:
    """What the headers of all images of a data set say.

    Attributes:
        kinds: Number of images of each of `KINDS`.
        side: Median of the smaller sides in pixels.
    """

    kinds: dict[str, int]
    side: int

    @property
    def channels(self) -> int:
        """4 (RGBA) if all images have transparency, else 3 (RGB) if any has colour, else 1 (grey)."""
        if all("transparency" in kind for kind in self.kinds):
            return 4
        return 3 if any(kind.startswith("colour") for kind in self.kinds) else 1

    @property
    def mixture(self) -> str:
        """The kinds and their numbers, if there are several; else an empty string."""
        counts = [f"{count:,} {kind}" for kind, count in sorted(self.kinds.items(), key=lambda item: -item[1])]
        return ", ".join(counts) if len(counts) > 1 else ""


@dataclass(frozen=True)
class Source:
    """A data set as it is stored, before images are held out or resized.

    Attributes:
        name: Name of the data set in messages.
        train: Training images.
        test: Test images, or None if the data set has none of its own.
        class_names: Names of the classes, in the order of the labels; empty if there are no labels.
        notes: What was found: files that give labels, the level of class folders.
        folder: Folder of prepared images, if the data set is one.
        facts: What the headers of all images say, once they were read.
    """

    name: str
    train: Table
    test: Table | None
    class_names: Sequence[str]
    notes: tuple[str, ...] = ()
    folder: Path | None = None
    facts: Facts | None = None

    @property
    def parts(self) -> dict[str, Table]:
        """The tables by name: "train", and "test" if there are test images."""
        return {"train": self.train, **({"test": self.test} if self.test else {})}

    @property
    def signature(self) -> str:
        """Text that changes whenever the images do; empty if a table has none."""
        signatures = [getattr(table, "signature", "") for table in self.parts.values()]
        return " ".join(signatures) if all(signatures) else ""

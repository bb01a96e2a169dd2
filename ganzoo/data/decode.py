"""Decode images into one shape, and find out which shape that should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL.Image import Image

from ganzoo.base.opening import open_picture
from ganzoo.base.preparation import Preparation
from ganzoo.data.identity import Keys, content_key, hash_rows, picture_key
from ganzoo.data.images import Uint8
from ganzoo.data.parallel import chunks, map_ranges
from ganzoo.data.source import KINDS, Facts, Source, Table
from ganzoo.errors import BadData, GanzooError
from ganzoo.registry.component import ImageShape

VERSION = 1
"""Counts changes of how images are decoded, after which prepared images are made anew."""


@dataclass(frozen=True)
class Decoder:
    """Decode images into one shape.

    Attributes:
        shape: The shape.
        prepare: How they are brought to it.
    """

    shape: ImageShape
    prepare: Preparation

    @property
    def preparation(self) -> dict[str, Any]:
        """Everything that the pixels of a decoded image depend on, besides its file."""
        bounds = self.prepare.range and list(self.prepare.range)
        return {"version": VERSION, "shape": list(self.shape.dimensions), "fit": self.prepare.fit, "range": bounds}

    def one(self, table: Table, index: int) -> Uint8:
        """Decode an image.

        Args:
            table: The stored images.
            index: Number of the image.

        Returns:
            A uint8 image `[C, H, W]`.

        Raises:
            BadData: The image cannot be read.
        """
        try:
            return self(table.image(index))
        except Exception as error:  # decoders raise anything from OSError to SyntaxError
            raise failure(table.where(index), error) from error

    def __call__(self, picture: Image) -> Uint8:
        """Convert a picture to a uint8 image `[C, H, W]`."""
        return self.prepare(picture, self.shape)

    def several(self, table: Table, numbers: range, skip_corrupt: bool, known: Known | None = None) -> Decoded:
        """Decode images, or copy those that were decoded before.

        Args:
            table: The stored images.
            numbers: Numbers of the images.
            skip_corrupt: Go on if an image cannot be read.
            known: Images that were decoded before.

        Raises:
            BadData: An image cannot be read, and `skip_corrupt` is false.
        """
        pixels = np.zeros((len(numbers), *self.shape.dimensions), dtype=np.uint8)
        keys = np.zeros(len(numbers), dtype=np.int64)
        reasons: dict[int, str] = {}
        for row, index in enumerate(numbers):
            try:
                keys[row], open_it = identify(table, index)
                copied = known.pixels_of(int(keys[row])) if known else None
                pixels[row] = self(open_it()) if copied is None else copied
            except Exception as error:  # decoders raise anything from OSError to SyntaxError
                reasons[index] = describe(error)
                if not skip_corrupt:
                    raise failure(table.where(index), error) from error
        return Decoded(pixels, keys, hash_rows(pixels), reasons)


def identify(table: Table, index: int) -> tuple[int, Callable[[], Image]]:
    """Return the key by which an image is known, and a function that opens it.

    The key is the hash of its file, or of its pixels where there is no file.
    """
    if (keys := getattr(table, "keys", None)) is not None:
        return int(keys[index]), lambda: table.image(index)
    if (encoded := getattr(table, "encoded", None)) is None:
        picture = table.image(index)
        return picture_key(picture), lambda: picture
    content = encoded(index)
    return content_key(content), lambda: open_picture(content)


class Known(Protocol):
    """Images that were decoded before, in the same way."""

    def pixels_of(self, key: int) -> Uint8 | None:
        """Return the image `[C, H, W]` of a key, or None if there is none."""


class Decoded(NamedTuple):
    """Some decoded images.

    Attributes:
        pixels: uint8 images `[n, C, H, W]`; 0 for those that cannot be read.
        keys: Keys of the images `[n]`; 0 for those that cannot be read.
        hashes: Hashes of their pixels `[n]`.
        reasons: Why images cannot be read, by number.
    """

    pixels: Uint8
    keys: Keys
    hashes: Keys
    reasons: dict[int, str]


def describe(error: Exception) -> str:
    """Return the first line of an error of a decoder."""
    return str(error).splitlines()[0] if str(error) else repr(error)


def failure(where: str, error: Exception) -> BadData:
    """Return the error for an image that could not be decoded; what a GanzooError says is enough."""
    return BadData(f"image {where}: {error}") if isinstance(error, GanzooError) else unreadable(where, describe(error))


def unreadable(where: str, reason: str) -> BadData:
    """Return the error for an image that cannot be read."""
    return BadData(
        f"image {where} cannot be read ({reason}); replace or remove it, or skip such images with --skip-corrupt"
    )


def inspect_images(source: Source, skip_corrupt: bool) -> Facts:
    """Read the headers of all images of a data set.

    Args:
        source: The data set.
        skip_corrupt: Skip images that cannot be read.

    Raises:
        BadData: An image cannot be read, and `skip_corrupt` is false; or none can be read.
    """
    kinds: Counter[str] = Counter()
    sides: list[Any] = []
    for table in (source.train, *([source.test] if source.test else [])):

        def work(numbers: range, table: Table = table) -> tuple[Counter[str], np.ndarray[Any, Any]]:
            return _headers(table, numbers, skip_corrupt)

        for counted, some in map_ranges(work, chunks(len(table))):
            kinds += counted
            sides.append(some)
    if not kinds:
        raise BadData(f"none of the {len(source.train):,} images of '{source.name}' can be read")
    return Facts(dict(kinds), int(np.median(np.concatenate(sides))))


def _headers(table: Table, numbers: range, skip_corrupt: bool) -> tuple[Counter[str], np.ndarray[Any, Any]]:
    kinds: Counter[str] = Counter()
    sides = []
    for index in numbers:
        try:
            picture = table.image(index)
        except Exception as error:
            if skip_corrupt:
                continue
            raise failure(table.where(index), error) from error
        grey = picture.mode in ("1", "L", "LA", "La", "F") or picture.mode.startswith("I")
        kinds[KINDS[(0 if grey else 1) + 2 * picture.has_transparency_data]] += 1
        sides.append(min(picture.size))
    return kinds, np.array(sides, dtype=np.int64)

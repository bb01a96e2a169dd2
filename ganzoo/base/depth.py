"""Depth: how images with more than 8 bits a value become 8 bits, on a scale that holds for a whole data set.

The scale comes from the configuration, from the header of the file, or from its type, and never from the values of one
image: two images of one data set would then be scaled differently.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ganzoo.errors import BadData, Notice

Values = np.ndarray[Any, np.dtype[np.float64]]

STATED = "ganzoo.curve"
"""Entry of a picture's `info` with the curve that its file states."""
BITS, PHOTOMETRIC, MAXIMA, FORMAT = 258, 262, (281, 341), 339
"""Tags of TIFF: BitsPerSample, PhotometricInterpretation, MaxSampleValue and SMaxSampleValue, SampleFormat."""
WHITE_IS_ZERO, UNSIGNED, SIGNED = 0, 1, 2
"""Values of PhotometricInterpretation and SampleFormat."""
WHOLE = 65535.0
"""The value that is white in images of 16 bits."""


@dataclass(frozen=True)
class Curve:
    """Levels of grey by value: linear between the points of the curve, and constant beyond them.

    Attributes:
        values: Values of an image, in ascending order.
        levels: Their levels, in 0 … 255.
        clips: Whether an image may have values beyond these.
    """

    values: Sequence[float]
    levels: Sequence[float]
    clips: bool = False

    @classmethod
    def linear(cls, low: float, high: float, inverted: bool = False, clips: bool = False) -> Curve:
        """Return the straight line from black to white, or from white to black."""
        return cls((low, high), (255.0, 0.0) if inverted else (0.0, 255.0), clips)

    @property
    def inverted(self) -> bool:
        """Whether larger values are darker."""
        return self.levels[0] > self.levels[-1]

    def __call__(self, values: Values) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return the levels of values."""
        return np.interp(values, self.values, self.levels).round().astype(np.uint8)

    def check(self, values: Values, tolerance: float) -> None:
        """Refuse values that the curve is not for.

        Args:
            values: Values of an image.
            tolerance: How far they may lie beyond the curve, in levels.

        Raises:
            ValueError: A value is not a number, or infinite.
            BadData: A value is beyond the curve.
        """
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("a pixel is not a finite number")
        black, white = self.values[0], self.values[-1]
        margin = tolerance * (white - black) / 255
        if not self.clips and (low < black - margin or high > white + margin):
            raise BadData(
                f"its values, {low:g} to {high:g}, are not all within {black:g} … {white:g}, the range of such images; "
                "convert them, or train with the range that they have: --set data.range=[low,high]"
            )


def is_deep(picture: Image.Image) -> bool:
    """Return whether a picture has more than 8 bits a value, which those with colours never have in Pillow."""
    return picture.mode == "F" or picture.mode.startswith("I")


def to_eight_bits(picture: Image.Image, values: tuple[float, float] | None) -> Image.Image:
    """Convert a deep picture to 8 bits; any other is returned unchanged.

    Args:
        picture: The picture, as it was opened: a copy lacks what the header of its file says.
        values: The values that become 0 and 255, those beyond them being clipped; default: as header or type say.

    Returns:
        A picture in grey, with an alpha channel if one of the values was transparent.

    Raises:
        ValueError: A value is not a number, or infinite.
        BadData: A value is beyond the scale, or Pillow reads the values otherwise than they are meant.
    """
    if not is_deep(picture):
        check_shallow(picture, values)
        return picture
    curve = stated_curve(picture)
    if values:
        curve = Curve.linear(*values, inverted=curve.inverted, clips=True)
    pixels = deep_values(picture)
    curve.check(pixels, tolerance=0.5 if picture.mode == "F" else 0.0)  # what floats round to black or white
    grey = Image.fromarray(curve(pixels))
    if picture.mode.startswith("I") and curve.values == (0.0, WHOLE) and 0 < pixels.max() < 2**12:
        warnings.warn(
            "images of 16 bits with small values are dark, since 65535 is white; if they have fewer bits, as 12, "
            "set the range of all: --set data.range=[0,4095]",
            Notice,
            stacklevel=2,
        )
    grey.info = {key: value for key, value in picture.info.items() if key not in ("transparency", STATED)}
    if (transparent := picture.info.get("transparency")) is not None:
        grey.putalpha(Image.fromarray(np.where(pixels == transparent, 0, 255).astype(np.uint8)))
    return grey


def check_shallow(picture: Image.Image, values: tuple[float, float] | None) -> None:
    """Raise BadData for a picture that Pillow has in 8 bits, and that means something else."""
    if tags_of(picture).get(FORMAT) == (SIGNED,):
        raise BadData("its values are signed and have 8 bits, which is not supported; convert it to 16 bits")
    if values and ";16" in str(getattr(picture, "tile", "")):
        raise BadData(
            "its colours have 16 bits, of which the upper 8 are read, whatever data.range says; convert it to 8 bits"
        )


def deep_values(picture: Image.Image) -> Values:
    """Return the values `[H, W]` of a deep picture."""
    values, tags = np.asarray(picture).astype(np.float64), tags_of(picture)
    if tags.get(BITS) == (32,) and picture.mode == "I" and tags.get(FORMAT, (UNSIGNED,)) == (UNSIGNED,):
        values %= 2**32  # Pillow reads them as signed
    return values


def stated_curve(picture: Image.Image) -> Curve:
    """Return the curve that a picture's header states, or else that of its type: 0 … 1 for floats, or 0 … 65535."""
    stated = picture.info.get(STATED)
    if isinstance(stated, Curve):
        return stated
    tags = tags_of(picture)
    white = stated_white(tags) or (1.0 if picture.mode == "F" else WHOLE)
    return Curve.linear(0.0, white, inverted=tags.get(PHOTOMETRIC) == WHITE_IS_ZERO)


def stated_white(tags: Mapping[int, Any]) -> float | None:
    """Return the value that is white by the tags of a TIFF file, or None.

    A tag of the largest value is about one image, unless it is the largest value of a number of bits, as 4095.
    """
    if len(bits := tags.get(BITS, ())) == 1 and 8 < bits[0] < 16:
        return float(2 ** bits[0] - 1)
    largest = [float(np.ravel(tags[tag])[0]) for tag in MAXIMA if tag in tags]
    return next((value for value in largest if value >= 255 and math.log2(value + 1).is_integer()), None)


def tags_of(picture: Image.Image) -> Mapping[int, Any]:
    """Return the tags of a TIFF file; none of another file."""
    return getattr(picture, "tag_v2", {})

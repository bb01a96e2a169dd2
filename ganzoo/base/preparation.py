"""Preparation: from a picture of any mode, depth and size to the pixels that networks are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ganzoo.base.depth import to_eight_bits
from ganzoo.registry.component import ImageShape

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Modes of PIL by number of channels."""
GROUND = (255, 255, 255)
"""The colour behind transparent pixels: white."""


@dataclass(frozen=True)
class Preparation:
    """How pictures become arrays: the same for training images and for images that a trained model is given.

    Attributes:
        fit: How another aspect ratio is fitted: "crop", "pad" or "stretch".
        range: Values that become 0 and 255 in images deeper than 8 bits; default: as their header or type says.
    """

    fit: str = "crop"
    range: tuple[float, float] | None = None

    def __call__(self, picture: Image.Image, shape: ImageShape) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Convert a picture to an array: with 8 bits, upright, resized, and with as many channels as the shape has.

        Transparent pixels show `GROUND`. With four channels they stay transparent, and the invisible ones have its
        colour.

        Args:
            picture: A picture of any mode and size.
            shape: Shape of the array.

        Returns:
            A uint8 image `[C, H, W]`.

        Raises:
            BadData: The values of a deep picture are beyond its range.
        """
        picture = ImageOps.exif_transpose(with_alpha(to_eight_bits(picture, self.range)))
        if shape.channels < 4 and picture.has_transparency_data:
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, GROUND), picture)
        picture = self._resized(picture.convert(MODES[shape.channels]), (shape.width, shape.height))
        array = np.array(picture, dtype=np.uint8)
        if shape.channels == 4:
            array[array[..., 3] == 0, :3] = GROUND
        return array[None] if shape.channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))

    def _resized(self, picture: Image.Image, size: tuple[int, int]) -> Image.Image:
        resampling = Image.Resampling.BICUBIC
        if picture.size == size:
            return picture
        if self.fit == "crop":
            return ImageOps.fit(picture, size, resampling)
        if self.fit == "pad":
            return ImageOps.pad(picture, size, resampling)
        return picture.resize(size, resampling)


def with_alpha(picture: Image.Image) -> Image.Image:
    """Return a picture whose transparency, of whichever kind, is an alpha channel; an opaque one is returned unchanged.

    Args:
        picture: The picture, as it was opened: a copy does not know the depth of its file.
    """
    if not picture.has_transparency_data:
        return picture
    tiles = getattr(picture, "tile", [])
    stored = tiles[0][3] if tiles else None
    if "transparency" in picture.info and stored in ("L;2", "L;4", "RGB;16B"):
        # Pillow converts the pixels of these to 8 bits, and not the transparent colour of the header
        picture, key = picture.copy(), picture.info["transparency"]
        grey = {"L;2": 85, "L;4": 17}.get(str(stored))
        picture.info["transparency"] = key * grey if grey else tuple(value >> 8 for value in key)
    return picture.convert("RGBA")

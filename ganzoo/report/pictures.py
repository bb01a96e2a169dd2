"""Pictures that are embedded in the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from ganzoo.base.pictures import TILE, grid

LARGEST = 640
"""Largest side in pixels."""
BUDGET = 1_500_000
"""Most characters that the frames of a run may take in the page."""
CHOICES = ((85, 24, LARGEST), (60, 24, LARGEST), (60, 12, 480), (40, 6, 320))
"""Quality, largest number of frames and largest side, tried in turn until the frames of a run fit the budget."""


@dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Attributes:
        source: The picture as a data URL.
        width: Width in pixels.
        height: Height in pixels.
        alt: Description for readers who cannot see it.
    """

    source: str
    width: int
    height: int
    alt: str


def picture(image: Image.Image, alt: str, quality: int = 85, largest: int = LARGEST) -> Picture:
    """Encode a picture for the page.

    Args:
        image: The picture.
        alt: Description for readers who cannot see it.
        quality: Quality of the compression, in 0 … 100.
        largest: Largest width in pixels; larger pictures are scaled down.
    """
    image = image.convert("RGBA" if image.mode == "RGBA" else "RGB")
    image.thumbnail((largest, 4 * largest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=quality, method=2)
    return Picture(f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}", *image.size, alt)


def sheet(images: Tensor, columns: int, alt: str) -> Picture:
    """Encode a grid of images as one picture.

    Args:
        images: Images `[N, C, H, W]` in [-1, 1].
        columns: Images in a row.
        alt: Description for readers who cannot see it.
    """
    return picture(native(grid(images, columns), images.shape[2]), alt)


def native(image: Image.Image, height: int) -> Image.Image:
    """Scale a grid of images back to their own pixels; the page enlarges it again.

    Args:
        image: A grid, as `ganzoo.base.pictures.grid` draws it.
        height: Height of one image in pixels.
    """
    scale = max(1, TILE // height)
    return image.resize((image.width // scale, image.height // scale), Image.Resampling.NEAREST)


def frames(images: Sequence[tuple[int, Image.Image]]) -> list[tuple[int, Picture]]:
    """Encode the sample grids of a run, as many as fit the budget.

    Args:
        images: (step, grid) pairs, oldest first.

    Returns:
        (step, picture) pairs: an even choice that includes the first and the last one.
    """

    def encode(chosen: Sequence[tuple[int, Image.Image]], quality: int, largest: int) -> list[tuple[int, Picture]]:
        alt = "Generated images at step {:,}, from the same latents as at other steps"
        return [(step, picture(image, alt.format(step), quality, largest)) for step, image in chosen]

    for quality, most, largest in CHOICES:
        probe = max((len(p.source) for _, p in encode(evenly(images, 3), quality, largest)), default=0)
        if probe * min(most, len(images)) <= BUDGET:
            break
    return encode(evenly(images, most), quality, largest)


def evenly(images: Sequence[tuple[int, Image.Image]], most: int) -> list[tuple[int, Image.Image]]:
    """Return at most `most` items, chosen evenly, including the first and the last one."""
    if len(images) <= most:
        return list(images)
    return [images[round(i * (len(images) - 1) / (most - 1))] for i in range(most)]

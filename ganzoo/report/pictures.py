"""Pictures that lie within the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from ganzoo.pictures import TILE, grid

LARGEST = 640
BUDGET = 1_500_000
CHOICES = ((85, 24, LARGEST), (60, 24, LARGEST), (60, 12, 480), (40, 6, 320))
"""Quality, most frames and largest side, tried in turn until the frames of a run take no more than the budget."""


@dataclass(frozen=True)
class Picture:
    """A picture as a data address, its size in pixels, and what is on it in words."""

    source: str
    width: int
    height: int
    words: str


def picture(image: Image.Image, words: str, quality: int = 85, largest: int = LARGEST) -> Picture:
    """Return a picture for the page, made smaller if it is large."""
    image = image.convert("RGBA" if image.mode == "RGBA" else "RGB")
    image.thumbnail((largest, 4 * largest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=quality, method=2)
    return Picture(f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}", *image.size, words)


def sheet(images: Tensor, columns: int, words: str) -> Picture:
    """Return images `[N, C, H, W]` in [-1, 1] as one picture."""
    return picture(native(grid(images, columns), images.shape[-1]), words)


def native(image: Image.Image, size: int) -> Image.Image:
    """Return a grid of images of this size with each of their pixels once; the page enlarges it again."""
    scale = max(1, TILE // size)
    return image.resize((image.width // scale, image.height // scale), Image.Resampling.NEAREST)


def frames(images: Sequence[tuple[int, Image.Image]]) -> list[tuple[int, Picture]]:
    """Return (step, grid of samples) pairs as pictures: evenly chosen, first and last among them, within the budget."""

    def made(some: Sequence[tuple[int, Image.Image]], quality: int, largest: int) -> list[tuple[int, Picture]]:
        words = "Generated images at step {:,}, of the same latents as at other steps"
        return [(step, picture(image, words.format(step), quality, largest)) for step, image in some]

    for quality, most, largest in CHOICES:
        probe = max((len(p.source) for _, p in made(evenly(images, 3), quality, largest)), default=0)
        if probe * min(most, len(images)) <= BUDGET:
            break
    return made(evenly(images, most), quality, largest)


def evenly(images: Sequence[tuple[int, Image.Image]], most: int) -> list[tuple[int, Image.Image]]:
    """Return at most so many, evenly chosen, first and last among them."""
    if len(images) <= most:
        return list(images)
    return [images[round(i * (len(images) - 1) / (most - 1))] for i in range(most)]

"""Images between files, bytes and tensors."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
TILE = 64


def to_uint8(x: Tensor) -> Tensor:
    """Map images in [-1, 1] to uint8 in 0 … 255."""
    return x.detach().float().add(1).mul(127.5).round().clamp(0, 255).to("cpu", torch.uint8)


def from_uint8(x: Tensor) -> Tensor:
    """Map uint8 images to float in [-1, 1]."""
    return x.float().div_(127.5).sub_(1)


def psnr(x: Tensor, truth: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio in dB `[B]` of images in [-1, 1]: 10 log₁₀ (2² / mean squared error)."""
    return 10 * torch.log10(4 / (x - truth).square().mean((1, 2, 3)).clamp_min(1e-10))


def to_pil(x: Tensor) -> Image.Image:
    """Map one uint8 image `[C, H, W]` to a picture."""
    array = x.permute(1, 2, 0).numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def grid(x: Tensor, columns: int | None = None) -> Image.Image:
    """Map images `[B, C, H, W]` in [-1, 1] to one picture of them all, small ones enlarged, two pixels apart."""
    tiles = to_uint8(x)
    count, channels, height, width = tiles.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = torch.full((channels, rows * (height + 2) + 2, columns * (width + 2) + 2), 255, dtype=torch.uint8)
    for i, tile in enumerate(tiles):
        top, left = 2 + (i // columns) * (height + 2), 2 + (i % columns) * (width + 2)
        sheet[:, top : top + height, left : left + width] = tile
    scale = max(1, TILE // height)
    picture = to_pil(sheet)
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def png(picture: Image.Image) -> bytes:
    """Return the content of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def prepare(picture: Image.Image, channels: int, size: int, fit: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a picture as uint8 `[channels, size, size]`: turned upright, made square as `fit` says, resized."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F" or picture.mode.startswith("I"):  # PIL would clip these to white, or to black
        deep = np.asarray(picture).astype(np.float64)
        top = 1.0 if picture.mode == "F" and deep.max() <= 1 else 255.0 if deep.max() <= 255 else 65535.0
        picture = Image.fromarray((deep * (255.0 / top)).round().clip(0, 255).astype(np.uint8))
    picture = picture.convert(MODES[channels])
    if picture.size != (size, size):
        way = Image.Resampling.BICUBIC
        if fit == "crop":
            picture = ImageOps.fit(picture, (size, size), way)
        elif fit == "pad":
            picture = ImageOps.pad(picture, (size, size), way)
        else:
            picture = picture.resize((size, size), way)
    array = np.array(picture, dtype=np.uint8)
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))

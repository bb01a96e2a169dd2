"""Conversion of tensors to pictures and back."""

from __future__ import annotations

import io
import math

import torch
from PIL import Image
from torch import Tensor

TILE = 64
"""Height in pixels up to which the images of a grid are enlarged."""


def to_uint8(x: Tensor) -> Tensor:
    """Convert images in [-1, 1] to uint8 in 0 … 255, on the CPU."""
    return x.detach().float().add(1).mul(127.5).round().clamp(0, 255).to("cpu", torch.uint8)


def from_uint8(x: Tensor) -> Tensor:
    """Convert uint8 images to float in [-1, 1]."""
    return x.float().div_(127.5).sub_(1)


def psnr(x: Tensor, truth: Tensor) -> Tensor:
    """Compute the peak signal-to-noise ratio 10 log₁₀ (2² / mean squared error).

    Args:
        x: Images `[B, C, H, W]` in [-1, 1].
        truth: Images of the same shape to compare with.

    Returns:
        The ratios `[B]` in dB, at most 106.
    """
    return 10 * torch.log10(4 / (x - truth).square().mean((1, 2, 3)).clamp_min(1e-10))


def to_pil(x: Tensor) -> Image.Image:
    """Convert one uint8 image `[C, H, W]` to a picture."""
    array = x.permute(1, 2, 0).numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def grid(x: Tensor, columns: int | None = None) -> Image.Image:
    """Draw images into one grid, two pixels apart; small images are enlarged.

    Args:
        x: Images `[B, C, H, W]` in [-1, 1].
        columns: Images in a row; default: about as many as there are rows.
    """
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
    """Encode a picture as the content of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()

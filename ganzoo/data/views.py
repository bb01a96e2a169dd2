"""How the images of a step are augmented, by name; whole batches at a time, each image by its own chance."""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

from ganzoo.config import DataConfig

COARSE = 5  # places a side at which an elastic displacement is drawn


def plain(x: Tensor, config: DataConfig) -> Tensor:
    """Leave the images as they are."""
    return x


def weak(x: Tensor, config: DataConfig) -> Tensor:
    """Mirror each image with probability ½ (`data.flip`) and shift it by up to `data.shift` pixels, edges mirrored."""
    if config.flip:
        x = torch.where(chance(x), x.flip(3), x)
    return shift(x, config.shift) if config.shift else x


def strong(x: Tensor, config: DataConfig) -> Tensor:
    """Change each image by what is weak, then in place, shape, brightness and contrast, and blank a square.

    The changes and their ranges are RandAugment's (Cubuk et al. 2020, arXiv:1909.13719) and Cutout's, as in FixMatch;
    each is applied with probability ½, at most `data.strength` times its range. `data.zoom` and `data.elastic` add what
    handwriting bears (Simard et al. 2003, ICDAR, §2).
    """
    with torch.autocast(x.device.type, enabled=False):  # coordinates do not survive bf16
        x = bend(weak(x, config), config.strength, config.zoom, config.elastic)
        x = torch.where(chance(x), x + uniform(x, config.strength / 2), x)
        mean = x.mean((1, 2, 3), keepdim=True)
        x = torch.where(chance(x), torch.lerp(mean, x, 1 + uniform(x, 0.9 * config.strength)), x).clamp(-1, 1)
        return blank(x, config.strength / 2)


def chance(x: Tensor) -> Tensor:
    """Draw true or false for each image, `[B, 1, 1, 1]`."""
    return torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5


def uniform(x: Tensor, most: float) -> Tensor:
    """Draw a number in [-most, most] for each image, `[B, 1, 1, 1]`."""
    return (torch.rand(len(x), 1, 1, 1, device=x.device) * 2 - 1) * most


def shift(x: Tensor, most: int) -> Tensor:
    """Shift each image `[B, C, H, W]` by a whole number of pixels, uniform in [-most, most] each way."""
    size = x.shape[2]
    padded = F.pad(x, (most,) * 4, mode="reflect")
    start = torch.randint(2 * most + 1, (2, len(x), 1), device=x.device)
    rows, columns = start + torch.arange(size, device=x.device)
    batch = torch.arange(len(x), device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def bend(x: Tensor, strength: float, zoom: float = 0.0, elastic: float = 0.0) -> Tensor:
    """Rotate by up to 30°, shear and shift by up to 0.3 of the side each way; what comes in continues the edge.

    zoom: of width and height, in powers of e. elastic: deviation of a smooth displacement, in halves of the side.
    """
    angle, shear_x, shear_y, right, down = (
        (uniform(x, most * strength) * chance(x)).flatten() for most in (pi / 6, 0.3, 0.3, 0.6, 0.6)
    )
    cos, sin = angle.cos(), angle.sin()
    rows = [cos + shear_x * sin, shear_x * cos - sin, right, sin + shear_y * cos, cos - shear_y * sin, down]
    places = torch.stack(rows, 1).reshape(-1, 2, 3)
    if zoom:
        shape = torch.stack([uniform(x, zoom), uniform(x, zoom)], 1).reshape(-1, 2, 1).exp()
        places = torch.cat([places[:, :, :2] * shape, places[:, :, 2:]], 2)
    places = F.affine_grid(places, list(x.shape), align_corners=False)
    if elastic:
        coarse = elastic * torch.randn(len(x), 2, COARSE, COARSE, device=x.device)
        fine = F.interpolate(coarse, size=x.shape[2:], mode="bicubic", align_corners=True)
        places = places + fine.permute(0, 2, 3, 1)
    return F.grid_sample(x, places, padding_mode="border", align_corners=False)


def blank(x: Tensor, part: float) -> Tensor:
    """Set a square of up to `part` of the side to grey, its centre anywhere in the image."""
    size = x.shape[2]
    side = torch.rand(len(x), 1, device=x.device) * part * size
    centre = torch.rand(2, len(x), 1, device=x.device) * size
    rows, columns = ((torch.arange(size, device=x.device) + 0.5) - centre).abs() < side / 2
    return torch.where(rows[:, None, :, None] & columns[:, None, None, :], 0.0, x)


VIEWS: dict[str, Callable[[Tensor, DataConfig], Tensor]] = {"plain": plain, "weak": weak, "strong": strong}
"""Views by name; strategies ask for views by these."""

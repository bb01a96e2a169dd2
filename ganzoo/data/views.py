"""Views: augmentations of the images of a batch, by name. Each image is augmented independently of the others."""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

from ganzoo.config.schema import DataConfig

COARSE = 5
"""Grid points per side at which an elastic displacement is drawn."""


def plain(x: Tensor, config: DataConfig) -> Tensor:
    """Return the images unchanged."""
    return x


def weak(x: Tensor, config: DataConfig) -> Tensor:
    """Augment images weakly: mirror each with probability ½ (`data.flip`), and shift it by up to `data.shift` pixels.

    Args:
        x: Images `[B, C, H, W]` in [-1, 1].
        config: Ranges of the augmentations.

    Returns:
        Images of the same shape. Pixels beyond the edge are mirrored.
    """
    if config.flip:
        x = torch.where(chance(x), x.flip(3), x)
    return shift(x, config.shift) if config.shift else x


def strong(x: Tensor, config: DataConfig) -> Tensor:
    """Augment images strongly: weak augmentation, geometry, brightness, contrast, and a blanked square.

    The transformations and their ranges are those of RandAugment (Cubuk et al. 2020, arXiv:1909.13719) and Cutout, as
    in FixMatch. Each is applied with probability ½, with at most `data.strength` times its range. `data.zoom` and
    `data.elastic` add deformations that suit handwriting (Simard et al. 2003, ICDAR, §2).

    Args:
        x: Images `[B, C, H, W]` in [-1, 1].
        config: Ranges of the augmentations.

    Returns:
        Images of the same shape in [-1, 1].
    """
    with torch.autocast(x.device.type, enabled=False):  # bf16 is too coarse for coordinates
        x = bend(weak(x, config), config.strength, config.zoom, config.elastic)
        x = torch.where(chance(x), x + uniform(x, config.strength / 2), x)
        mean = x.mean((1, 2, 3), keepdim=True)
        x = torch.where(chance(x), torch.lerp(mean, x, 1 + uniform(x, 0.9 * config.strength)), x).clamp(-1, 1)
        return blank(x, config.strength / 2)


def chance(x: Tensor) -> Tensor:
    """Draw true with probability ½ for each image of x, `[B, 1, 1, 1]`."""
    return torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5


def uniform(x: Tensor, most: float) -> Tensor:
    """Draw a number from U(-most, most) for each image of x, `[B, 1, 1, 1]`."""
    return (torch.rand(len(x), 1, 1, 1, device=x.device) * 2 - 1) * most


def shift(x: Tensor, most: int) -> Tensor:
    """Shift each image `[B, C, H, W]` by whole pixels, uniform in -most … most along each axis; edges are mirrored."""
    height, width = x.shape[2:]
    padded = F.pad(x, (most,) * 4, mode="reflect")
    down, right = torch.randint(2 * most + 1, (2, len(x), 1), device=x.device)
    rows, columns = down + torch.arange(height, device=x.device), right + torch.arange(width, device=x.device)
    batch = torch.arange(len(x), device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def bend(x: Tensor, strength: float, zoom: float = 0.0, elastic: float = 0.0) -> Tensor:
    """Rotate, shear, shift and deform each image. Pixels beyond the edge repeat it.

    Args:
        x: Images `[B, C, H, W]`.
        strength: Factor in [0, 1] of the ranges: rotation by up to 30°, shear and shift by up to 0.3 of the side.
        zoom: Range of the logarithm of the zoom, separately for width and height.
        elastic: Standard deviation of a smooth displacement, in halves of the side.

    Returns:
        Images of the same shape.
    """
    angle, shear_x, shear_y, right, down = (
        (uniform(x, most * strength) * chance(x)).flatten() for most in (pi / 6, 0.3, 0.3, 0.6, 0.6)
    )
    cos, sin = angle.cos(), angle.sin()
    ratio = x.shape[2] / x.shape[3]  # coordinates are in halves of the sides, but angles refer to pixels
    rows = [
        cos + shear_x * sin, (shear_x * cos - sin) * ratio, right,
        (sin + shear_y * cos) / ratio, cos - shear_y * sin, down,
    ]  # fmt: skip
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


def blank(x: Tensor, fraction: float) -> Tensor:
    """Set a square of each image to grey.

    Args:
        x: Images `[B, C, H, W]` in [-1, 1].
        fraction: Largest side of the square, as a fraction of the smaller side of the image. Its centre is anywhere.

    Returns:
        Images of the same shape.
    """
    sides = torch.tensor(x.shape[2:], device=x.device)
    side = torch.rand(len(x), 1, device=x.device) * fraction * min(x.shape[2:])
    centre = torch.rand(2, len(x), 1, device=x.device) * sides[:, None, None]
    rows, columns = (
        ((torch.arange(n, device=x.device) + 0.5) - c).abs() < side / 2
        for n, c in zip(x.shape[2:], centre, strict=True)
    )
    return torch.where(rows[:, None, :, None] & columns[:, None, None, :], 0.0, x)


VIEWS: dict[str, Callable[[Tensor, DataConfig], Tensor]] = {"plain": plain, "weak": weak, "strong": strong}
"""Views by name, as strategies request them."""

"""Differentiable augmentation. Zhao et al. 2020, arXiv:2006.10738."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganzoo.step import Step


class DiffAugment:
    """Changes every image that the discriminator sees, real and fake alike, by the same random transformations.

    Args:
        color: random brightness, saturation and contrast.
        translation: shift by up to an eighth of the side, filling with zeros.
        cutout: blank a square of half the side.
    """

    def __init__(self, color: bool = True, translation: bool = True, cutout: bool = True) -> None:
        chosen = {change_color: color, translate: translation, cut_out: cutout}
        self.changes = [change for change, wanted in chosen.items() if wanted]

    def __call__(self, x: Tensor, name: str, s: Step) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to changed ones of the same shape."""
        for change in self.changes:
            x = change(x)
        return x


def change_color(x: Tensor) -> Tensor:
    """Brightness by U(-½, ½), saturation by a factor U(0, 2), contrast by a factor U(½, 3/2)."""
    brightness, saturation, contrast = torch.rand(3, len(x), 1, 1, 1, device=x.device, dtype=x.dtype)
    x = x + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = torch.lerp(grey, x, 2 * saturation)
    mean = x.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, x, contrast + 0.5)


def translate(x: Tensor, part: float = 1 / 8) -> Tensor:
    """Shift each image by whole pixels, at most `part` of its side each way, filling with zeros."""
    size = x.shape[2]
    most = round(size * part)
    padded = F.pad(x, (most,) * 4).permute(0, 2, 3, 1)
    start = torch.randint(2 * most + 1, (2, len(x), 1), device=x.device)
    rows, columns = start + torch.arange(size, device=x.device)
    batch = torch.arange(len(x), device=x.device)[:, None, None]
    return padded[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(x: Tensor, part: float = 0.5) -> Tensor:
    """Set a square of `part` of the side to zero, its centre anywhere in the image."""
    size = x.shape[2]
    side = round(size * part)
    start = torch.randint(size + 1 - side % 2, (2, len(x), 1), device=x.device) - side // 2
    offset = torch.arange(size, device=x.device) - start
    rows, columns = (offset >= 0) & (offset < side)
    return torch.where(rows[:, None, :, None] & columns[:, None, None, :], 0.0, x)

"""Differentiable augmentation. Zhao et al. 2020, arXiv:2006.10738."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganzoo.strategy.step import Step


class DiffAugment:
    """DiffAugment: random colour, translation and cutout of all images that the discriminator sees, real and generated.

    Args:
        color: Change brightness, saturation and contrast.
        translation: Shift by up to an eighth of the side, filling with zeros.
        cutout: Set a square of half the side to zero.
    """

    def __init__(self, color: bool = True, translation: bool = True, cutout: bool = True) -> None:
        enabled = {change_color: color, translate: translation, cut_out: cutout}
        self.transformations = [transform for transform, on in enabled.items() if on]

    def __call__(self, x: Tensor, name: str, s: Step) -> Tensor:
        """Augment images.

        Args:
            x: Images `[B, C, H, W]` in [-1, 1].
            name: Name of the images in the step.
            s: The step.

        Returns:
            Images of the same shape.
        """
        for transform in self.transformations:
            x = transform(x)
        return x


def change_color(x: Tensor) -> Tensor:
    """Shift brightness by U(-½, ½), scale saturation by U(0, 2) and contrast by U(½, 3/2), for `[B, C, H, W]`."""
    brightness, saturation, contrast = torch.rand(3, len(x), 1, 1, 1, device=x.device, dtype=x.dtype)
    x = x + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = torch.lerp(grey, x, 2 * saturation)
    mean = x.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, x, contrast + 0.5)


def translate(x: Tensor, fraction: float = 1 / 8) -> Tensor:
    """Shift each image by a random number of pixels, filling with zeros.

    Args:
        x: Images `[B, C, H, W]`.
        fraction: Maximum shift in each direction, as a fraction of the side.
    """
    height, width = x.shape[2:]
    down, across = round(height * fraction), round(width * fraction)
    padded = F.pad(x, (across, across, down, down)).permute(0, 2, 3, 1)
    rows, columns = (
        torch.randint(2 * most + 1, (len(x), 1), device=x.device) + torch.arange(side, device=x.device)
        for most, side in ((down, height), (across, width))
    )
    batch = torch.arange(len(x), device=x.device)[:, None, None]
    return padded[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(x: Tensor, fraction: float = 0.5) -> Tensor:
    """Set a rectangle of each image to zero, with its centre anywhere in the image.

    Args:
        x: Images `[B, C, H, W]`.
        fraction: Sides of the rectangle, as a fraction of the image's.
    """
    blanked = []
    for size in x.shape[2:]:
        side = round(size * fraction)
        start = torch.randint(size + 1 - side % 2, (len(x), 1), device=x.device) - side // 2
        offset = torch.arange(size, device=x.device) - start
        blanked.append((offset >= 0) & (offset < side))
    rows, columns = blanked
    return torch.where(rows[:, None, :, None] & columns[:, None, None, :], 0.0, x)

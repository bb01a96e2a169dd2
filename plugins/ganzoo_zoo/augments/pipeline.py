"""The changes of adaptive augmentation as one matrix an image. Karras et al. 2020, arXiv:2006.06676, appendix B.

Each change of each image happens with probability p, a tensor, so that nothing is read back from the device; what does
not happen is the identity.
"""

from __future__ import annotations

from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = 3**-0.5  # the grey axis of RGB, each component


def geometry(x: Tensor, p: Tensor, flip: bool = True, turn: bool = True, general: bool = True) -> Tensor:
    """Mirror, turn and shift each image `[B, C, H, W]` by whole pixels; zoom, rotate, stretch and shift it freely."""
    n, size = len(x), x.shape[2]
    place = torch.eye(3, device=x.device).expand(n, 3, 3)
    # These take places of the result to places of the image, so each change goes to the right of those before it.
    if flip:
        place = place @ scaling(1 - 2 * happens(p, n, 0.5), torch.ones(n, device=x.device))
    if turn:
        place = place @ rotation(pi / 2 * happens(p, n) * torch.randint(4, (n,), device=x.device))
    whole = (uniform(2, n, x.device) * 0.125 * size).round() * 2 / size  # in halves of the side
    place = place @ translation(*(whole * happens(p, n)))
    if general:
        zoom = torch.exp2(0.2 * torch.randn(n, device=x.device) * happens(p, n))
        stretch = torch.exp2(0.2 * torch.randn(n, device=x.device) * happens(p, n))
        # Rotated before and after the stretch, each time so often that any rotation has probability p.
        rare = 1 - (1 - p).sqrt()
        before, after = (pi * uniform(1, n, x.device)[0] * happens(rare, n) for _ in range(2))
        place = place @ scaling(zoom, zoom) @ rotation(before)
        place = place @ scaling(stretch, 1 / stretch) @ rotation(after)
        place = place @ translation(*(0.25 * torch.randn(2, n, device=x.device) * happens(p, n)))
    grid = F.affine_grid(place[:, :2], list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def color(x: Tensor, p: Tensor) -> Tensor:
    """Change brightness, contrast, luma, hue and saturation of each image; hue and saturation of colours alone.

    The first three channels are the colours; a fourth, opacity, stays as it is.
    """
    n, channels = len(x), min(x.shape[1], 3)
    shift = 0.2 * torch.randn(n, device=x.device) * happens(p, n)
    gain = torch.exp2(0.5 * torch.randn(n, device=x.device) * happens(p, n))
    axis = torch.full((channels, channels), 1 / channels, device=x.device)  # projects on the grey axis
    eye = torch.eye(channels, device=x.device)
    matrix = gain[:, None, None] * (eye - 2 * axis * happens(p, n, 0.5)[:, None, None])
    if channels == 3:
        hue = pi * uniform(1, n, x.device)[0] * happens(p, n)
        saturation = torch.exp2(torch.randn(n, device=x.device) * happens(p, n))
        matrix = (axis + saturation[:, None, None] * (eye - axis)) @ about_grey(hue) @ matrix
    # The shift comes first, and goes through the matrix like the colours.
    colors = x[:, :channels] + shift[:, None, None, None]
    changed = torch.einsum("bij,bjhw->bihw", matrix, colors)
    return torch.cat([changed, x[:, channels:]], 1)


def happens(p: Tensor, n: int, share: float = 1.0) -> Tensor:
    """Draw 1 with probability p · share, else 0, for each of n images."""
    return (torch.rand(n, device=p.device) < p * share).float()


def uniform(rows: int, n: int, device: torch.device) -> Tensor:
    """Draw numbers in [-1, 1), `[rows, n]`."""
    return torch.rand(rows, n, device=device) * 2 - 1


def matrix3(*rows: Tensor) -> Tensor:
    """Return `[B, 3, 3]` of the six upper entries, each `[B]`."""
    zero = torch.zeros_like(rows[0])
    return torch.stack([*rows, zero, zero, zero + 1], 1).reshape(-1, 3, 3)


def scaling(across: Tensor, down: Tensor) -> Tensor:
    """Return the matrices that sample `across` and `down` times as far."""
    zero = torch.zeros_like(across)
    return matrix3(across, zero, zero, zero, down, zero)


def rotation(angle: Tensor) -> Tensor:
    """Return rotations of the plane."""
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return matrix3(cos, -sin, zero, sin, cos, zero)


def translation(right: Tensor, down: Tensor) -> Tensor:
    """Return translations, in halves of the side."""
    zero = torch.zeros_like(right)
    return matrix3(zero + 1, zero, right, zero, zero + 1, down)


def about_grey(angle: Tensor) -> Tensor:
    """Return rotations of RGB about the grey axis `[B, 3, 3]`: Rodrigues' formula."""
    u = torch.full((3,), LUMA, device=angle.device)
    cross: Tensor = torch.linalg.cross(u.expand(3, 3), torch.eye(3, device=angle.device)).T
    outer = torch.outer(u, u)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    turned: Tensor = cos * torch.eye(3, device=angle.device) + sin * cross + (1 - cos) * outer
    return turned

"""The transformations of ADA, as one matrix per image. Karras et al. 2020, arXiv:2006.06676, appendix B.

Each transformation is applied to each image with probability p, and is the identity otherwise. p is a tensor, so that
no value is transferred from the device.
"""

from __future__ import annotations

from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = 3**-0.5  # each component of the unit vector along the grey axis of RGB


def geometry(x: Tensor, p: Tensor, flip: bool = True, turn: bool = True, general: bool = True) -> Tensor:
    """Transform images geometrically.

    Args:
        x: Images `[B, C, H, W]`.
        p: Probability of each transformation, a scalar.
        flip: Mirror.
        turn: Rotate by multiples of 90°.
        general: Scale, rotate, scale anisotropically and translate by fractions of pixels, in addition to integer
            translations.

    Returns:
        Images of the same shape.
    """
    n, height, width = len(x), *x.shape[2:]
    place = torch.eye(3, device=x.device).expand(n, 3, 3)
    # The matrices map positions in the result to positions in the image, so later transformations are on the right.
    if flip:
        place = place @ scaling(1 - 2 * bernoulli(p, n, 0.5), torch.ones(n, device=x.device))
    if turn:
        place = place @ rotation(pi / 2 * bernoulli(p, n) * torch.randint(4, (n,), device=x.device))
    sides = torch.tensor([[width], [height]], device=x.device)
    whole = (uniform(2, n, x.device) * 0.125 * sides).round() * 2 / sides  # in halves of the sides
    place = place @ translation(*(whole * bernoulli(p, n)))
    if general:
        zoom = torch.exp2(0.2 * torch.randn(n, device=x.device) * bernoulli(p, n))
        stretch = torch.exp2(0.2 * torch.randn(n, device=x.device) * bernoulli(p, n))
        # One rotation before and one after the anisotropic scaling; at least one of them happens with probability p.
        rare = 1 - (1 - p).sqrt()
        before, after = (pi * uniform(1, n, x.device)[0] * bernoulli(rare, n) for _ in range(2))
        place = place @ scaling(zoom, zoom) @ rotation(before)
        place = place @ scaling(stretch, 1 / stretch) @ rotation(after)
        place = place @ translation(*(0.25 * torch.randn(2, n, device=x.device) * bernoulli(p, n)))
    grid = F.affine_grid(for_aspect_ratio(place[:, :2], height, width), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def for_aspect_ratio(place: Tensor, height: int, width: int) -> Tensor:
    """Adapt affine maps `[B, 2, 3]` so that rotations keep their angles in images that are not square.

    Args:
        place: Maps in coordinates that are [-1, 1] along both sides.
        height: Height in pixels.
        width: Width in pixels.
    """
    ratio = height / width
    return place * torch.tensor([[1, ratio, 1], [1 / ratio, 1, 1]], device=place.device)


def color(x: Tensor, p: Tensor) -> Tensor:
    """Change brightness, contrast, luma, hue and saturation of each image; hue and saturation of RGB images only.

    A fourth channel, opacity, stays unchanged.

    Args:
        x: Images `[B, C, H, W]`.
        p: Probability of each transformation, a scalar.

    Returns:
        Images of the same shape.
    """
    n, channels = len(x), min(x.shape[1], 3)
    shift = 0.2 * torch.randn(n, device=x.device) * bernoulli(p, n)
    gain = torch.exp2(0.5 * torch.randn(n, device=x.device) * bernoulli(p, n))
    axis = torch.full((channels, channels), 1 / channels, device=x.device)  # projection onto the grey axis
    eye = torch.eye(channels, device=x.device)
    matrix = gain[:, None, None] * (eye - 2 * axis * bernoulli(p, n, 0.5)[:, None, None])
    if channels == 3:
        hue = pi * uniform(1, n, x.device)[0] * bernoulli(p, n)
        saturation = torch.exp2(torch.randn(n, device=x.device) * bernoulli(p, n))
        matrix = (axis + saturation[:, None, None] * (eye - axis)) @ about_grey(hue) @ matrix
    # Brightness is shifted first, so the matrix applies to the shift too.
    colors = x[:, :channels] + shift[:, None, None, None]
    transformed = torch.einsum("bij,bjhw->bihw", matrix, colors)
    return torch.cat([transformed, x[:, channels:]], 1)


def bernoulli(p: Tensor, n: int, factor: float = 1.0) -> Tensor:
    """Draw n numbers that are 1 with probability p · factor, and 0 otherwise.

    Args:
        p: Probability, a scalar.
        n: Number of images.
        factor: Factor of the probability.

    Returns:
        `[n]`, float.
    """
    return (torch.rand(n, device=p.device) < p * factor).float()


def uniform(rows: int, n: int, device: torch.device) -> Tensor:
    """Draw numbers `[rows, n]` in [-1, 1)."""
    return torch.rand(rows, n, device=device) * 2 - 1


def matrix3(*rows: Tensor) -> Tensor:
    """Return matrices `[B, 3, 3]` with the last row (0, 0, 1) from the six other entries, each `[B]`."""
    zero = torch.zeros_like(rows[0])
    return torch.stack([*rows, zero, zero, zero + 1], 1).reshape(-1, 3, 3)


def scaling(across: Tensor, down: Tensor) -> Tensor:
    """Return matrices `[B, 3, 3]` that scale sampling positions by factors `[B]` horizontally and vertically."""
    zero = torch.zeros_like(across)
    return matrix3(across, zero, zero, zero, down, zero)


def rotation(angle: Tensor) -> Tensor:
    """Return rotation matrices `[B, 3, 3]` of angles `[B]` in radians."""
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return matrix3(cos, -sin, zero, sin, cos, zero)


def translation(right: Tensor, down: Tensor) -> Tensor:
    """Return translation matrices `[B, 3, 3]` of offsets `[B]` in halves of the side."""
    zero = torch.zeros_like(right)
    return matrix3(zero + 1, zero, right, zero, zero + 1, down)


def about_grey(angle: Tensor) -> Tensor:
    """Return rotations `[B, 3, 3]` of RGB about the grey axis by angles `[B]` in radians: Rodrigues' formula."""
    u = torch.full((3,), LUMA, device=angle.device)
    cross: Tensor = torch.linalg.cross(u.expand(3, 3), torch.eye(3, device=angle.device)).T
    outer = torch.outer(u, u)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    matrix: Tensor = cos * torch.eye(3, device=angle.device) + sin * cross + (1 - cos) * outer
    return matrix

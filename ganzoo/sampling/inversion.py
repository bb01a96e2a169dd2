"""Projection: the latent from which a generator makes an image."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ganzoo.base.pictures import psnr
from ganzoo.errors import Incompatible
from ganzoo.model.classes import ClassLabel
from ganzoo.model.gan import GAN
from ganzoo.model.images import Pictures
from ganzoo.model.latents import Space, images_of, space_of

CANDIDATES = 1000
"""Random latents among which a search begins."""
STARTS = 4
"""Latents from which each image is searched."""
CHUNK = 64
"""Images that are searched at a time."""


class Projection(NamedTuple):
    """The result of projecting B images.

    Attributes:
        codes: Codes in the latent space of the generator `[B, D]`.
        labels: Classes `[B]`; None for an unconditional generator.
        images: Images generated from the codes `[B, C, H, W]`.
        psnr: Peak signal-to-noise ratios between given and generated images `[B]`, in dB.
    """

    codes: Tensor
    labels: Tensor | None
    images: Tensor
    psnr: Tensor


def project(gan: GAN, images: Pictures, y: ClassLabel | None = None, steps: int = 300, seed: int = 0) -> Projection:
    """Search for the codes whose images are nearest to given images, in mean squared error.

    The search starts from the four nearest of 1000 random latents, and the best result counts. A generator with a
    mapping network is searched in the space of mapped latents, as in Karras et al. 2020, arXiv:1912.04958, §5, but
    without their perceptual distance.

    Args:
        gan: The model.
        images: Files, pictures, or a tensor `[B, C, H, W]` in [-1, 1].
        y: Class of the images by number or name, for a conditional generator; default: all classes are tried.
        steps: Steps of gradient descent, ≥ 1.
        seed: Seed of the random latents.

    Returns:
        Codes and images.

    Raises:
        Incompatible: The model has no generator, or `steps` is less than 1.
        BadData: An image cannot be read.
    """
    generator = gan.network("generator")
    if steps < 1:
        raise Incompatible(f"the search needs at least 1 step, not {steps}")
    targets, device = gan.prepare(images), gan.device
    z, labels = gan.latents(CANDIDATES, seed), gan.labels(CANDIDATES, y)
    candidates = torch.cat([*images_of(generator, z, labels)])
    starts = torch.cdist(targets.flatten(1), candidates.flatten(1)).topk(STARTS, largest=False).indices
    space, classes = space_of(generator), None if labels is None else labels.to(device)
    with torch.no_grad():
        codes = space.codes(z.to(device), classes)
    results = []
    for chunk, nearest in zip(torch.split(targets, CHUNK), torch.split(starts, CHUNK), strict=True):
        start = nearest.flatten().to(device)
        y_start, target = None if classes is None else classes[start], chunk.repeat_interleave(STARTS, 0).to(device)
        final = descend(space, codes[start], y_start, target, codes.std(0), steps)
        with torch.no_grad():
            generated = space.images(final, y_start)
        ratio = psnr(generated, target)
        best = ratio.view(-1, STARTS).argmax(1) + torch.arange(0, len(ratio), STARTS, device=device)
        results.append((final[best].cpu(), start[best].cpu(), generated[best].cpu(), ratio[best].cpu()))
    final, start, generated, ratio = (torch.cat(chunks) for chunks in zip(*results, strict=True))
    return Projection(final, None if labels is None else labels[start], generated, ratio)


@torch.enable_grad()
def descend(space: Space, codes: Tensor, y: Tensor | None, targets: Tensor, scale: Tensor, steps: int) -> Tensor:
    """Minimise the mean squared error between the images of codes and target images, with Adam.

    Args:
        space: The latent space.
        codes: Codes to start from `[B, D]`.
        y: Classes `[B]`, for a conditional generator.
        targets: Target images `[B, C, H, W]` in [-1, 1].
        scale: Unit of a step in each dimension `[D]`.
        steps: Number of steps.

    Returns:
        The final codes `[B, D]`.
    """
    offset = torch.zeros_like(codes, requires_grad=True)
    adam = torch.optim.Adam([offset], lr=0.1, betas=(0.9, 0.99))
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        error = (space.images(codes + scale * offset, y) - targets).square().mean((1, 2, 3)).sum()
        adam.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        adam.step()
        cosine.step()
    return (codes + scale * offset).detach()

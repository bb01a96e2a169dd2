"""The latent of an image: what a generator would have to be given to make it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ganzoo.errors import Incompatible
from ganzoo.latents import Space, images_of, space_of
from ganzoo.model import GAN, Pictures
from ganzoo.pictures import psnr

CANDIDATES = 1000
STARTS = 4
AT_ONCE = 64


class Projection(NamedTuple):
    """What was found for B images: codes `[B, D]` in the generator's space, the classes `[B]` that it was told (or
    None), the images `[B, C, H, W]` that it makes of them, and their peak signal-to-noise ratios `[B]` in dB.
    """

    codes: Tensor
    labels: Tensor | None
    images: Tensor
    psnr: Tensor


def project(gan: GAN, images: Pictures, y: int | None = None, steps: int = 300, seed: int = 0) -> Projection:
    """Search for the codes whose images are nearest to some images in mean square.

    Of 1000 random latents the four nearest are the starts of as many descents; the best one counts. A generator that
    maps its latents (StyleGAN) is searched in what it maps them to: Karras et al. 2020, arXiv:1912.04958, §5, without
    their perceptual distance. y: the class; a conditional generator is tried with every one when not told.

    Raises Incompatible when the model has no generator, BadData for an image that cannot be read.
    """
    generator = gan.network("generator")
    if steps < 1:
        raise Incompatible(f"a search of {steps} steps finds nothing")
    targets, device = gan.prepare(images), gan.device
    z, labels = gan.latents(CANDIDATES, seed), gan.labels(CANDIDATES, y)
    made = torch.cat([*images_of(generator, z, labels)])
    starts = torch.cdist(targets.flatten(1), made.flatten(1)).topk(STARTS, largest=False).indices
    space, told = space_of(generator), None if labels is None else labels.to(device)
    with torch.no_grad():
        codes = space.codes(z.to(device), told)
    found = []
    for some, places in zip(torch.split(targets, AT_ONCE), torch.split(starts, AT_ONCE), strict=True):
        place = places.flatten().to(device)
        own, wanted = None if told is None else told[place], some.repeat_interleave(STARTS, 0).to(device)
        moved = descend(space, codes[place], own, wanted, codes.std(0), steps)
        with torch.no_grad():
            reached = space.images(moved, own)
        near = psnr(reached, wanted)
        best = near.view(-1, STARTS).argmax(1) + torch.arange(0, len(near), STARTS, device=device)
        found.append((moved[best].cpu(), place[best].cpu(), reached[best].cpu(), near[best].cpu()))
    moved, place, reached, near = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Projection(moved, None if labels is None else labels[place], reached, near)


@torch.enable_grad()
def descend(space: Space, codes: Tensor, y: Tensor | None, wanted: Tensor, spread: Tensor, steps: int) -> Tensor:
    """Move each code so that its image comes near the wanted one, by Adam in units of the codes' own spread `[D]`."""
    moved = torch.zeros_like(codes, requires_grad=True)
    adam = torch.optim.Adam([moved], lr=0.1, betas=(0.9, 0.99))
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        error = (space.images(codes + spread * moved, y) - wanted).square().mean((1, 2, 3)).sum()
        adam.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        adam.step()
        cosine.step()
    return (codes + spread * moved).detach()

"""Latent spaces of generators: where latents are drawn, truncated, walked between, and made into images."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from ganzoo.contracts import Generator, MappingGenerator
from ganzoo.step import latent

CHUNK = 256
CENTRED = 10_000


class Space(Protocol):
    """Where a generator's images are told apart. Codes are `[B, D]`, on the generator's device.

    `codes` maps latents z `[B, z_dim]` to codes, `images` maps these to images in [-1, 1], and `truncate` moves codes
    towards their centre: ψ = 1 leaves them bit for bit, 0 makes all the same. `between` returns codes `[N, D]` on the
    way from one `[D]` (t = 0) to another (t = 1), which are met bit for bit.
    """

    def codes(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Map latents and classes (`[B]`, `[B, K]` or None) to codes."""

    def truncate(self, codes: Tensor, psi: float) -> Tensor:
        """Move codes towards their centre."""

    def between(self, one: Tensor, other: Tensor, t: Tensor) -> Tensor:
        """Go from one code to another."""

    def images(self, codes: Tensor, y: Tensor | None) -> Tensor:
        """Map codes to images `[B, C, H, W]` in [-1, 1]."""


class LatentSpace:
    """The latents z themselves. Their centre is the mean of those that the generator draws: 0 for N(0, 1)."""

    def __init__(self, generator: nn.Module) -> None:
        self.generator = generator

    def codes(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Return z."""
        return z

    def truncate(self, codes: Tensor, psi: float) -> Tensor:
        """Return codes scaled towards the centre."""
        return torch.lerp(self.centre.to(codes), codes, psi)

    def between(self, one: Tensor, other: Tensor, t: Tensor) -> Tensor:
        """Go along the sphere near which latents of N(0, 1) lie (White 2016, arXiv:1609.04468).

        Those that a generator draws itself may have bounds, which a straight line between two of them does not leave.
        """
        t = t[:, None].to(one)
        lines = torch.lerp(one, other, t)
        angle = torch.arccos((one @ other / (one.norm() * other.norm())).clamp(-1, 1))
        if hasattr(self.generator, "latent") or not float(angle.sin()) > 1e-4:  # parallel: the line is the way
            return lines
        arcs = (((1 - t) * angle).sin() * one + (t * angle).sin() * other) / angle.sin()
        return torch.where((t == 0) | (t == 1), lines, arcs)

    def images(self, codes: Tensor, y: Tensor | None) -> Tensor:
        """Map codes to images."""
        return cast(Tensor, self.generator(codes, y)).float()

    @cached_property
    def centre(self) -> Tensor:
        """The mean latent `[z_dim]`."""
        if not hasattr(self.generator, "latent"):
            return torch.zeros(cast(Generator, self.generator).z_dim)
        return latent(self.generator, CENTRED, torch.Generator().manual_seed(0)).mean(0)


class MappedSpace:
    """What a generator maps its latents to first; StyleGAN's W."""

    def __init__(self, generator: MappingGenerator) -> None:
        self.generator = generator

    def codes(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Return w."""
        return self.generator.map(z, y)

    def truncate(self, codes: Tensor, psi: float) -> Tensor:
        """Return w moved towards their running average."""
        return self.generator.truncate(codes, psi)

    def between(self, one: Tensor, other: Tensor, t: Tensor) -> Tensor:
        """Go straight: what latents are mapped to lies near no sphere."""
        return torch.lerp(one, other, t[:, None].to(one))

    def images(self, codes: Tensor, y: Tensor | None) -> Tensor:
        """Map w, which knows of the class already, to images."""
        return self.generator.synthesize(codes).float().clamp(-1, 1)


def space_of(generator: nn.Module) -> Space:
    """Return the space in which a generator's images are told apart."""
    if hasattr(generator, "map"):
        return MappedSpace(cast(MappingGenerator, generator))
    return LatentSpace(generator)


@torch.no_grad()
def images_of(generator: nn.Module, z: Tensor, y: Tensor | None = None, truncation: float = 1.0) -> Iterator[Tensor]:
    """Return the images of latents z `[N, z_dim]` and classes y `[N]`, some at a time, on the CPU."""
    space, device = space_of(generator), next(generator.parameters()).device
    for start in range(0, len(z), CHUNK):
        told = None if y is None else y[start : start + CHUNK].to(device)
        yield from images_at(generator, space.codes(z[start : start + CHUNK].to(device), told), told, truncation)


@torch.no_grad()
def images_at(generator: nn.Module, codes: Tensor, y: Tensor | None = None, psi: float = 1.0) -> Iterator[Tensor]:
    """Return the images of codes `[N, D]` of the generator's space, truncated, some at a time, on the CPU."""
    space, device = space_of(generator), next(generator.parameters()).device
    for start in range(0, len(codes), CHUNK):
        told = None if y is None else y[start : start + CHUNK].to(device)
        yield space.images(space.truncate(codes[start : start + CHUNK].to(device), psi), told).cpu()

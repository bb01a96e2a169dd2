"""Latent spaces of generators: mapping, truncation, interpolation, and generation of images in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from ganzoo.strategy.networks import Generator, MappingGenerator, draw_latents

CHUNK = 256
"""Images that are generated at a time."""
CENTRE_SAMPLES = 10_000
"""Latents from which the centre of a latent space is estimated."""


class Space(Protocol):
    """The space in which the images of a generator are explored. Its codes are on the device of the generator."""

    def codes(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Map latents to codes.

        Args:
            z: Latents `[B, z_dim]`.
            y: Classes `[B]`, or their probabilities `[B, K]`, for a conditional generator.

        Returns:
            Codes `[B, D]`.
        """

    def truncate(self, codes: Tensor, psi: float) -> Tensor:
        """Move codes towards their centre.

        Args:
            codes: Codes `[B, D]`.
            psi: Factor in [0, 1]: with 1 the codes are unchanged, bit for bit; with 0 all are equal.

        Returns:
            Codes `[B, D]`.
        """

    def between(self, one: Tensor, other: Tensor, t: Tensor) -> Tensor:
        """Interpolate between two codes.

        Args:
            one: Code `[D]` at t = 0.
            other: Code `[D]` at t = 1.
            t: Positions `[N]` in [0, 1].

        Returns:
            Codes `[N, D]`; at t = 0 and t = 1 they equal the given ones bit for bit.
        """

    def images(self, codes: Tensor, y: Tensor | None) -> Tensor:
        """Generate images.

        Args:
            codes: Codes `[B, D]`.
            y: Classes, as for `codes`.

        Returns:
            Images `[B, C, H, W]` in [-1, 1].
        """


class LatentSpace:
    """The latents z themselves. Their centre is the mean of the generator's prior: 0 for N(0, 1).

    Args:
        generator: A Generator.
    """

    def __init__(self, generator: nn.Module) -> None:
        self.generator = generator

    def codes(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Return the latents."""
        return z

    def truncate(self, codes: Tensor, psi: float) -> Tensor:
        """Interpolate between the centre and codes."""
        return torch.lerp(self.centre.to(codes), codes, psi)

    def between(self, one: Tensor, other: Tensor, t: Tensor) -> Tensor:
        """Interpolate spherically, since latents of N(0, 1) lie near a sphere (White 2016, arXiv:1609.04468).

        For a generator with a prior of its own the interpolation is linear, so that it stays within bounds.
        """
        t = t[:, None].to(one)
        lines = torch.lerp(one, other, t)
        angle = torch.arccos((one @ other / (one.norm() * other.norm())).clamp(-1, 1))
        if (
            hasattr(self.generator, "latent") or not float(angle.sin()) > 1e-4
        ):  # parallel codes are interpolated linearly
            return lines
        arcs = (((1 - t) * angle).sin() * one + (t * angle).sin() * other) / angle.sin()
        return torch.where((t == 0) | (t == 1), lines, arcs)

    def images(self, codes: Tensor, y: Tensor | None) -> Tensor:
        """Generate images."""
        return cast(Tensor, self.generator(codes, y)).float()

    @cached_property
    def centre(self) -> Tensor:
        """The mean latent `[z_dim]`."""
        if not hasattr(self.generator, "latent"):
            return torch.zeros(cast(Generator, self.generator).z_dim)
        return draw_latents(self.generator, CENTRE_SAMPLES, torch.Generator().manual_seed(0)).mean(0)


class MappedSpace:
    """The space of mapped latents w of a generator with a mapping network, as StyleGAN's W.

    Args:
        generator: The generator.
    """

    def __init__(self, generator: MappingGenerator) -> None:
        self.generator = generator

    def codes(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Map latents to w."""
        return self.generator.map(z, y)

    def truncate(self, codes: Tensor, psi: float) -> Tensor:
        """Move w towards the running average that the generator keeps."""
        return self.generator.truncate(codes, psi)

    def between(self, one: Tensor, other: Tensor, t: Tensor) -> Tensor:
        """Interpolate linearly, since mapped latents do not lie near a sphere."""
        return torch.lerp(one, other, t[:, None].to(one))

    def images(self, codes: Tensor, y: Tensor | None) -> Tensor:
        """Generate images; w depends on the class already, and y is not used."""
        return self.generator.synthesize(codes).float().clamp(-1, 1)


def space_of(generator: nn.Module) -> Space:
    """Return the latent space of a generator: `MappedSpace` if it has a mapping network, else `LatentSpace`."""
    if hasattr(generator, "map"):
        return MappedSpace(cast(MappingGenerator, generator))
    return LatentSpace(generator)


@torch.no_grad()
def images_of(generator: nn.Module, z: Tensor, y: Tensor | None = None, truncation: float = 1.0) -> Iterator[Tensor]:
    """Generate images from latents.

    Args:
        generator: The generator.
        z: Latents `[N, z_dim]`.
        y: Classes `[N]`, for a conditional generator.
        truncation: Factor in [0, 1] by which codes are moved towards their centre.

    Yields:
        Images `[B, C, H, W]` in [-1, 1] on the CPU, a chunk at a time.
    """
    space, device = space_of(generator), next(generator.parameters()).device
    for start in range(0, len(z), CHUNK):
        labels = None if y is None else y[start : start + CHUNK].to(device)
        codes = space.codes(z[start : start + CHUNK].to(device), labels)
        yield from images_at(generator, codes, labels, truncation)


@torch.no_grad()
def images_at(generator: nn.Module, codes: Tensor, y: Tensor | None = None, psi: float = 1.0) -> Iterator[Tensor]:
    """Generate images from codes.

    Args:
        generator: The generator.
        codes: Codes `[N, D]` of its latent space.
        y: Classes `[N]`, for a conditional generator.
        psi: Factor in [0, 1] by which codes are moved towards their centre.

    Yields:
        Images `[B, C, H, W]` in [-1, 1] on the CPU, a chunk at a time.
    """
    space, device = space_of(generator), next(generator.parameters()).device
    for start in range(0, len(codes), CHUNK):
        labels = None if y is None else y[start : start + CHUNK].to(device)
        yield space.images(space.truncate(codes[start : start + CHUNK].to(device), psi), labels).cpu()

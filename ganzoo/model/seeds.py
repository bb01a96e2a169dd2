"""Latents as a function of the seed and the number of an image.

Number i is row i % 64 of block i // 64, and every block is drawn by a random number generator of its own. So an image
can be generated without those before it, and the prior of a generator need not know about numbers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn

from ganzoo.errors import Incompatible
from ganzoo.strategy.networks import Generator, draw_latents

BLOCK = 64
"""Latents of a block. Another value would change the images of every seed."""

Numbers: TypeAlias = int | Sequence[int] | Tensor
"""Numbers of images, from 0, in any order; or a count n, which means 0 … n - 1."""


def image_numbers(n: Numbers) -> Tensor:
    """Return the numbers of images `[N]`.

    Args:
        n: The numbers, or how many images.

    Raises:
        Incompatible: A number is negative.
    """
    given = torch.as_tensor(n, dtype=torch.int64).cpu()
    if given.ndim == 0 and given < 0:
        raise Incompatible(f"the number of images cannot be {int(given)}")
    numbers = torch.arange(int(given)) if given.ndim == 0 else given
    if len(numbers) and numbers.min() < 0:
        raise Incompatible(f"there is no image {int(numbers.min())}: images are numbered from 0")
    return numbers


def chosen_seed(seed: int | None) -> int:
    """Return a seed, or a random one if it is None.

    Raises:
        Incompatible: The seed is negative.
    """
    if seed is not None and seed < 0:
        raise Incompatible(f"a seed cannot be negative, as {seed} is; choose one from 0")
    return int.from_bytes(os.urandom(7), "little") if seed is None else seed


def latents_of(generator: nn.Module, numbers: Tensor, seed: int) -> Tensor:
    """Return the latents of images. Each depends on the seed and the number of its image alone, bit for bit.

    Args:
        generator: See `ganzoo.strategy.Generator`.
        numbers: Numbers of the images `[N]`.
        seed: The seed.

    Returns:
        Latents `[N, z_dim]` on the CPU, so that they are the same on every device.
    """
    if not len(numbers):
        return torch.empty(0, cast(Generator, generator).z_dim)
    ascending, order = numbers.sort()
    blocks, counts = torch.unique_consecutive(ascending // BLOCK, return_counts=True)
    rows = torch.split(ascending % BLOCK, counts.tolist())
    latents = torch.cat([draw_block(generator, block, seed)[i] for block, i in zip(blocks.tolist(), rows, strict=True)])
    return latents[order.argsort()]


def draw_block(generator: nn.Module, block: int, seed: int) -> Tensor:
    """Draw the latents `[64, z_dim]` of a block.

    Generators of the CPU use 32 bits of their seed. Counting from a hash of `seed` keeps the blocks of one seed apart.
    """
    first = int(np.random.SeedSequence(seed).generate_state(1)[0])
    return draw_latents(generator, BLOCK, torch.Generator().manual_seed((first + block) % 2**32))

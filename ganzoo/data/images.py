"""Decoded images, in memory or mapped from disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ganzoo.data.identity import Keys, hash_rows, sha256_of

Uint8 = np.ndarray[Any, np.dtype[np.uint8]]


class Images(Protocol):
    """N images of one shape, in memory or on disk."""

    def __len__(self) -> int: ...

    def batches(self, indices: Iterator[Tensor]) -> Iterator[Tensor]:
        """Return batches of images.

        Args:
            indices: Positions of the images of each batch `[B]`.

        Yields:
            uint8 images `[B, C, H, W]`.
        """

    def fingerprint(self) -> str:
        """Return a hash that identifies the images, without reading them again."""


@dataclass(frozen=True)
class InMemory:
    """Images in the memory of the device that trains.

    Attributes:
        pixels: uint8 images `[N, C, H, W]`.
        hashes: Hash of each image `[N]`; default: computed when it is needed.
    """

    pixels: Tensor
    hashes: Keys | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the hashes of the images."""
        return sha256_of(hash_rows(self.pixels.cpu().numpy()) if self.hashes is None else self.hashes)

    def batches(self, indices: Iterator[Tensor]) -> Iterator[Tensor]:
        """Return batches of images by their positions."""
        for index in indices:
            yield self.pixels[index.to(self.pixels.device, non_blocking=True)]


@dataclass(frozen=True)
class Shards:
    """One array `[N, C, H, W]` in several parts, each in memory or mapped from a file.

    Attributes:
        arrays: The parts, uint8 `[n, C, H, W]`.
    """

    arrays: Sequence[Uint8]

    @cached_property
    def starts(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Number of the first image of each part, and N."""
        return np.cumsum([0, *map(len, self.arrays)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return sum(array.nbytes for array in self.arrays)

    def take(self, index: np.ndarray[Any, np.dtype[np.int64]]) -> Uint8:
        """Return a copy of images by their numbers `[B]`."""
        if len(self.arrays) == 1:
            return np.take(self.arrays[0], index, axis=0)
        taken = np.empty((len(index), *self.arrays[0].shape[1:]), dtype=np.uint8)
        parts = np.searchsorted(self.starts, index, side="right") - 1
        for part in np.unique(parts):
            mask = parts == part
            taken[mask] = self.arrays[part][index[mask] - self.starts[part]]
        return taken


@dataclass(frozen=True)
class Mapped:
    """Images that are taken from an array in memory or on disk.

    Attributes:
        shards: The array.
        members: Numbers of the N images in the array.
        hashes: Hash of each image `[N]`.
    """

    shards: Shards
    members: Keys
    hashes: Keys

    def __len__(self) -> int:
        return len(self.members)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the hashes of the images."""
        return sha256_of(self.hashes)

    def batches(self, indices: Iterator[Tensor]) -> Iterator[Tensor]:
        """Return batches of images by their positions."""
        for index in indices:
            yield torch.from_numpy(self.shards.take(self.members[index.numpy()]))


def pixels_sha256(images: Images) -> str:
    """Return the SHA-256 of all pixels, which earlier versions kept of the images of a run."""
    digest = hashlib.sha256()
    for batch in images.batches(iter(torch.split(torch.arange(len(images)), 1024))):
        digest.update(batch.cpu().numpy().tobytes())
    return digest.hexdigest()

"""How an image is known: by its content, never by its name or position."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL.Image import Image

Keys = np.ndarray[Any, np.dtype[np.int64]]
"""64-bit hashes of N images. Among ten million images two are equal by chance with a probability of 3 in a million."""
NONE: Keys = np.empty(0, dtype=np.int64)


def content_key(content: bytes) -> int:
    """Return the 64-bit hash of an encoded image, as a signed integer."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little", signed=True)


def picture_key(picture: Image) -> int:
    """Return the 64-bit hash of an image that has no file: of its mode, size and pixels."""
    return content_key(f"{picture.mode} {picture.size}".encode() + picture.tobytes())


def hash_rows(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> Keys:
    """Return the 64-bit hash of each image of an array `[N, C, H, W]`."""
    rows = np.ascontiguousarray(pixels).reshape(len(pixels), -1)
    return np.array([content_key(row) for row in rows], dtype=np.int64)  # type: ignore[arg-type]


def sha256_of(*arrays: np.ndarray[Any, Any] | Sequence[str]) -> str:
    """Return the SHA-256 of integer arrays and lists of text, and of their lengths."""
    digest = hashlib.sha256()
    for array in arrays:
        content = (
            np.ascontiguousarray(array, dtype="<i8").tobytes()
            if isinstance(array, np.ndarray)
            else "\0".join(array).encode(errors="surrogateescape")
        )
        digest.update(np.int64(len(array)).tobytes() + content)
    return digest.hexdigest()


def find(wanted: Keys, known: Keys) -> Keys:
    """Find images by their keys. The n-th of several copies is found as the n-th copy.

    Args:
        wanted: Keys of the images to find `[M]`.
        known: Keys of the images to look among `[N]`.

    Returns:
        Positions among the known images `[M]`, -1 for those that are missing.
    """
    order = np.argsort(known, kind="stable")
    places = np.searchsorted(known[order], wanted) + _occurrence(wanted)
    inside = places < len(known)
    found = np.full(len(wanted), -1, dtype=np.int64)
    found[inside] = order[places[inside]]
    found[inside] = np.where(known[found[inside]] == wanted[inside], found[inside], -1)
    return found


def first_copy(keys: Keys) -> Keys:
    """Return the position of the first of the images that have the same key, for each image `[N]`."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return first[inverse]


def _occurrence(keys: Keys) -> Keys:
    """Return how many images before each one have the same key `[N]`."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    counts = np.empty(len(keys), dtype=np.int64)
    counts[order] = np.arange(len(keys)) - np.searchsorted(ordered, ordered)
    return counts

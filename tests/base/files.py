"""Image files that Pillow does not write."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

GREY, RGB, PALETTE, GREY_ALPHA = 0, 2, 3, 4
"""Colour types of PNG."""


def png(width: int, bits: int, colour: int, row: bytes, **chunks: bytes) -> bytes:
    """Return a PNG file of one row, with further chunks by name."""

    def chunk(kind: str, content: bytes) -> bytes:
        body = kind.encode() + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, 1, bits, colour, 0, 0, 0)
    parts = {"IHDR": header, **chunks, "IDAT": zlib.compress(b"\0" + row), "IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, content) for kind, content in parts.items())


def tiff(pixels: bytes, width: int, bits: int, tags: dict[int, tuple[str, float]] | None = None) -> bytes:
    """Return a TIFF file of one row of grey pixels, with further tags: of one value each, and a type of `struct`."""
    types = {"H": 3, "I": 4, "f": 11}
    known = {256: ("H", width), 257: ("H", 1), 258: ("H", bits), 259: ("H", 1), 262: ("H", 1), 273: ("I", 8)}
    known |= {277: ("H", 1), 278: ("H", 1), 279: ("I", len(pixels)), **(tags or {})}
    entries = b"".join(
        struct.pack("<HHI", tag, types[kind], 1) + struct.pack(f"<{kind}", value).ljust(4, b"\0")
        for tag, (kind, value) in sorted(known.items())
    )
    padded = pixels.ljust(len(pixels) + len(pixels) % 2, b"\0")
    return b"II*\0" + struct.pack("<I", 8 + len(padded)) + padded + struct.pack("<H", len(known)) + entries + bytes(4)


def tiff_of(values: np.ndarray[Any, Any], tags: dict[int, tuple[str, float]] | None = None) -> bytes:
    """Return a TIFF file of one row of values, whose type it states."""
    formats = {"u": 1, "i": 2, "f": 3}
    stated: dict[int, tuple[str, float]] = {339: ("H", formats[values.dtype.kind])}
    return tiff(values.tobytes(), values.size, 8 * values.itemsize, stated | (tags or {}))

"""Pixels: transparency, depth and range, orientation and size, as the networks are given them."""

from __future__ import annotations

import io
import struct
import warnings
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from ganzoo import ImageShape
from ganzoo.base.opening import open_picture
from ganzoo.base.preparation import GROUND, Preparation
from ganzoo.errors import BadData, Notice
from tests.base.files import GREY, GREY_ALPHA, PALETTE, RGB, png, tiff, tiff_of

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Range = tuple[float, float]


def prepared(
    picture: Image.Image | bytes, channels: int = 1, size: tuple[int, int] | None = None, how: Preparation | None = None
) -> Pixels:
    """Return the pixels of a picture or of a file, at its own size unless another (height, width) is given."""
    if isinstance(picture, bytes):
        picture = open_picture(picture)
    height, width = size or picture.size[::-1]
    return (how or Preparation())(picture, ImageShape(channels, height, width, 0))


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


# --- opaque pictures --------------------------------------------------------------------------------------------------


def plainly(picture: Image.Image, channels: int, height: int, width: int, fit: str) -> Pixels:
    """Convert an opaque picture by the shortest way."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):
        picture = Image.fromarray((np.asarray(picture) * (255.0 / 65535)).round().astype(np.uint8))
    picture = picture.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])
    if picture.size != (width, height):
        fitted = {"crop": ImageOps.fit, "pad": ImageOps.pad, "stretch": Image.Image.resize}[fit]
        picture = fitted(picture, (width, height), Image.Resampling.BICUBIC)
    array = np.array(picture)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LA", "RGBA", "I;16", "I"])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_opaque_pictures_are_only_converted(mode: str, fit: str) -> None:
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8))
    if mode.startswith("I"):
        deep = rng.integers(0, 65536, (20, 30))
        picture = Image.fromarray(deep.astype(np.uint16 if ";" in mode else np.int32))
    else:
        picture = colours.convert(mode)
    assert picture.mode == mode
    for channels in (1, 3, 4):
        for size in ((20, 30), (8, 8)):
            expected = plainly(picture, channels, *size, fit)
            if channels == 4:
                expected = np.where(expected[3] == 0, np.array([*GROUND, 0])[:, None, None], expected)  # beside it
            assert np.array_equal(prepared(picture, channels, size, Preparation(fit)), expected), (channels, size)


def test_fit() -> None:
    wide = Image.fromarray(np.repeat(np.array([[0] * 10 + [255] * 10 + [0] * 10], dtype=np.uint8), 10, axis=0))
    assert prepared(wide, 1, (10, 10)).min() == 255
    padded = prepared(wide, 1, (30, 30), Preparation("pad"))
    assert padded[0, 0].max() == 0
    assert padded[0, 15].max() == 255
    assert prepared(wide, 3, (8, 8), Preparation("stretch")).shape == (3, 8, 8)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "deep PNG", "deep TIFF", "transparent PNG"])
def test_every_orientation(kind: str) -> None:
    upright = np.zeros((16, 24), dtype=np.uint8)
    upright[:8, :12] = 255
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that the orientation undoes
    for orientation in range(1, 9):
        stored = Image.fromarray(upright)
        if orientation > 1:
            stored = stored.transpose(Image.Transpose(inverse[orientation]))
        if kind.startswith("deep"):
            stored = Image.fromarray(np.asarray(stored).astype(np.uint16) * 257)
        elif kind.startswith("transparent"):  # black on nothing
            stored = Image.merge("LA", (Image.new("L", stored.size), ImageOps.invert(stored)))
        exif = Image.Exif()
        exif[0x0112] = orientation
        found = prepared(encoded(stored, kind.split()[-1], exif=exif), 1, (16, 24))
        assert np.abs(found[0].astype(int) - upright).mean() < 8, orientation


@pytest.mark.parametrize(("kind", "levels"), [("GIF", 1), ("PNG", 1), ("WEBP", 1), ("TIFF", 257)])
def test_of_several_frames_the_first_counts(kind: str, levels: int) -> None:
    frames = [np.full((4, 4), levels * level, np.uint16 if levels > 1 else np.uint8) for level in (30, 200)]
    first, second = (Image.fromarray(frame) for frame in frames)
    options = {"lossless": True} if kind == "WEBP" else {}
    found = prepared(encoded(first, kind, save_all=True, append_images=[second], **options))
    assert set(found.ravel()) == {30}


# --- transparency -----------------------------------------------------------------------------------------------------

SHORTS = struct.Struct(">H").pack
TRANSPARENT = {
    "RGBA": encoded(Image.fromarray(np.array([[[0, 9, 0, 0], [0, 0, 0, 255]]], np.uint8))),
    "LA": png(2, 8, GREY_ALPHA, b"\x09\x00\x00\xff"),
    "LA, 16 bits": png(2, 16, GREY_ALPHA, b"\x09\x09\x00\x00\x00\x00\xff\xff"),
    "palette": png(2, 8, PALETTE, b"\x00\x01", PLTE=b"\x09\x00\x00\x00\x00\x00", tRNS=b"\x00\xff"),
    "palette, 1 bit": png(2, 1, PALETTE, b"\x40", PLTE=b"\x09\x00\x00\x00\x00\x00", tRNS=b"\x00"),
    "grey": png(2, 8, GREY, b"\x09\x00", tRNS=SHORTS(9)),
    "grey, 1 bit": png(2, 1, GREY, b"\x80", tRNS=SHORTS(1)),
    "grey, 2 bits": png(2, 2, GREY, b"\x80", tRNS=SHORTS(2)),
    "grey, 4 bits": png(2, 4, GREY, b"\x90", tRNS=SHORTS(9)),
    "grey, 16 bits": png(2, 16, GREY, b"\x90\x80\x00\x00", tRNS=SHORTS(0x9080)),
    "RGB": png(2, 8, RGB, b"\x09\x00\x00\x00\x00\x00", tRNS=SHORTS(9) + SHORTS(0) * 2),
    "RGB, 16 bits": png(2, 16, RGB, b"\x09\x08" + bytes(10), tRNS=SHORTS(0x908) + SHORTS(0) * 2),
    "GIF": encoded(Image.fromarray(np.array([[9, 0]], np.uint8)), "GIF", transparency=9),
    "WebP": encoded(Image.fromarray(np.array([[[0, 9, 0, 0], [0, 0, 0, 255]]], np.uint8)), "WEBP", lossless=True),
    "PA": Image.fromarray(np.array([[[0, 9, 0, 0], [0, 0, 0, 255]]], np.uint8)).convert("PA"),
}


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_transparent_pixels_show_the_ground(kind: str) -> None:
    file = TRANSPARENT[kind]
    assert prepared(file, 1).tolist() == [[[255, 0]]]
    assert prepared(file, 3).tolist() == [[[255, 0]]] * 3
    assert prepared(file, 4).tolist() == [[[255, 0]]] * 3 + [[[0, 255]]]


def test_what_is_half_transparent_is_mixed_with_the_ground() -> None:
    half = Image.new("RGBA", (1, 1), (255, 0, 100, 128))
    assert prepared(half, 3).ravel().tolist() == [255, 127, 177]
    assert prepared(half, 4).ravel().tolist() == [255, 0, 100, 128]


def test_hidden_colours_are_not_seen() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (32, 32, 4), dtype=np.uint8)
    pixels[..., 3] = 0
    pixels[8:24, 8:24] = (10, 20, 30, 255)
    for size in ((32, 32), (8, 8), (48, 48)):
        found = prepared(Image.fromarray(pixels), 4, size)
        assert (found[:3, found[3] == 0] == 255).all()
        other = pixels.copy()
        other[pixels[..., 3] == 0, :3] = 77
        assert np.array_equal(found, prepared(Image.fromarray(other), 4, size))
        assert np.array_equal(prepared(Image.fromarray(pixels), 3, size), prepared(Image.fromarray(other), 3, size))


# --- depth and range --------------------------------------------------------------------------------------------------

U16 = np.array([0, 1000, 4095, 65535], "<u2")
U12 = np.array([0, 1000, 2000, 4095], "<u2")
FLOATS = np.array([0, 0.25, 0.5, 1], "<f4")
IN_65535, IN_4095, IN_1 = [0, 4, 16, 255], [0, 62, 125, 255], [0, 64, 128, 255]
PHOTOMETRIC, MIN, MAX, SMAX = 262, 280, 281, 341


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (png(4, 16, GREY, U16.astype(">u2").tobytes()), IN_65535),
        (tiff_of(U16), IN_65535),
        (encoded(Image.fromarray(U16[None].astype(">u2")), "TIFF"), IN_65535),
        (encoded(Image.fromarray(U16[None]), "TIFF", compression="tiff_lzw"), IN_65535),
        (encoded(Image.fromarray(U16[None]), "JPEG2000", irreversible=False), IN_65535),
        (tiff_of(U16, {PHOTOMETRIC: ("H", 0)}), [255 - level for level in IN_65535]),
        (tiff_of(U16.astype("<i4")), IN_65535),
        (tiff_of(U16.astype("<u4")), IN_65535),
        (b"P5 4 1 65535\n" + U16.astype(">u2").tobytes(), IN_65535),
        (b"P5 4 1 4095\n" + U12.astype(">u2").tobytes(), IN_4095),
        (tiff_of(U12, {MAX: ("H", 4095)}), IN_4095),
        (tiff_of(U12.astype("<i4"), {MAX: ("I", 4095)}), IN_4095),
        (tiff_of(U12.astype("<f4"), {SMAX: ("f", 4095)}), IN_4095),
        (tiff_of(U16, {MIN: ("H", 3), MAX: ("H", 60000)}), IN_65535),  # what one image has, and no range
        (tiff(bytes([0x00, 0x0F, 0xFF, 0x80, 0x00, 0x00]), 4, 12), [0, 255, 128, 0]),
        (tiff_of(FLOATS), IN_1),
        (tiff_of(FLOATS, {PHOTOMETRIC: ("H", 0)}), [255, 191, 128, 0]),
        (b"Pf 4 1 -1.0\n" + FLOATS.tobytes(), IN_1),
    ],
)
def test_the_scale_is_that_of_type_or_header(file: bytes, expected: list[int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        assert prepared(file).ravel().tolist() == expected


def test_a_dark_image_and_a_bright_one_have_the_same_scale() -> None:
    for bright in (np.uint16(20000), np.float32(1.0)):
        pictures = [Image.fromarray(np.full((4, 4), bright * part).astype(bright.dtype)) for part in (0.2, 0.4, 1)]
        levels = [int(prepared(picture)[0, 0, 0]) for picture in pictures]
        assert levels == ([16, 31, 78] if bright > 1 else [51, 102, 255])


def test_sixteen_bits_may_be_twelve() -> None:
    with pytest.warns(Notice, match=r"65535 is white; if they have fewer bits, as 12, .* data.range=\[0,4095\]"):
        assert prepared(Image.fromarray(U12[None])).max() == 16
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        assert prepared(Image.fromarray(U12[None]), how=Preparation(range=(0, 4095))).ravel().tolist() == IN_4095


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (
            tiff_of(np.array([0, 255], "<f4")),
            "its values, 0 to 255, are not all within 0 … 1, the range of such images",
        ),
        (tiff_of(np.array([-0.2, 0.5], "<f4")), r"-0.2 to 0.5, .*--set data.range=\[low,high\]"),
        (tiff_of(np.array([0, 70000], "<i4")), "0 to 70000, are not all within 0 … 65535"),
        (tiff_of(np.array([0, 2**32 - 1], "<u4")), r"0 to 4.29497e\+09"),
        (tiff_of(np.array([-5, 9], "<i2")), "-5 to 9"),
        (tiff_of(np.array([0, 5000], "<u2"), {MAX: ("H", 4095)}), "0 to 5000, are not all within 0 … 4095"),
        (tiff_of(np.array([-5, 9], "<i1")), "its values are signed"),
    ],
)
def test_values_beyond_the_scale_are_refused(file: bytes, said: str) -> None:
    with pytest.raises(BadData, match=said):
        prepared(file)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("range_", [None, (0.0, 1.0)])
def test_what_is_no_number_is_refused(value: float, range_: Range | None) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        prepared(tiff_of(np.array([0, value], "<f4")), how=Preparation(range=range_))


@pytest.mark.parametrize(
    ("file", "range_", "expected"),
    [
        (tiff_of(U12), (0, 4095), IN_4095),
        (tiff_of(np.array([-2000, -1000, -500, 0, 900], "<i2")), (-1000, 0), [0, 0, 128, 255, 255]),
        (tiff_of(np.array([0, 51, 300], "<f4")), (0, 255), [0, 51, 255]),
        (tiff_of(np.array([0, 2**31, 2**32 - 1], "<u4")), (0, 2**32 - 1), [0, 128, 255]),
        (tiff_of(U12, {PHOTOMETRIC: ("H", 0)}), (0, 4095), [255 - level for level in IN_4095]),
        (tiff_of(U12, {MAX: ("H", 4095)}), (0, 8190), [0, 31, 62, 128]),
        (tiff_of(np.array([0, 9, 255], "u1")), (0, 10), [0, 9, 255]),  # of 8 bits: as it is
    ],
)
def test_a_range_scales_and_clips(file: bytes, range_: Range, expected: list[int]) -> None:
    assert prepared(file, how=Preparation(range=range_)).ravel().tolist() == expected


def test_a_range_cannot_apply_to_deep_colours() -> None:
    deep = png(1, 16, RGB, b"\x0f\x00\x08\x00\x00\x00")
    assert prepared(deep, 3).ravel().tolist() == [15, 8, 0]
    with pytest.raises(BadData, match="its colours have 16 bits"):
        prepared(deep, 3, how=Preparation(range=(0, 4095)))

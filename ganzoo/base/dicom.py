"""DICOM, the format of medical images: read with pydicom, which the extra `medical` installs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ganzoo.base.depth import STATED, Curve
from ganzoo.errors import MissingExtra

if TYPE_CHECKING:
    from pydicom import Dataset

HEAD = 132
"""Bytes of a file by which DICOM is known."""


def is_dicom(head: bytes) -> bool:
    """Return whether a file is DICOM, by its first `HEAD` bytes."""
    return head[128:HEAD] == b"DICM"


def read_dicom(content: bytes) -> Image.Image:
    """Read the first image of a DICOM file, as its header says that it is displayed.

    Args:
        content: Content of the file.

    Returns:
        A picture in RGB; or in grey with 8 bits; or in grey with floats, which are in the units of the modality, as
        Hounsfield units, and which the window of the header scales unless `data.range` is given.

    Raises:
        OSError: The file has no image.
        MissingExtra: pydicom is not installed.
    """
    try:
        from pydicom import dcmread
        from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array
    except ImportError as error:
        raise MissingExtra("DICOM images require pydicom: pip install 'torch-ganzoo[medical]'") from error
    header = dcmread(io.BytesIO(content))
    if not any(name in header for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise OSError("it is a DICOM file without an image")
    describe_first_frame(header)
    pixels = pixel_array(header, index=0)
    if header.PhotometricInterpretation == "PALETTE COLOR":
        return rgb(apply_color_lut(pixels, header), header.RedPaletteColorLookupTableDescriptor[2])
    if header.SamplesPerPixel == 3:
        return rgb(pixels, header.BitsStored)
    values, curve = np.asarray(apply_modality_lut(pixels, header), dtype=np.float64), displayed(header)
    if curve and header.get("BitsStored", 32) <= 8:
        return Image.fromarray(curve(values))
    picture = Image.fromarray(values.astype(np.float32))
    if curve:
        picture.info[STATED] = curve
    return picture


def rgb(pixels: np.ndarray[Any, Any], bits: int) -> Image.Image:
    """Return a picture in RGB of pixels `[H, W, 3]`, of which the upper 8 bits are kept."""
    return Image.fromarray((pixels >> max(bits - 8, 0)).astype(np.uint8))


def describe_first_frame(header: Dataset) -> None:
    """Write what enhanced files say about their first frame to where others say it about their only one."""
    for groups in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for group in header.get(groups, [])[:1]:
            for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                for item in group.get(name, [])[:1]:
                    header.update({element.tag: element for element in item if element.tag not in header})


def displayed(header: Dataset) -> Curve | None:
    """Return the levels by value of a grey image: of its window, its table, or its bits; None for floats without one.

    Of several windows, the first counts.
    """
    inverted = header.PhotometricInterpretation == "MONOCHROME1"
    center, width = (np.ravel(header.get(name) or ()) for name in ("WindowCenter", "WindowWidth"))
    if len(center) and len(width):
        values, levels = window(float(center[0]), float(width[0]), header.get("VOILUTFunction") or "LINEAR")
    elif header.get("VOILUTSequence"):
        values, levels = table(header)
    elif "BitsStored" in header:
        values, levels = stored_range(header), np.array([0.0, 255.0])
    else:
        return None
    return Curve(values.tolist(), (255 - levels if inverted else levels).tolist(), clips=True)


def window(center: float, width: float, function: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return points of a window function. DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        values = np.linspace(center - 2 * width, center + 2 * width, 1025)
        return values, 255 / (1 + np.exp(-4 * (values - center) / width))
    if function == "LINEAR":
        center, width = center - 0.5, max(width - 1, 1e-3)
    return np.array([center - width / 2, center + width / 2]), np.array([0.0, 255.0])


def table(header: Dataset) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the points of the first table of levels."""
    from pydicom.pixels import apply_voi

    count, first, bits = header.VOILUTSequence[0].LUTDescriptor
    values = np.arange(first, first + (count or 2**16))
    return values, apply_voi(values, header) * (255 / (2**bits - 1))


def stored_range(header: Dataset) -> np.ndarray[Any, Any]:
    """Return the smallest and largest value that the bits of an image can hold, in the units of its modality."""
    from pydicom.pixels import apply_modality_lut

    bits, low = header.BitsStored, 0
    if header.PixelRepresentation:
        low = -(2 ** (bits - 1))
    ends = (low, low + 2**bits - 1)
    held = np.arange(ends[0], ends[1] + 1) if bits <= 16 else np.array(ends)
    values = np.asarray(apply_modality_lut(held, header))
    return np.array([values.min(), values.max()])

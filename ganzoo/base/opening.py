"""Opening image files of every format that is read."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from ganzoo.base.dicom import is_dicom, read_dicom


def open_picture(file: bytes | str | Path) -> Image.Image:
    """Open an image, the first frame of several. Most formats are decoded only when their pixels are needed.

    Args:
        file: Path of an image file, or its content.

    Raises:
        OSError: The file cannot be read, or is not an image.
        MissingExtra: It is a DICOM file, and pydicom is not installed.
    """
    content = file if isinstance(file, bytes) else read_regular(Path(file))
    if is_dicom(content):
        return read_dicom(content)
    try:
        return Image.open(io.BytesIO(content))
    except UnidentifiedImageError as error:
        raise OSError("it is not an image of a known format") from error


def read_regular(path: Path) -> bytes:
    """Return the content of a file; a pipe or a device, which could be waited for forever, is refused.

    Raises:
        OSError: There is no such file, it is not a regular one, or it cannot be read.
    """
    if path.is_dir():
        raise OSError("it is a folder; name the images in it")
    if path.exists() and not path.is_file():
        raise OSError("it is not a regular file; copy it to one")
    return path.read_bytes()

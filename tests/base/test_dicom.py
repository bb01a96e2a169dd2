"""DICOM files: modality, window, bits, photometric interpretation, frames and compression."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from ganzoo import GAN, ImageShape
from ganzoo.base.opening import open_picture
from ganzoo.base.preparation import Preparation
from ganzoo.errors import MissingExtra

Cli = Callable[..., Result]
ROW = np.array([[0, 1000, 2000, 4095]], dtype=np.uint16)
HOUNSFIELD = {"RescaleSlope": 1, "RescaleIntercept": -1000}


def dataset(pixels: np.ndarray[Any, Any], syntax: str = ExplicitVRLittleEndian, **header: Any) -> Dataset:
    """Return a data set of one frame `[H, W]` or `[H, W, 3]`, of 12 stored bits if it has 16."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    data.Rows, data.Columns = pixels.shape[:2]
    data.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        data.PlanarConfiguration = 0
    data.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    data.BitsAllocated = 8 * pixels.itemsize
    data.BitsStored = 12 if pixels.itemsize == 2 else 8
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()
    for name, value in header.items():
        setattr(data, name, value)
    return data


def item(**values: Any) -> Dataset:
    data = Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return data


def table(first: int, bits: int, *values: int) -> Dataset:
    """Return a table that maps `first` and the values after it."""
    content = np.array(values, "<u2").tobytes()
    return item(LUTDescriptor=[len(values), first, bits], LUTData=content, ModalityLUTType="US")


def file_of(data: Dataset) -> bytes:
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def levels(data: Dataset, channels: int = 1, range_: tuple[float, float] | None = None) -> list[Any]:
    picture = open_picture(file_of(data))
    pixels = Preparation(range=range_)(picture, ImageShape(channels, picture.height, picture.width, 0))
    return list(pixels.ravel().tolist() if channels == 1 else pixels.reshape(channels, -1).T.tolist())


@pytest.mark.parametrize(
    ("pixels", "header", "expected"),
    [
        (ROW, {}, [0, 62, 125, 255]),
        (ROW, {"PhotometricInterpretation": "MONOCHROME1"}, [255, 193, 130, 0]),
        (ROW, {"BitsStored": 16, "HighBit": 15}, [0, 4, 8, 16]),
        (ROW.astype(np.int16) - 2048, {}, [0, 62, 125, 255]),
        (ROW, {"WindowCenter": 1000.5, "WindowWidth": 2001}, [0, 128, 255, 255]),
        (ROW, {"WindowCenter": [1000.5, 9], "WindowWidth": [2001, 3]}, [0, 128, 255, 255]),
        (ROW, {"WindowCenter": 1000, "WindowWidth": 2000, "VOILUTFunction": "LINEAR_EXACT"}, [0, 128, 255, 255]),
        (ROW, {"WindowCenter": 1000, "WindowWidth": 1000, "VOILUTFunction": "SIGMOID"}, [5, 128, 250, 255]),
        (ROW, {"WindowCenter": 1000.5, "WindowWidth": 1}, [0, 128, 255, 255]),
        (ROW, HOUNSFIELD, [0, 62, 125, 255]),
        (ROW, HOUNSFIELD | {"WindowCenter": 0.5, "WindowWidth": 2001}, [0, 128, 255, 255]),
        (ROW, {"RescaleSlope": -1, "RescaleIntercept": 0}, [255, 193, 130, 0]),
        (ROW, {"VOILUTSequence": [table(999, 8, 10, 200, 100)]}, [10, 200, 100, 100]),
        (ROW, {"ModalityLUTSequence": [table(1000, 16, 0, 65535)]}, [0, 0, 255, 255]),
        (np.array([[0, 7, 255]], np.uint8), {}, [0, 7, 255]),
        (np.array([[0, 7, 255]], np.uint8), {"PhotometricInterpretation": "MONOCHROME1"}, [255, 248, 0]),
    ],
)  # fmt: skip
def test_grey(pixels: np.ndarray[Any, Any], header: dict[str, Any], expected: list[int]) -> None:
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        assert levels(dataset(pixels, syntax, **header)) == expected


def test_a_range_is_in_the_units_of_the_modality() -> None:
    window = {"WindowCenter": 9, "WindowWidth": 3}
    hounsfield = dataset(ROW, **HOUNSFIELD, **window)
    assert levels(hounsfield, range_=(-1000, 1000)) == [0, 128, 255, 255]
    hounsfield.PhotometricInterpretation = "MONOCHROME1"
    assert levels(hounsfield, range_=(-1000, 1000)) == [255, 128, 0, 0]
    assert levels(dataset(np.array([[0, 7, 255]], np.uint8)), range_=(0, 7)) == [0, 7, 255]


def test_colour() -> None:
    colours = np.array([[[255, 0, 0], [10, 20, 30]]], dtype=np.uint8)
    assert levels(dataset(colours), 3) == colours[0].tolist()
    ycbcr = np.asarray(Image.fromarray(colours).convert("YCbCr"))
    found = levels(dataset(ycbcr, PhotometricInterpretation="YBR_FULL"), 3)
    assert np.abs(np.array(found) - colours[0]).max() <= 2
    planes = np.ascontiguousarray(colours.transpose(2, 0, 1)).tobytes()
    assert levels(dataset(colours, PlanarConfiguration=1, PixelData=planes), 3) == colours[0].tolist()
    palette = dataset(np.array([[0, 1]], np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for name, values in (("Red", [0, 65535]), ("Green", [256, 0]), ("Blue", [0, 32768])):
        setattr(palette, f"{name}PaletteColorLookupTableDescriptor", [2, 0, 16])
        setattr(palette, f"{name}PaletteColorLookupTableData", np.array(values, "<u2").tobytes())
    assert levels(palette, 3) == [[0, 1, 0], [255, 0, 128]]


def test_the_first_frame_as_it_is_described() -> None:
    frames = dataset(ROW, NumberOfFrames=2, PixelData=ROW.tobytes() + bytes(8))
    assert levels(frames) == [0, 62, 125, 255]
    first, second = (item(FrameVOILUTSequence=[item(WindowCenter=c, WindowWidth=2001)]) for c in (0.5, 9000))
    frames.PerFrameFunctionalGroupsSequence = [first, second]
    shift = item(**HOUNSFIELD, RescaleType="HU")
    frames.SharedFunctionalGroupsSequence = [item(PixelValueTransformationSequence=[shift])]
    assert levels(frames) == [0, 128, 255, 255]


def test_compressed() -> None:
    frame = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    rle = dataset(frame)
    rle.compress(RLELossless)
    assert levels(rle) == levels(dataset(frame))
    buffer = io.BytesIO()
    Image.fromarray((frame % 256).astype(np.uint8)).save(buffer, "JPEG2000", irreversible=False, no_jp2=True)
    jpeg2000 = dataset((frame % 256).astype(np.uint8), JPEG2000Lossless, PixelData=encapsulate([buffer.getvalue()]))
    jpeg2000["PixelData"].VR = "OB"
    assert levels(jpeg2000) == (frame % 256).ravel().tolist()


def test_floats() -> None:
    data = dataset(ROW)
    data.FloatPixelData = np.array([[0, 0.5, 1, 0.25]], "<f4").tobytes()
    data.BitsAllocated = 32
    del data.PixelData, data.BitsStored, data.HighBit, data.PixelRepresentation
    assert levels(data) == [0, 128, 255, 64]


def test_a_file_without_an_image_is_refused() -> None:
    data = dataset(ROW)
    del data.PixelData
    with pytest.raises(OSError, match="it is a DICOM file without an image"):
        levels(data)


def test_a_data_set_of_dicom(cli: Cli, small: list[str], tmp_path: Path) -> None:
    for k, name in enumerate("ab"):
        (tmp_path / "scans" / name).mkdir(parents=True)
        for i in range(8):
            content = file_of(dataset(np.full((16, 16), 2000 * k + 100 * i, np.uint16)))
            (tmp_path / "scans" / name / (f"{i}.dcm" if i % 2 else f"IM{i}")).write_bytes(content)
    (tmp_path / "scans" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    done = cli("train", *small, "--data", "scans", "--out", "run")
    assert done.exit_code == 0, done.output
    gan = GAN.from_pretrained(tmp_path / "run")
    assert (gan.shape.channels, gan.class_names) == (1, ["a", "b"])
    scan = tmp_path / "scans" / "b" / "7.dcm"
    assert gan.prepare(scan).unique().item() == pytest.approx(round(2700 * 255 / 4095) / 127.5 - 1)
    assert cli("classify", "run", scan).exit_code == 0


def test_without_pydicom_it_says_what_to_install(
    cli: Cli, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "0.dcm").write_bytes(file_of(dataset(ROW)))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MissingExtra):
        open_picture(tmp_path / "scans" / "0.dcm")
    done = cli("train", *small, "--data", "scans", "--ssl", "none")
    assert done.exit_code == 1
    assert done.stderr.startswith(
        "error: image scans/0.dcm: DICOM images require pydicom: pip install 'torch-ganzoo[med"
    )

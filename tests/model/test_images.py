"""Images that a model is given are prepared as in training, and refused where they cannot be meant."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image, ImageDraw

import ganzoo
from ganzoo import GAN, ImageShape
from ganzoo.base.pictures import from_uint8
from ganzoo.base.preparation import Preparation
from ganzoo.errors import BadData, CorruptFile, Incompatible, Notice
from ganzoo.report.demo import Demo
from ganzoo.sampling import by_class, interpolate, project
from ganzoo.sampling.codes import Codes
from tests.conftest import SMALL

Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def gan() -> GAN:
    """A conditional classifier of the letters a to k, untrained."""
    config = ganzoo.configure(values={**SMALL, "gen.conditional": True, "ssl": "kplus1"})
    torch.manual_seed(0)
    return GAN.build(config, ImageShape(1, 16, 16, 3), class_names=["cat", "dog", "2"]).copy()


# --- transparency -----------------------------------------------------------------------------------------------------


@pytest.fixture
def drawing() -> Image.Image:
    """A black line on nothing."""
    picture = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    ImageDraw.Draw(picture).line([(32, 8), (32, 56)], fill=(0, 0, 0, 255), width=8)
    return picture


def test_a_drawing_on_nothing_is_one_on_white(gan: GAN, drawing: Image.Image) -> None:
    paper = Image.new("L", (64, 64), 255)
    ImageDraw.Draw(paper).line([(32, 8), (32, 56)], fill=0, width=8)
    expected = gan.prepare(paper)
    assert torch.equal(gan.prepare(drawing), expected)
    assert expected.max() == 1
    assert expected.min() < 0
    assert torch.equal(gan.classify(drawing), gan.classify(paper))
    assert torch.equal(gan.score(drawing), gan.score(paper))

    classifier = GAN.build(ganzoo.configure(values={**SMALL, "ssl": "supervised"}), gan.shape)  # projects nothing
    seen = [Demo(classifier).analyse(picture, False)[0] for picture in (drawing, {"composite": drawing}, paper)]
    assert all(np.array_equal(picture, seen[0]) for picture in seen)


def test_a_model_of_four_channels_keeps_transparency(drawing: Image.Image) -> None:
    config = ganzoo.configure(values=SMALL)
    four = GAN.build(config, ImageShape(4, 16, 16, 3))
    x = four.prepare(drawing)
    assert x[0, :, 0, 0].tolist() == [1, 1, 1, -1]
    assert x[0, :, 8, 8].tolist() == [-1, -1, -1, 1]


# --- range ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Two classes of 12-bit images in files of 16 bits."""
    for k, name in enumerate("ab"):
        (tmp_path / "scans" / name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(np.full((16, 16), 2000 * k + 100 * i, np.uint16)).save(
                tmp_path / "scans" / name / f"{i}.tif"
            )
    return tmp_path / "scans"


@pytest.mark.parametrize("memory", [2**31, 1])
def test_the_range_of_a_run_is_that_of_its_model(
    cli: Cli, small: list[str], scans: Path, tmp_path: Path, memory: int
) -> None:
    words = [*small, "--data", scans, "--set", f"data.memory={memory}", "--set", "data.workers=0"]
    done = cli("train", *words, "--set", "data.range=[0,4095]", "--out", "run")
    assert done.exit_code == 0, done.output
    assert "dark" not in done.stderr
    scan, expected = scans / "b" / "3.tif", round(2300 * 255 / 4095) / 127.5 - 1
    gan = GAN.from_pretrained(tmp_path / "run")
    assert gan.preparation == Preparation("crop", (0, 4095))
    assert gan.prepare(scan).unique().item() == pytest.approx(expected)
    gan.save(tmp_path / "again")
    assert GAN.from_pretrained(tmp_path / "again").prepare(scan).unique().item() == pytest.approx(expected)
    assert cli("train", *words, "--set", "data.range=[0,4095]", "--out", "run").exit_code == 0
    refused = cli("train", *words, "--set", "data.range=[0,1000]", "--out", "run")
    assert refused.exit_code == 1
    assert "data.range: [0.0, 4095.0] → [0.0, 1000.0]" in refused.stderr
    assert cli("train", *words, "--from", "again", "--out", "more").exit_code == 0
    assert GAN.from_pretrained(tmp_path / "more").preparation == gan.preparation


def test_without_a_range_dark_scans_are_told_of(cli: Cli, small: list[str], scans: Path, tmp_path: Path) -> None:
    done = cli("train", *small, "--data", scans, "--out", "run")
    assert done.stderr.count("65535 is white; if they have fewer bits, as 12, set the range") == 1
    assert json.loads((tmp_path / "run" / "model" / "config.json").read_text())["range"] is None


def test_floats_beyond_the_range_are_refused_with_the_setting(cli: Cli, small: list[str], tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for i in range(6):
        Image.fromarray(np.full((16, 16), 40.0 * i, np.float32)).save(tmp_path / "set" / f"{i}.tif")
    words = [*small, "--data", "set", "--ssl", "none"]
    done = cli("train", *words)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(
        "error: image set/1.tif: its values, 40 to 40, are not all within 0 … 1, the range of"
    )
    assert done.stderr.endswith("--set data.range=[low,high]\n")
    assert cli("train", *words, "--set", "data.range=[0,255]").exit_code == 0


@pytest.mark.parametrize(
    "value", ["[1,1]", "[2,1]", "[0]", "[0,1,2]", "[0,.inf]", "[.nan,1]", "[a,b]", "7", "[true,2]"]
)
def test_what_is_no_range_is_refused(cli: Cli, value: str) -> None:
    done = cli("train", "--dry-run", "--set", f"data.range={value}")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "configuration key 'data.range" in done.stderr


def test_the_range_of_a_model_folder_is_read_strictly(gan: GAN, tmp_path: Path) -> None:
    gan.save(tmp_path / "m")
    config = tmp_path / "m" / "config.json"
    values = json.loads(config.read_text())
    for range_ in ([1, 1], [2, 1], [0], [0, 1, 2], ["0", "1"], "x", {"a": 1}, [0, 1e301], [0, 10**400], [None, 1], 7):
        config.write_text(json.dumps(values | {"range": range_}))
        with pytest.raises(CorruptFile, match=r"config.json (does not describe a model|cannot be read)"):
            GAN.from_pretrained(tmp_path / "m")
    config.write_text(json.dumps(values)[:-1] + ', "range": [NaN, 1]}')
    with pytest.raises(CorruptFile):
        GAN.from_pretrained(tmp_path / "m")
    config.write_text(json.dumps(values | {"range": [0, 4095]}))
    assert GAN.from_pretrained(tmp_path / "m").preparation.range == (0, 4095)
    del values["range"]  # as in folders of earlier versions
    config.write_text(json.dumps(values | {"fit": "pad"}))
    assert GAN.from_pretrained(tmp_path / "m").preparation == Preparation("pad")


# --- tensors ----------------------------------------------------------------------------------------------------------

X = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (X * 255, r"in \[-1, 1\], and these have values from 0.\d+ to 25\d.*; from \[0, 255\], x / 127.5 - 1 converts"),
        (X * 1.1, r"; from \[0, 1\], x \* 2 - 1 converts them"),
        (X * 4 - 2, "values from -1.9.* to 1.9.*; scale them, or clamp them"),
        (X * 1e4, "scale them"),
        (torch.where(X > 0.5, torch.nan, X), "not finite numbers"),
        (torch.where(X > 0.5, -torch.inf, X), "not finite numbers"),
    ],
)
def test_floats_of_another_range_are_refused(gan: GAN, images: torch.Tensor, said: str) -> None:
    for method in (gan.classify, gan.score, gan.prepare):
        with pytest.raises(BadData, match=said):
            method(images)
    with pytest.raises(BadData, match=said):
        project(gan, images.half(), steps=1) if images.max() > 1e3 else project(gan, images, steps=1)


def test_floats_that_may_be_in_0_to_1_are_warned_of(gan: GAN) -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        for _ in range(3):
            gan.classify(X)
            gan.classify((X * 255).round() / 255)
    assert [w.category for w in found] == [Notice]
    assert r"from [0, 1], x * 2 - 1 converts them" in str(found[0].message)


def test_bright_images_and_rounding_are_no_reason_to_warn(gan: GAN) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        gan.classify(torch.ones(2, 1, 16, 16))
        gan.classify(from_uint8(torch.randint(128, 256, (4, 1, 16, 16), dtype=torch.uint8)))
        gan.classify(X * 2.0005 - 1)
        gan.classify((X * 2 - 1).bfloat16())
        gan.classify(X[:0])
        assert gan.prepare([]).shape == (0, 1, 16, 16)


@pytest.mark.parametrize("images", [X.numpy(), [X[0], X[1]], None, [3]])
def test_what_is_no_image_is_refused(gan: GAN, images: object) -> None:
    with pytest.raises(
        BadData, match=r"images are a tensor \[B, C, H, W\], PIL images or paths, not (ndarray|T|N|int)"
    ):
        gan.classify(images)  # type: ignore[arg-type]


# --- classes by name --------------------------------------------------------------------------------------------------


def test_a_class_can_be_named(gan: GAN) -> None:
    assert gan.labels(3, "dog").tolist() == [1, 1, 1]
    assert gan.labels(3, ["dog", "2", 0]).tolist() == [1, 2, 0], "text is a name, also where it could be a number"
    assert torch.equal(gan.sample(2, y="dog", seed=1), gan.sample(2, y=1, seed=1))
    assert torch.equal(gan.sample(2, y=["2", "cat"], seed=1), gan.sample(2, y=[2, 0], seed=1))
    named, numbered = (by_class(gan, 2, classes=classes) for classes in (["2", "cat"], [2, 0]))
    assert torch.equal(torch.stack(named), torch.stack(numbered))
    assert Codes.of_seeds(gan, [0, 1], "dog").labels.tolist() == [1, 1]  # type: ignore[union-attr]
    t = torch.linspace(0, 1, 2)
    assert torch.equal(interpolate(gan, (0, 1), t, "dog"), interpolate(gan, (0, 1), t, 1))
    assert project(gan, X[:1] * 2 - 1, y="dog", steps=1).labels.tolist() == [1]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ("dgo", "no class is called 'dgo'; did you mean 'dog'[?] Classes: cat, dog, 2"),
        (["cat", "bird", "cat"], "no class is called 'bird'. Classes: cat, dog, 2"),
        ("0", "no class is called '0'. Classes"),
        (3, "classes are 0 to 2, not 3"),
        (-1, "classes are 0 to 2, not -1"),
        ([0, 1], r"y=\[0, 1\] does not say the classes of 3 images; give one for all or one for each"),
        (1.5, "classes are whole numbers or names, not 1.5"),
        (True, "whole numbers or names, not True"),
        ([[0], [1, 2]], "whole numbers or names"),
        ({"cat": 1}, "whole numbers or names"),
    ],
)
def test_no_such_class(gan: GAN, y: object, said: str) -> None:
    with pytest.raises(Incompatible, match=said):
        gan.sample(3, y=y)  # type: ignore[arg-type]


def test_no_such_class_of_several(gan: GAN) -> None:
    for classes in (["bird"], [7]):
        with pytest.raises(Incompatible, match="class"):
            by_class(gan, 1, classes=classes)

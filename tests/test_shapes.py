"""Images that are not square: every network says which it can do, and all that is made of images follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import Result
from ganzoo_zoo.augments.pipeline import for_aspect_ratio, rotation
from ganzoo_zoo.layers import base_grid
from PIL import Image

import ganzoo
from ganzoo import GAN, Component, ImageShape, configure, create
from ganzoo.data.views import bend, blank, shift
from ganzoo.errors import Incompatible
from ganzoo.training import Trainer, assemble
from tests.conftest import STRATEGIES, needs

Cli = Callable[..., Result]
SMALL = {"width": 4, "hidden": 8, "w_dim": 8, "z_dim": 8, "z_chunk": 4}
RECTANGULAR = [
    (r.kind, r.component.name)
    for kind in ("generator", "discriminator")
    for r in ganzoo.list_components(kind)
    if r.component.rectangular != "no"
]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of wide images: a bright left or right half."""
    rng = np.random.default_rng(0)
    for label in range(2):
        for i in range(12):
            pixels = rng.integers(0, 60, (40, 60, 3), dtype=np.uint8)
            pixels[:, 30 * label : 30 * label + 30] += 150
            path = tmp_path / "photos" / "lr"[label] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return tmp_path / "photos"


def options(kind: str, name: str) -> dict[str, object]:
    from ganzoo.registry import installed, options_of

    known = {o.name for o in options_of(installed().get(kind, name).component.load())}
    small = SMALL | ({"hidden": [8, 8]} if kind == "discriminator" else {})
    return {key: value for key, value in small.items() if key in known}


def test_what_the_issue_of_shapes_asks_for_is_there() -> None:
    generators = {name for kind, name in RECTANGULAR if kind == "generator"}
    assert {"mlp", "dcgan", "sngan", "stylegan2"} <= generators
    trunks = {name for kind, name in RECTANGULAR if kind == "discriminator"}
    assert trunks == {r.component.name for r in ganzoo.list_components("discriminator")}


@pytest.mark.parametrize(("kind", "name"), RECTANGULAR)
@pytest.mark.parametrize("size", [(32, 48), (48, 32), (16, 16)])
def test_a_network_of_that_shape(kind: str, name: str, size: tuple[int, int]) -> None:
    shape = ImageShape(3, *size, 4)
    full = "timm/test_resnet" if name == "timm" else name
    network = create(kind, full, shape, **options(kind, full)).eval()
    x = torch.rand(2, *shape.dimensions) * 2 - 1
    with torch.no_grad():
        if kind == "generator":
            z = torch.randn(2, network.z_dim)
            assert network(z).shape == x.shape
        else:
            assert network(x).shape == (2, network.num_features)


def test_a_base_grid_doubles_to_the_image() -> None:
    for size, grid in (((64, 96), (4, 6, 4)), ((48, 48), (6, 6, 3)), ((28, 28), (7, 7, 2)), ((8, 40), (4, 20, 1))):
        assert base_grid(ImageShape(3, *size, 0)) == grid
    for size in ((64, 90), (7, 7), (4, 8), (30, 30)):
        with pytest.raises(Incompatible, match=f"{size[0]}×{size[1]}"):
            base_grid(ImageShape(3, *size, 0))


def test_components_say_what_they_can_do() -> None:
    doubling = Component("x", "a:b", sizes=(16, 32, 64), rectangular="doubling")
    assert [doubling.supports(*s) for s in ((16, 16), (16, 24), (64, 96), (28, 28), (48, 48))] == [True] * 5
    assert [doubling.supports(*s) for s in ((8, 8), (8, 16), (30, 30), (64, 90), (128, 128))] == [False] * 5
    square = Component("x", "a:b", sizes=(16,))
    assert [square.supports(*s) for s in ((16, 16), (16, 32), (32, 32))] == [True, False, False]
    assert Component("x", "a:b").supports(5, 5)
    assert not Component("x", "a:b").supports(5, 6)
    assert Component("x", "a:b", rectangular="any").supports(5, 6)
    assert (doubling.supported_sizes, square.supported_sizes) == (
        "16, 32, 64, and sides between or beside them that halve evenly, as 48 or 64×96",
        "16, square",
    )


@pytest.mark.parametrize("ssl", STRATEGIES)
def test_every_strategy_trains_on_them(ssl: str, photos: Path) -> None:
    values = {"ssl": ssl, "data.source": str(photos), "data.size": "16x24", "gen.width": 4, "disc.width": 4}
    values |= {"disc.norm": "none", "batch_size": 4, "steps": 2, "precision": "fp32", **needs(ssl)}
    trainer = Trainer(assemble(configure(values=values)))
    trainer.train_step()
    assert all(np.isfinite(value) for value in trainer._metrics().values())


@pytest.mark.parametrize("augment", ["ada", "apa", "diffaugment", "instance-noise"])
def test_augmentations_keep_the_shape(augment: str, photos: Path) -> None:
    chosen = {"name": augment, **({"start": 1.0} if augment in ("ada", "apa") else {})}
    values = {"augment": chosen, "data.source": str(photos), "data.size": "16x24", "gen.width": 4, "disc.width": 4}
    values |= {"data.shift": 3, "data.flip": True, "data.zoom": 0.1, "data.elastic": 0.1, "ssl": "fixmatch"}
    trainer = Trainer(assemble(configure(values={**values, "disc.norm": "none", "batch_size": 4, "steps": 2})))
    trainer.train_step()


def test_turning_is_about_pixels_and_not_about_halves_of_the_sides() -> None:
    """A quarter turn maps a bar of 20×2 pixels to one of 2×20 in an image of 32×48."""
    x = torch.zeros(1, 1, 32, 48)
    x[:, :, 15:17, 14:34] = 1
    quarter = torch.tensor([torch.pi / 2])
    grid = F.affine_grid(for_aspect_ratio(rotation(quarter)[:, :2], 32, 48), list(x.shape), align_corners=False)
    turned = F.grid_sample(x, grid, align_corners=False)
    wanted = torch.zeros(1, 1, 32, 48)
    wanted[:, :, 6:26, 23:25] = 1
    torch.testing.assert_close(turned, wanted, atol=1e-4, rtol=0)


def test_views_keep_angles_and_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    x = torch.ones(64, 1, 16, 40)
    hidden = (blank(x, 0.5) == 0).float()
    rows, columns = hidden.amax(3).sum(2), hidden.amax(2).sum(2)
    inside = (rows > 0) & (columns > 0)
    assert (rows[inside] <= 8).all()
    assert (columns[inside] <= 8).all()
    assert shift(x, 5).shape == bend(x, 1.0, 0.1, 0.1).shape == x.shape


def test_a_run_from_the_command_line(photos: Path, cli: Cli, tmp_path: Path) -> None:
    words = ["--data", photos, "--size", "32x48", "--steps", 2, "--batch-size", 4, "--ssl", "kplus1"]
    words += ["--set", "gen.width=4", "--set", "disc.width=4", "--set", "disc.norm=none", "--precision", "fp32"]
    done = cli("train", *words, "--out", "r")
    assert done.exit_code == 0, done.output
    assert "32×48 RGB" in done.output
    grid = Image.open(tmp_path / "r" / "samples" / "000002.png")
    assert grid.width > grid.height
    gan = GAN.from_pretrained(tmp_path / "r")
    assert gan.shape == ImageShape(3, 32, 48, 2)
    assert gan.sample(2, seed=0).shape == (2, 3, 32, 48)
    assert gan.classify(next(photos.glob("*/*.png"))).shape == (1, 2)
    for words in (
        ("sample", "r", "--out", "s.png"), ("sample", "r", "--interpolate", 0, 1, "--out", "w.gif"),
        ("sample", "r", "--format", "parquet", "-n", 4, "--out", "set"), ("card", "r"), ("report", "r"),
        ("evaluate", "r", "--metrics", "fid", "--extractor", "classifier", "--set", "extractor.steps=2", "-n", 20),
        ("project", "r", next(photos.glob("*/*.png")), "--steps", 2), ("directions", "r", "-n", 2),
        ("train", "--from", "r", "--data", photos, "--steps", 1, "--batch-size", 4, "--out", "again"),
    ):  # fmt: skip
        done = cli(*words)
        assert done.exit_code == 0, (words, done.output, done.exception)
    assert "32×48" in (tmp_path / "r" / "report.html").read_text()
    assert json.loads((tmp_path / "again" / "config.json").read_text())["data"]["size"] == "32x48"


def test_a_network_that_cannot_is_refused_with_what_it_can(photos: Path, cli: Cli) -> None:
    done = cli("train", "--gen", "conv-small", "--data", photos, "--size", "32x48")
    assert "generator 'zoo/conv-small' cannot do images of 32×48; it can do 16, 24, 32" in done.stderr
    done = cli("train", "--data", photos, "--size", "30x48")
    assert "generator 'zoo/dcgan' cannot do images of 30×48" in done.stderr
    assert "configuration key 'data.size' cannot be 'wide'" in cli("train", "--size", "wide").stderr

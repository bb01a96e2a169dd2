"""Looking into generators: every architecture, conditional or not, through the same tools."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result
from PIL import Image
from torch import nn

import ganzoo
from ganzoo import GAN, ImageShape
from ganzoo.config.resolve import configure
from ganzoo.config.schema import DataConfig
from ganzoo.data import open_source
from ganzoo.errors import CannotWrite, CorruptFile, Incompatible
from ganzoo.model.latents import space_of
from ganzoo.registry.discovery import installed
from ganzoo.sampling import Codes, by_class, find_directions, folder_name, interpolate, mp4, project, write_dataset
from tests.conftest import SMALL

Cli = Callable[..., Result]

SLIM = {
    "biggan": {"width": 4, "z_chunk": 4, "embedding": 8},
    "conv-small": {"width": 4},
    "dcgan": {"width": 4},
    "mlp": {"hidden": 16},
    "r3gan": {"width": 16, "cardinality": 2},
    "sngan": {"width": 8},
    "stylegan2": {"width": 8, "z_dim": 8, "w_dim": 12},
}
GENERATORS = [r.qualified for r in ganzoo.list_components("generator")]
SHAPE = ImageShape(1, 16, 16, 3)


def built(name: str, conditional: bool = False, **values: object) -> GAN:
    """An untrained model of a generator, in evaluation."""
    torch.manual_seed(0)
    options = SLIM.get(name.partition("/")[2], {})
    part = {"name": name, **options, "conditional": conditional}
    config = configure(values={"generator": part, "disc.width": 4, **values})
    return GAN.build(config, SHAPE, class_names=["a", "b", "c"]).copy()


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_can_be_looked_into(name: str, conditional: bool) -> None:
    gan = built(name, conditional)
    whole = gan.sample(6, seed=1)
    assert torch.equal(whole, gan.sample(6, seed=1, truncation=1.0))
    half, none = gan.sample(6, seed=1, truncation=0.5), gan.sample(6, seed=1, truncation=0.0)
    if conditional or name != "zoo/progan":  # which scales its latents to one length
        assert not torch.equal(half, whole)
    assert torch.allclose(none[0], none[3], atol=1e-5)  # of one class, where there are classes
    way = interpolate(gan, (4, 5), torch.linspace(0, 1, 3), truncation=0.8)
    assert torch.equal(way[0], gan.sample(1, seed=4, truncation=0.8)[0])
    assert torch.equal(way[-1], gan.sample(1, seed=5, truncation=0.8)[0])
    assert not torch.equal(way[1], way[0])
    for method in ("sefa", "pca"):
        found = find_directions(gan, 3, method)
        assert torch.allclose(found.vectors.norm(dim=1), torch.ones(3), atol=1e-4)
        assert bool((found.strength.diff() <= 1e-6).all())
        assert 0 < float(found.strength.sum()) <= 1 + 1e-5
        moved = found.walk(gan, 0, torch.tensor([0.0, 2.0]), seed=4)
        assert torch.allclose(moved[0], gan.sample(1, seed=4)[0], atol=1e-5)
        assert not torch.allclose(moved[1], moved[0])
    assert project(gan, whole[:2], steps=2).images.shape == (2, 1, 16, 16)


def test_sefa_finds_the_singular_vectors_of_the_first_layer() -> None:
    gan = built("zoo/dcgan", conditional=True)
    first = gan.networks["generator"].layers[0]
    z_dim = gan.networks["generator"].z_dim
    _, sizes, vectors = torch.linalg.svd(first.weight[:, :z_dim].double())
    found = find_directions(gan, 4)
    assert found.layer == "layers.0"
    assert torch.allclose((found.vectors.double() * vectors[:4]).sum(1).abs(), torch.ones(4).double(), atol=1e-4)
    share = sizes.square() / sizes.square().sum()
    assert torch.allclose(found.strength.double(), share[:4], atol=1e-5)


def test_sefa_sees_chunks_of_the_latent_and_styles() -> None:
    chunked = find_directions(built("zoo/biggan", conditional=True), 2)
    assert {"start.0", "blocks.0.norm1.gain"} <= set(chunked.layer.split(", "))
    styled = find_directions(built("zoo/stylegan2"), 2)
    assert styled.vectors.shape == (2, 12)  # in W
    assert "blocks.0.to_image.style" in styled.layer
    assert "mapping" not in styled.layer


class Planted(nn.Module):
    """Brightness follows one direction of the latent, and little else does."""

    z_dim = 5

    def __init__(self) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.tensor([3.0, 0.0, 4.0, 0.0, 0.0]) / 5)
        self.rest = nn.Linear(5, 256, bias=False)
        nn.init.normal_(self.rest.weight, 0, 0.001)

    def forward(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        flat = self.rest(z) + (z @ self.direction)[:, None]
        return flat.reshape(-1, 1, 16, 16).tanh()


def test_pca_finds_a_direction_that_was_planted() -> None:
    gan = built("zoo/dcgan")
    gan.networks["generator"] = nn.Sequential()  # a stand-in with the same door
    gan.networks["generator"] = planted = Planted()
    hidden = find_directions(gan, 2, "pca", layer="rest")
    assert float((hidden.vectors[0] @ planted.direction).abs()) < 0.99  # that layer does not see it
    planted.body = nn.Linear(256, 256)
    nn.init.eye_(planted.body.weight)
    planted.forward = lambda z, y=None: planted.body(planted.rest(z) + (z @ planted.direction)[:, None]).reshape(
        -1, 1, 16, 16
    )
    seen = find_directions(gan, 2, "pca", layer="body")
    assert float((seen.vectors[0] @ planted.direction).abs()) > 0.999
    assert float(seen.strength[0]) > 0.99


def test_truncation_of_latents_that_are_not_normal() -> None:
    space = space_of(built("zoo/mlp").networks["generator"])
    z = torch.rand(4, 100)
    assert torch.allclose(space.truncate(z, 0.0), torch.full((4, 100), 0.5), atol=0.02)
    assert torch.equal(space.truncate(z, 1.0), z)


def test_the_way_between_normal_latents_keeps_their_length() -> None:
    space = space_of(built("zoo/dcgan").networks["generator"])
    one, other = torch.randn(2, 100).double()
    one, other = one / one.norm(), other / other.norm()
    way = space.between(one, other, torch.linspace(0, 1, 9))
    assert torch.allclose(way.norm(dim=1), torch.ones(9).double())
    angles = torch.arccos((way[1:] * way[:-1]).sum(1))
    assert torch.allclose(angles, angles[:1].expand(8), atol=1e-6)
    assert torch.equal(space.between(one, one, torch.tensor([0.5]))[0], one)
    for name, width in (("zoo/mlp", 100), ("zoo/stylegan2", 12)):
        straight = space_of(built(name).networks["generator"])
        one, other = torch.rand(2, width)
        assert torch.allclose(straight.between(one, other, torch.tensor([0.5]))[0], (one + other) / 2)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("name", ["zoo/dcgan", "zoo/stylegan2"])
def test_what_was_found_is_read_back(name: str, conditional: bool, tmp_path: Path) -> None:
    gan = built(name, conditional)
    found = project(gan, gan.sample(3, seed=7), steps=1)
    Codes(found.codes, found.labels).write(tmp_path / "a" / "l.safetensors")
    read = Codes.read(tmp_path / "a" / "l.safetensors", gan)
    assert torch.allclose(torch.cat([*read.images(gan)]), found.images, atol=1e-5)
    same = read.pick([2, 2])
    assert torch.equal(*interpolate(gan, same, torch.tensor([0.0, 1.0])))
    seeds = Codes.of_seeds(gan, [4, 5], 1 if conditional else None)
    t = torch.linspace(0, 1, 3)
    assert torch.equal(interpolate(gan, seeds, t), interpolate(gan, (4, 5), t, 1 if conditional else None))
    if conditional:
        seeds.labels[1] = 0
        with pytest.raises(Incompatible, match="between the classes b and a; choose two latents of one class"):
            interpolate(gan, seeds, t)


def test_latents_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    gan, told, path = built("zoo/dcgan"), built("zoo/dcgan", True), tmp_path / "l.safetensors"
    codes, labels = torch.zeros(2, 100), torch.tensor([0, 2])
    for made, model, error, wrong in (
        (Codes(torch.zeros(2, 7), None), gan, Incompatible, "of 7 dimensions, but those of this model have 100"),
        (Codes(codes, None), told, Incompatible, "with no classes, but the generator of this model is conditional"),
        (Codes(codes, labels), gan, Incompatible, "with classes, but the generator of this model is unconditional"),
        (Codes(codes, labels + 1), told, Incompatible, "classes are 0 to 2"),
        (Codes(codes, labels[:1]), told, CorruptFile, "not have one class for each"),
        (Codes(codes * torch.nan, None), gan, CorruptFile, "not finite numbers"),
        (Codes(codes[0], None), gan, CorruptFile, "has no latents; write some with: ganzoo project MODEL IMAGE"),
    ):
        made.write(path)
        with pytest.raises(error, match=wrong):
            Codes.read(path, model)


def test_a_film_is_what_was_drawn() -> None:
    av = pytest.importorskip("av", reason="no PyAV: pip install 'torch-ganzoo[video]'")
    for channels, size in ((1, 16), (3, 65)):
        ramp = torch.linspace(-1, 1, size).expand(channels, size, size)
        images = torch.stack([ramp, -ramp, ramp.transpose(1, 2)])
        with av.open(io.BytesIO(mp4(images))) as film:
            stream = film.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert float(stream.average_rate) == pytest.approx(1000 / 60, rel=1e-3)
            shown = [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in film.decode(stream)]
        assert len(shown) == 3
        for image, frame in zip(images, shown, strict=True):
            side = frame.shape[0]
            assert frame.shape == (side, side, 3)
            assert side in (128, 64)
            wanted = nn.functional.interpolate(image[None], (side, side))[0].expand(3, -1, -1)
            assert float((frame.permute(2, 0, 1) / 127.5 - 1 - wanted).abs().mean()) < 0.05


def test_a_generated_image_is_found_again() -> None:
    gan = built("zoo/dcgan")
    with torch.no_grad():
        for weight in gan.networks["generator"].parameters():
            weight.mul_(3)  # an untrained one makes grey images
    images = gan.sample(2, seed=77)
    found = project(gan, images)
    assert float(found.psnr.min()) >= 30
    again = space_of(gan.networks["generator"]).images(found.codes, None)
    assert torch.allclose(again, found.images, atol=1e-5)
    short = project(gan, images, steps=1)
    assert float(short.psnr.max()) < 30


def test_a_conditional_model_finds_the_class_too() -> None:
    gan = built("zoo/dcgan", conditional=True)
    with torch.no_grad():
        gan.networks["generator"].layers[0].weight[:, -3:] *= 200
    images = gan.sample(3, y=[2, 0, 1], seed=9)
    assert project(gan, images, steps=5).labels.tolist() == [2, 0, 1]
    assert project(gan, images, y=1, steps=1).labels.tolist() == [1, 1, 1]


def test_classes_of_a_generator_that_is_told_none() -> None:
    gan = built("zoo/dcgan", ssl="kplus1")
    found = by_class(gan, 4)
    for k, images in enumerate(found):
        assert len(images) <= 4
        assert bool((gan.classify(images).argmax(1) == k).all()) if len(images) else True
    assert sum(map(len, found)) >= 4
    told = built("zoo/dcgan", conditional=True)
    rows = by_class(told, 4, seed=3)
    assert torch.allclose(rows[1], told.sample(4, y=1, seed=3), atol=1e-5)
    with pytest.raises(Incompatible, match="trains no classifier"):
        by_class(built("zoo/dcgan", ssl="none"), 1)
    with pytest.raises(Incompatible, match="no generator"):
        by_class(built("zoo/dcgan", ssl="supervised"), 1)


def test_a_data_set_is_read_as_it_was_made(tmp_path: Path) -> None:
    gan = built("zoo/dcgan", conditional=True)
    write_dataset(gan, tmp_path / "made", 7, seed=2, truncation=0.9)
    source = open_source(DataConfig(source=str(tmp_path / "made")), installed())
    assert source.class_names == ["a", "b", "c"]
    assert source.train.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    images = gan.prepare([source.train.image(i) for i in range(7)])
    assert float((images - gan.sample(7, seed=2, truncation=0.9)).abs().max()) <= 1 / 255 + 1e-6
    with pytest.raises(CannotWrite, match="not an empty folder"):
        write_dataset(gan, tmp_path / "made", 7)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["made"]


def test_a_large_data_set_has_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganzoo.sampling.write.SHARD", 4)
    gan = built("zoo/dcgan")
    write_dataset(gan, tmp_path / "made", 10)
    assert len([*(tmp_path / "made" / "data").iterdir()]) == 3
    source = open_source(DataConfig(source=str(tmp_path / "made")), installed())
    assert len(source.train) == 10
    images = gan.prepare([source.train.image(i) for i in range(10)])
    assert float((images - gan.sample(10, seed=0)).abs().max()) <= 1 / 255 + 1e-6


def test_names_of_classes_do_not_leave_the_folder() -> None:
    names = ["cat", "a b", "../up", "a/b", "", ".", "..", "con\n"]
    assert [folder_name(k, n) for k, n in enumerate(names)] == ["cat", "a b", *(f"class {k}" for k in range(2, 8))]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "told"
    ganzoo.train({**SMALL, "gen.conditional": True}, folder)
    return folder


def test_commands(run: Path, cli: Cli, tmp_path: Path) -> None:
    assert cli("sample", run, "--interpolate", 3, 8, "--class", 2, "-n", 5, "--out", "way").exit_code == 0
    assert cli("sample", run, "-n", 1, "--class", 2, "--seed", 3, "--out", "first").exit_code == 0
    ends = [(tmp_path / f).read_bytes() for f in ("way/000000.png", "first/000000.png")]
    assert ends[0] == ends[1]
    assert cli("sample", run, "--interpolate", 3, 8, "-n", 6, "--out", "way.gif").exit_code == 0
    assert Image.open("way.gif").n_frames == 6
    assert cli("sample", run, "--interpolate", 3, 8, "-n", 6, "--out", "way.mp4").exit_code == 0
    assert (tmp_path / "way.mp4").read_bytes()[4:8] == b"ftyp"
    assert cli("sample", run, "--per-class", "-n", 3, "--out", "classes.png").exit_code == 0
    assert Image.open("classes.png").size == ((3 * 18 + 2) * 4, (10 * 18 + 2) * 4)
    assert cli("sample", run, "--per-class", "-n", 2, "--out", "classes").exit_code == 0
    assert open_source(DataConfig(source="classes"), installed()).train.labels.tolist() == sorted([*range(10)] * 2)
    assert cli("sample", run, "--format", "parquet", "-n", 20, "--out", "made").exit_code == 0
    assert len(open_source(DataConfig(source="made"), installed()).train) == 20
    told = json.loads(
        cli("project", run, "way/000000.png", "--steps", 2, "--json", "--latents", "l.safetensors").output
    )
    assert told["images"][0]["psnr"] > 5
    assert cli("sample", run, "--latents", "l.safetensors", "--out", "found").output == (
        "1 image of l.safetensors: found\n"
    )
    assert cli("sample", run, "--latents", "l.safetensors", "--interpolate", 0, 0, "-n", 2).output == (
        "2 images of l.safetensors 0 to 0: told-l-0-0.png\n"
    )
    assert Image.open("told-l-0-0.png").size == ((2 * 18 + 2) * 4, (18 + 2) * 4)
    assert Image.open(told["picture"]).size[1] > Image.open(told["picture"]).size[0]
    assert "2 directions" in cli("directions", run, "-n", 2, "--class", "7").output
    assert (tmp_path / "told-directions-sefa.png").is_file()


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("sample", "--class", "cat"), "no class is called 'cat'"),
        (("sample", "--per-class", "--class", "3"), "--per-class and --class cannot be combined"),
        (("sample", "--interpolate", "1", "2", "--format", "parquet"), "cannot be combined"),
        (("sample", "--out", "a.gif"), "give a .png file for one picture"),
        (("sample", "--format", "parquet", "--out", "a.png"), "give a folder"),
        (("sample", "--interpolate", "1", "2", "--out", "a.avi"), "a .gif or .mp4 file for an animation"),
        (("sample", "--latents", "absent.safetensors"), "absent.safetensors cannot be read as safetensors"),
        (("sample", "--latents", "damaged.png"), "damaged.png cannot be read as safetensors"),
        (("sample", "--latents", "l", "-n", "3"), "--latents and -n cannot be combined"),
        (("sample", "--latents", "l", "--per-class"), "--latents and --per-class cannot be combined"),
        (("project", "damaged.png"), "image damaged.png cannot be read"),
        (("project", "absent.png"), "image absent.png cannot be read"),
        (("project", "damaged.png", "--out", "a.jpg"), "give a .png file"),
        (("directions", "--layer", "layers.0"), "a layer can only be given for the method pca"),
        (("directions", "--method", "pca", "--layer", "laiers.3"), "did you mean 'layers.7'?"),
    ],
)
def test_mistakes_are_one_sentence(run: Path, cli: Cli, tmp_path: Path, words: tuple[str, ...], wrong: str) -> None:
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    result = cli(words[0], run, *words[1:])
    assert result.exit_code == 1
    assert wrong in result.stderr
    assert "Traceback" not in result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["damaged.png"]


@pytest.mark.parametrize("words", [("sample",), ("project", "x.png"), ("directions",), ("sample", "--per-class")])
def test_a_model_without_generator_says_so(cli: Cli, tmp_path: Path, words: tuple[str, ...]) -> None:
    built("zoo/dcgan", ssl="supervised").save(tmp_path / "m")
    Image.new("L", (16, 16)).save(tmp_path / "x.png")
    result = cli(words[0], tmp_path / "m", *words[1:])
    assert result.exit_code == 1
    assert "this model has no generator: it was trained with ssl 'zoo/supervised'" in result.stderr

"""Models: sampling, classifying, scoring, and a folder that is read strictly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from click.testing import Result
from PIL import Image

import ganzoo
from ganzoo import GAN
from ganzoo.errors import BadData, CannotWrite, CorruptFile, Incompatible
from tests.conftest import SMALL

Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of several sorts of model."""
    root = tmp_path_factory.mktemp("models")
    sorts = {
        "kplus1": {},
        "conditional": {"gen.conditional": True},
        "supervised": {"ssl": "supervised"},
        "none": {"ssl": "none"},
    }
    for name, values in sorts.items():
        ganzoo.train({**SMALL, **values}, root / name)
    Image.new("RGB", (40, 30), (200, 10, 10)).save(root / "photo.png")
    return root


def test_loaded_model_is_the_trained_one(folders: Path) -> None:
    trained = ganzoo.train(ganzoo.Config.load(folders / "kplus1" / "config.json"), folders / "kplus1")
    for path in (folders / "kplus1", folders / "kplus1" / "model"):
        gan = GAN.from_pretrained(path)
        assert torch.equal(gan.sample(5, seed=3), trained.sample(5, seed=3))
        x = torch.rand(3, 1, 16, 16) * 2 - 1
        assert torch.equal(gan.classify(x), trained.classify(x))
        assert torch.equal(gan.score(x), trained.score(x))
        assert not any(p.requires_grad for n in gan.networks.values() for p in n.parameters())
        assert gan.metadata["metrics"]["weights"] == "averaged"


def test_sampling(folders: Path) -> None:
    gan = GAN.from_pretrained(folders / "kplus1")
    x = gan.sample(300, seed=1)
    assert x.shape == (300, 1, 16, 16)
    assert float(x.abs().max()) <= 1
    assert torch.equal(x, gan.sample(300, seed=1))
    assert not torch.equal(x[:2], gan.sample(2))
    assert gan.sample(0).shape == (0, 1, 16, 16)
    with pytest.raises(Incompatible, match=r"gen.conditional=true"):
        gan.sample(1, y=3)


def test_conditional_sampling(folders: Path) -> None:
    gan = GAN.from_pretrained(folders / "conditional")
    assert torch.equal(gan.sample(3, y=[0, 1, 2], seed=0), gan.sample(3, seed=0))
    assert torch.equal(gan.sample(2, y=7, seed=0), gan.sample(2, y=torch.tensor([7, 7]), seed=0))
    with pytest.raises(Incompatible, match="classes are 0 to 9"):
        gan.sample(2, y=10)


def test_classifying_takes_tensors_pictures_and_paths(folders: Path) -> None:
    gan = GAN.from_pretrained(folders / "kplus1")
    photo = Image.open(folders / "photo.png")
    p = gan.classify([photo, folders / "photo.png", str(folders / "photo.png")])
    assert p.shape == (3, 10)
    assert torch.allclose(p.sum(1), torch.ones(3))
    assert torch.allclose(p[0], p[2])
    pixels = torch.randint(256, (2, 1, 16, 16), dtype=torch.uint8)
    assert torch.equal(gan.classify(pixels), gan.classify(pixels.float() / 127.5 - 1))
    with pytest.raises(BadData, match=r"this model takes \[B, 1, 16, 16\]"):
        gan.classify(torch.zeros(1, 3, 16, 16))
    assert torch.allclose(gan.classify(folders / "photo.png")[0], p[0])
    with pytest.raises(BadData, match="cannot be read"):
        gan.classify([folders / "absent.png"])
    with pytest.raises(BadData, match="uint8 in 0"):
        gan.classify(pixels.long())


def test_what_a_model_cannot_do_it_says(folders: Path) -> None:
    supervised, none = GAN.from_pretrained(folders / "supervised"), GAN.from_pretrained(folders / "none")
    assert "generator" not in supervised.networks
    with pytest.raises(Incompatible, match=r"no generator: it was trained with ssl 'zoo/supervised'"):
        supervised.sample(1)
    with pytest.raises(Incompatible, match="no generator"):
        supervised.score(torch.zeros(1, 1, 16, 16))
    with pytest.raises(Incompatible, match="trains no classifier"):
        none.classify(torch.zeros(1, 1, 16, 16))
    assert none.score(torch.zeros(1, 1, 16, 16)).shape == (1,)


def edit(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.fixture
def model(folders: Path, tmp_path: Path) -> Path:
    GAN.from_pretrained(folders / "kplus1").save(tmp_path / "m")
    return tmp_path / "m"


def test_saved_again_it_is_the_same(folders: Path, model: Path) -> None:
    names = {"config.json", "generator.safetensors", "discriminator.safetensors"}
    assert {p.name for p in model.iterdir()} == names | {"samples.png", "README.md"}
    for name in names:
        assert (model / name).read_bytes() == (folders / "kplus1" / "model" / name).read_bytes()


def test_damage_is_refused(model: Path) -> None:
    content = bytearray((model / "generator.safetensors").read_bytes())
    content[-1] ^= 1
    (model / "generator.safetensors").write_bytes(content)
    with pytest.raises(CorruptFile, match=r"generator.safetensors is missing or damaged"):
        GAN.from_pretrained(model)


@pytest.mark.parametrize("change", ["shape", "missing", "surplus"])
def test_other_tensors_are_refused(model: Path, change: str) -> None:
    import hashlib

    path = model / "discriminator.safetensors"
    tensors = safetensors.torch.load_file(path)
    name = next(iter(tensors))
    if change == "shape":
        tensors[name] = tensors[name][..., :1].clone()
    elif change == "missing":
        del tensors[name]
    else:
        tensors["surplus"] = torch.zeros(1)
    safetensors.torch.save_file(tensors, path)
    hashes = json.loads((model / "config.json").read_text())["sha256"]
    edit(model, sha256=hashes | {path.name: hashlib.sha256(path.read_bytes()).hexdigest()})
    with pytest.raises(CorruptFile, match={"shape": "has shape", "missing": "lacks", "surplus": "'surplus'"}[change]):
        GAN.from_pretrained(model)


def test_a_config_cannot_choose_what_is_imported(model: Path) -> None:
    components = json.loads((model / "config.json").read_text())["components"]
    for name in ("os:system", "ganzoo_zoo.generators.dcgan:Generator", "../../x", "--help", "dcgan"):
        edit(model, components=components | {"generator": {**components["generator"], "name": name}})
        with pytest.raises(CorruptFile, match=r"does not describe a model \(components.generator.name"):
            GAN.from_pretrained(model)


def test_newer_formats_and_strangers(model: Path, tmp_path: Path) -> None:
    edit(model, format=99, version="9.9")
    with pytest.raises(CorruptFile, match=r"pip install 'torch-ganzoo>=9.9'"):
        GAN.from_pretrained(model)
    edit(model, format=1, fit="x")
    with pytest.raises(CorruptFile, match="does not describe a model"):
        GAN.from_pretrained(model)
    edit(model, fit="crop", class_names=["one"])
    with pytest.raises(CorruptFile, match="names 1 classes, but its shape has 10"):
        GAN.from_pretrained(model)
    edit(model, library="other")
    with pytest.raises(CorruptFile, match="not a ganzoo model folder"):
        GAN.from_pretrained(model)
    (model / "config.json").write_text("{")
    with pytest.raises(CorruptFile, match="cannot be read as JSON"):
        GAN.from_pretrained(model)
    with pytest.raises(BadData, match="there is no run or model folder"):
        GAN.from_pretrained(tmp_path / "absent")
    with pytest.raises(CannotWrite, match="cannot write"):
        GAN.build(ganzoo.configure(values=SMALL), ganzoo.ImageShape(1, 16, 16, 10)).save("/dev/null/x")


def test_commands(folders: Path, cli: Cli, tmp_path: Path) -> None:
    run, photo = folders / "conditional", folders / "photo.png"
    assert cli("sample", run, "-n", 9, "--class", "3", "--out", "a.png").exit_code == 0
    assert cli("sample", run, "-n", 3, "--out", "many").exit_code == 0
    assert sorted(p.name for p in (tmp_path / "many").iterdir()) == ["000000.png", "000001.png", "000002.png"]
    assert Image.open(tmp_path / "many" / "000000.png").size == (16, 16)
    assert cli("sample", run).exit_code == 0
    assert (tmp_path / "conditional-samples-0.png").is_file()
    said = cli("classify", run, photo, photo).output.splitlines()
    assert len(said) == 2
    assert said[0].endswith(" %")
    told = json.loads(cli("classify", run, photo, "--json").output)
    assert sum(told[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert float(cli("score", run, photo).output.split()[-1]) == pytest.approx(
        json.loads(cli("score", run, photo, "--json").output)[0]["score"], abs=1e-3
    )
    for words, wrong in (
        (("sample", run, "--class", "cat"), "no class is called 'cat'"),
        (("classify", run, "absent.png"), "absent.png cannot be read"),
        (("score", folders / "supervised", photo), "no generator"),
        (("sample", run, "--out", "a.jpg"), "give a .png file"),
        (("sample", tmp_path / "nowhere"), "no run or model folder"),
    ):
        result = cli(*words)
        assert result.exit_code == 1
        assert wrong in result.stderr


def test_info_reads_the_component_itself(cli: Cli) -> None:
    said = cli("info", "generator/dcgan").output
    assert "3,576,704 at 64×64 RGB" in said
    assert "2,765,568 at 64×64 RGB" in cli("info", "discriminator/dcgan").output
    for word in (
        "zoo/dcgan",
        "arXiv:1511.06434",
        "16, 32, 64, 128, 256",
        "width = 64  (int)",
        "each earlier layer has twice",
    ):
        assert word in said
    told = json.loads(cli("info", "ssl/kplus1", "--json").output)
    assert {o["name"]: o["default"] for o in told["options"]}["distance"] == "l2"
    assert "steps: 1000" in cli("info", "preset/default").output
    assert (
        "write discriminator/dcgan or generator/dcgan" in cli("info", "dcgan").stderr
        or "several" in cli("info", "dcgan").stderr
    )
    assert "did you mean 'hinge'" in cli("info", "hinje").stderr


@pytest.mark.parametrize("words", [("plugins",), ("doctor",)])
def test_health(cli: Cli, words: tuple[str, ...]) -> None:
    result = cli(*words)
    assert result.exit_code == 0, result.output
    assert "torch-ganzoo" in result.output

"""Models are read from the Hub: whole or in part, from the cache, of one commit."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import ganzoo
from ganzoo import GAN, ImageShape
from ganzoo.errors import CorruptFile, Incompatible
from ganzoo.model.hub import contents
from ganzoo.model.outline import outlines
from ganzoo.registry.discovery import installed
from ganzoo.strategy.networks import HeadedNetwork
from tests.hub import Hub
from tests.model.hub.support import NETWORKS, Cli, X, check_refused, fetched, good, put, same

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=")


def test_a_published_model_is_the_trained_one(
    hub: Hub, runs: Path, cli: Cli, tmp_path: Path, fresh: Callable[[], None]
) -> None:
    shutil.copytree(runs / "first", tmp_path / "run")
    trained = GAN.from_pretrained(tmp_path / "run")
    said = good(cli("publish", "run", "alice/digits", "--message", "the first"))
    assert f"published {hub.url}/alice/digits" in said
    large = [n for n in contents(tmp_path / "run" / "model", "") if n.endswith((".safetensors", ".png"))]
    assert hub.count("PUT", "^/upload/alice/digits/") == len(large) > 2
    assert hub.count("POST", "/commit/") == 1
    asked = [h["Authorization"] for (_, path), h in zip(hub.requests, hub.headers, strict=True) if "/api/" in path]
    assert set(asked) == {"Bearer hf_alice"}
    shutil.rmtree(tmp_path / "run")
    fresh()
    sha = hub.repos["alice/digits"].branches["main"]
    for name in ("alice/digits", "hub:alice/digits", "alice/digits@main", f"alice/digits@{sha}"):
        gan = GAN.from_pretrained(name)
        assert same(gan, trained)
        assert gan.metadata["hub"] == {"name": "alice/digits", "commit": sha}
        assert gan.metadata["metrics"] == trained.metadata["metrics"]
        assert not any(p.requires_grad or n.training for n in gan.networks.values() for p in n.parameters())
    assert hub.count("GET", "/resolve/") == 3  # each file once
    assert fetched(hub) == {"config.json", *NETWORKS}


def test_what_is_there_is_neither_sent_nor_committed_again(hub: Hub, runs: Path, cli: Cli) -> None:
    good(cli("publish", runs / "first", "alice/digits"))
    before = list(hub.repos["alice/digits"].commits)
    hub.requests.clear()
    good(cli("publish", runs / "first", "alice/digits"))
    GAN.from_pretrained(runs / "first").save(runs / "again")
    shutil.copy(runs / "first" / "model" / "README.md", runs / "again")
    good(cli("publish", runs / "again", "alice/digits"))
    assert hub.count("PUT", "/upload/") == hub.count("POST", "/commit/") == 0
    assert list(hub.repos["alice/digits"].commits) == before


def test_nothing_is_sent_by_a_dry_run(hub: Hub, runs: Path, cli: Cli) -> None:
    said = good(cli("publish", runs / "first", "alice/digits", "--dry-run"))
    assert all(name in said for name in (*NETWORKS, "config.json", "README.md", "nothing was uploaded"))
    assert not hub.requests


def test_pull_makes_a_folder_that_loads(hub: Hub, runs: Path, cli: Cli, tmp_path: Path) -> None:
    old = put(hub, runs / "first")
    put_files = hub.repos["bob/gan"].commits[old]
    hub.repos["bob/gan"].commit({"config.json": b"{}"})
    good(cli("pull", f"hub:{'bob/gan'}", "--revision", old))
    assert {p.name: p.read_bytes() for p in (tmp_path / "gan").iterdir()} == {
        n: c for n, c in put_files.items() if n != ".gitattributes"
    }
    assert same(GAN.from_pretrained(tmp_path / "gan"), GAN.from_pretrained(runs / "first"))
    asked = len(hub.requests)
    check_refused(cli("pull", "bob/gan"), "gan already exists; choose another folder with --out")
    check_refused(cli("pull", "nonsense"), "write org/name")
    assert len(hub.requests) == asked


@pytest.mark.parametrize("by_hand", [False, True])
def test_half_the_bytes(hub: Hub, runs: Path, cli: Cli, fresh: Callable[[], None], by_hand: bool) -> None:
    trained = GAN.from_pretrained(runs / "first")
    if by_hand:
        trained.push_to_hub("alice/half", dtype="bf16")
    else:
        good(cli("publish", runs / "first", "alice/half", "--dtype", "bf16"))
    files = hub.repos["alice/half"].commits[hub.repos["alice/half"].branches["main"]]
    for name in NETWORKS:
        kept = safetensors.torch.load(files[name])
        assert {t.dtype for t in kept.values() if t.is_floating_point()} == {torch.bfloat16}
        assert len(files[name]) < 0.65 * (runs / "first" / "model" / name).stat().st_size  # headers stay
    assert json.loads(files["config.json"])["dtype"] == "bf16"
    assert "safetensors in bf16" in files["README.md"].decode()
    fresh()
    gan = GAN.from_pretrained("alice/half")
    for name, network in gan.networks.items():
        full = trained.networks[name].state_dict()
        for key, tensor in network.state_dict().items():
            assert tensor.dtype == full[key].dtype
            assert torch.equal(tensor, full[key].bfloat16().to(tensor.dtype) if tensor.is_floating_point() else tensor)
    assert torch.allclose(gan.classify(X), trained.classify(X), atol=0.02)


def test_one_network_alone(hub: Hub, runs: Path) -> None:
    put(hub, runs / "first")
    gan = GAN.from_pretrained("bob/gan", network="generator")
    assert fetched(hub) == {"config.json", "generator.safetensors"}
    assert torch.equal(gan.sample(4, seed=1), GAN.from_pretrained(runs / "first").sample(4, seed=1))
    for use in (gan.classify, gan.score):
        with pytest.raises(Incompatible, match=r"loaded without its discriminator \(network='generator'\)"):
            use(X)
    critic = GAN.from_pretrained("bob/gan", network="discriminator")
    assert torch.equal(critic.classify(X), GAN.from_pretrained(runs / "first").classify(X))
    with pytest.raises(Incompatible, match="loaded without its generator"):
        critic.sample(1)
    with pytest.raises(Incompatible, match="has no encoder"):
        GAN.from_pretrained("bob/gan", network="encoder")


def test_networks_that_are_not_asked_for_are_not_made(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory: list[bool] = []
    start = HeadedNetwork.__init__
    monkeypatch.setattr(
        HeadedNetwork, "__init__", lambda self, *parts: (start(self, *parts), memory.append(own(self)))[0]
    )
    whole = GAN.from_pretrained(runs / "first")
    assert memory.count(True) <= 1
    memory.clear()
    gan = GAN.from_pretrained(runs / "first", network="generator")
    assert memory == [False]
    assert torch.equal(gan.sample(2, seed=1), whole.sample(2, seed=1))


def own(network: torch.nn.Module) -> bool:
    """Whether a network has memory of its own."""
    return not any(p.is_meta for p in network.parameters())


class Kept(torch.nn.Module):
    """A generator with what no file holds: a constant, a buffer that is not kept, a list of its parameters."""

    z_dim = 3

    def __init__(self, shape: ImageShape, sort: str = "") -> None:
        super().__init__()
        self.layer, self.sort = torch.nn.Linear(3, shape.pixels), sort
        if sort == "constant":
            self.scale = [torch.full((1,), 2.0)]
        if sort == "buffer":
            self.register_buffer("two", torch.full((1,), 2.0), persistent=False)
        if sort == "list":
            self.own = [self.layer.weight]

    def forward(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        x = torch.nn.functional.linear(z, self.own[0]) if self.sort == "list" else self.layer(z)
        x = x * (self.scale[0] if self.sort == "constant" else self.two if self.sort == "buffer" else 1)
        return x.view(len(z), 1, 16, 16)


@pytest.mark.parametrize("sort", ["", "constant", "buffer", "list"])
@pytest.mark.parametrize("part", [None, "generator"])
def test_what_no_file_holds_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sort: str, part: str | None
) -> None:
    monkeypatch.setattr("ganzoo_zoo.generators.mlp.Generator", Kept)
    gan = built({"gen": "mlp", "gen.sort": sort})
    gan.save(tmp_path / "model")
    read = GAN.from_pretrained(tmp_path / "model", network=part)
    assert torch.equal(read.sample(3, seed=0), gan.copy().sample(3, seed=0))


@pytest.mark.parametrize("network", ["zoo/stylegan2", "r3gan/r3gan"])
def test_constants_of_the_zoo_do_not_make_a_network_twice(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gan = built({"gen": network, "disc": network, "gen.width": 4, "disc.width": 4})
    gan.save(tmp_path / "model")
    made: list[str] = []

    def count(kind: str, target: Any) -> None:
        start = target.__init__

        @wraps(start)
        def counted(*args: Any, **options: Any) -> None:
            made.append(kind)
            start(*args, **options)

        monkeypatch.setattr(target, "__init__", counted)

    for kind in ("generator", "discriminator"):
        count(kind, installed().get(kind, network).component.load())
    read = GAN.from_pretrained(tmp_path / "model")
    assert sorted(made) == ["discriminator", "generator"]
    assert torch.equal(read.sample(3, seed=0), gan.copy().sample(3, seed=0))


@pytest.mark.parametrize("more", [{"bidirectional": True}, {"bidirectional": True, "num_layers": 2, "proj_size": 3}])
def test_a_recurrent_network_is_outlined_without_its_steps(more: dict[str, Any]) -> None:
    wanted, (h, c) = torch.nn.LSTM(5, 7, **more)(torch.zeros(6, 2, 5))
    began = time.process_time()
    with outlines("it"):
        network = torch.nn.LSTM(5, 7, **more)
        found, state = network(torch.empty(6, 2, 5))
        long, _ = network(torch.empty(100_000, 2, 5))
    assert time.process_time() - began < 5
    assert found.is_meta
    assert (found.shape, *(s.shape for s in state)) == (wanted.shape, h.shape, c.shape)
    assert long.shape == (100_000, *wanted.shape[1:])


def built(values: dict[str, Any], classes: int = 0, **more: Any) -> GAN:
    """Return an untrained GAN for grey images of 16×16."""
    values = {"disc": "mlp", "ssl": "none", "data.size": 16, **values}
    return GAN.build(ganzoo.configure(values=values), ImageShape(1, 16, 16, classes), **more)


def test_classes_without_names_have_numbers(tmp_path: Path) -> None:
    built({"gen": "mlp"}, classes=3).save(tmp_path / "model")
    assert GAN.from_pretrained(tmp_path / "model").class_names == ["0", "1", "2"]
    with pytest.raises(Incompatible, match="2 names are given for 3 classes"):
        built({"gen": "mlp"}, classes=3, class_names=["a", "b"])


def test_a_component_of_no_package_can_be_kept(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    gan = GAN.from_pretrained(runs / "first")
    monkeypatch.setattr("ganzoo.registry.Plugin.distribution", "?")
    monkeypatch.setattr("ganzoo.registry.Plugin.version", "?")
    gan.save(tmp_path / "model")
    assert same(GAN.from_pretrained(tmp_path / "model"), gan)


def test_branches_and_commits(hub: Hub, runs: Path, cli: Cli) -> None:
    good(cli("publish", runs / "first", "alice/digits"))
    first = hub.repos["alice/digits"].branches["main"]
    good(cli("publish", runs / "second", "alice/digits", "--revision", "seed/1"))
    branches = hub.repos["alice/digits"].branches
    assert branches["main"] == first != branches["seed/1"]
    one, two = GAN.from_pretrained(runs / "first"), GAN.from_pretrained(runs / "second")
    assert same(GAN.from_pretrained("alice/digits", revision="seed/1"), two)
    assert same(GAN.from_pretrained("alice/digits@seed/1"), two)
    assert same(GAN.from_pretrained("alice/digits"), one)
    good(cli("publish", runs / "second", "alice/digits"))
    assert same(GAN.from_pretrained("alice/digits"), two)
    assert same(GAN.from_pretrained("alice/digits", revision=first), one)
    assert GAN.inspect("alice/digits", revision=first).commit == first


@pytest.mark.parametrize(
    ("method", "file", "found"),
    [
        ("HEAD", "config", "second"),
        ("GET", "config", "second"),
        ("HEAD", "generator", "first"),
        ("GET", "generator", "first"),
        ("HEAD", "discriminator", "first"),
    ],
)
def test_every_file_is_of_one_commit(hub: Hub, runs: Path, method: str, file: str, found: str) -> None:
    put(hub, runs / "first")
    new = {n: (runs / "second" / "model" / n).read_bytes() for n in ("config.json", *NETWORKS)}
    old = (runs / "first" / "model" / "config.json").read_bytes()
    size = max(len(old), len(new["config.json"]))  # the client would notice another size itself
    hub.repos["bob/gan"].commit({"config.json": old.ljust(size)})
    new["config.json"] = new["config.json"].ljust(size)
    hub.before(method, f"/resolve/.*/{file}", lambda: hub.repos["bob/gan"].commit(new))
    if (method, file) == ("GET", "config"):  # the real Hub answers the HEAD with where this commit's file lies
        with pytest.raises(CorruptFile):
            GAN.from_pretrained("bob/gan")
        hub.requests.clear()
    gan = GAN.from_pretrained("bob/gan")
    assert same(gan, GAN.from_pretrained(runs / found))
    commits = {p.split("/resolve/")[1].split("/")[0] for _, p in hub.requests if p.endswith(".safetensors")}
    assert commits == {gan.metadata["hub"]["commit"]}


def test_looking_fetches_no_weights(hub: Hub, runs: Path, cli: Cli) -> None:
    sha = put(hub, runs / "first")
    seen = GAN.inspect("bob/gan")
    assert (seen.commit, seen.config["components"]["generator"]["name"]) == (sha, "zoo/dcgan")
    assert seen.card == (runs / "first" / "model" / "README.md").read_text().replace("ORG/NAME", "bob/gan")
    for name in NETWORKS:
        assert seen.sizes[name] == (runs / "first" / "model" / name).stat().st_size
    said = good(cli("info", "hub:bob/gan"))
    for words in ("zoo/kplus1", "16×16", "torch-ganzoo", "generator.safetensors", sha[:8], "# bob/gan"):
        assert words in said
    told = json.loads(good(cli("info", "hub:bob/gan", "--json")))
    assert (told["commit"], told["sizes"]) == (sha, seen.sizes)
    assert good(cli("card", "bob/gan")).startswith("---\n")
    assert fetched(hub) == {"config.json", "README.md"}


def test_the_list_of_models(hub: Hub, runs: Path, cli: Cli) -> None:
    put(hub, runs / "first", "alice/digits")
    put(hub, runs / "second", "alice/secret")
    hub.repos["alice/secret"].private = True
    put(hub, runs / "second", "bob/gan")
    hub.add("alice/bert", {"README.md": b"---\ntags:\n- text\n---\n"})
    said = good(cli("list", "models", "--hub")).splitlines()
    assert {line.split()[0] for line in said} == {"alice/digits", "alice/secret", "bob/gan"}
    assert [line.split()[0] for line in said if line.endswith("private")] == ["alice/secret"]
    told = json.loads(good(cli("list", "models", "--hub", "--author", "bob", "--json")))
    assert [(m["name"], m["private"], m["downloads"]) for m in told] == [("bob/gan", False, 0)]
    assert "no model of carol on the Hub" in good(cli("list", "models", "--hub", "--author", "carol"))
    for words in (("list", "models"), ("list", "generators", "--hub"), ("list", "generators", "--author", "bob")):
        check_refused(cli(*words), "from the Hub: ganzoo list models --hub")

"""Models go to the Hub and come back the same; what goes wrong is said in one sentence; nothing hostile gets in."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import wraps
from inspect import signature
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml
from click.testing import Result
from huggingface_hub import ModelCard
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

import ganzoo
from ganzoo import GAN, Config, ImageShape
from ganzoo.critic import Critic
from ganzoo.errors import BadOption, CorruptFile, HubError, Incompatible, UnknownComponent
from ganzoo.format import DEEPEST, MOST_PARAMETERS, outlines
from ganzoo.hub import contents
from ganzoo.metrics import Score
from ganzoo.registry import installed
from tests.conftest import SMALL, python
from tests.hub import Fault, Hub

Cli = Callable[..., Result]
ALWAYS = float("inf")
ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=")
NETWORKS = {"generator.safetensors", "discriminator.safetensors"}
X = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A K+1 run, another one, and a classifier without a generator."""
    root = tmp_path_factory.mktemp("runs")
    for name, values in {"first": {}, "second": {"seed": 1}, "supervised": {"ssl": "supervised"}}.items():
        ganzoo.train({**SMALL, **values}, root / name)
    return root


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long anybody wants to wait between attempts, instead of waiting."""
    seconds: list[float] = []
    for module in ("huggingface_hub.utils._http", "huggingface_hub.file_download", "ganzoo.hub"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(sleep=seconds.append))
    return seconds


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, naps: list[float]) -> Iterator[Hub]:
    """A Hub on which this process is alice; its cache is `tmp_path/cache`."""
    disable_progress_bars()
    with Hub({"hf_alice": "alice", "hf_bob": "bob"}) as hub:
        hub.adopt(monkeypatch, tmp_path / "cache", "hf_alice")
        yield hub
    enable_progress_bars()


@pytest.fixture
def fresh(hub: Hub, tmp_path: Path) -> Callable[[], None]:
    """Empty the cache and the list of requests."""

    def empty() -> None:
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        hub.requests.clear()
        hub.headers.clear()

    return empty


def put(hub: Hub, run: Path, name: str = "bob/gan") -> str:
    """Put a run's model on the Hub without a request, and return the commit."""
    files = {n: c if isinstance(c, bytes) else Path(c).read_bytes() for n, c in contents(run / "model", name).items()}
    hub.add(name, files)
    return hub.repos[name].branches["main"]


def same(one: GAN, other: GAN) -> bool:
    """Whether two models make the same images of a seed, and say the same of images, bit by bit."""
    pairs = [(one.sample(5, seed=3), other.sample(5, seed=3)), (one.classify(X), other.classify(X))]
    return all(torch.equal(a, b) for a, b in [*pairs, (one.score(X), other.score(X))])


def good(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def check_refused(result: Result, words: str) -> None:
    """The command ended with one sentence that has these words."""
    assert result.exit_code == 1, (result.output, result.exception)
    assert result.stderr.startswith("error: "), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert words in result.stderr


def fetched(hub: Hub) -> set[str]:
    """Return the names of the files that were asked for."""
    return {path.split("/resolve/")[1].partition("/")[2] for _, path in hub.requests if "/resolve/" in path}


# There and back


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
        assert gan.facts["hub"] == {"name": "alice/digits", "commit": sha}
        assert gan.facts["metrics"] == trained.facts["metrics"]
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
    assert all(name in said for name in (*NETWORKS, "config.json", "README.md", "nothing was sent"))
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
    check_refused(cli("pull", "bob/gan"), "gan exists; choose another folder with --out")
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
    gan = GAN.from_pretrained("bob/gan", part="generator")
    assert fetched(hub) == {"config.json", "generator.safetensors"}
    assert torch.equal(gan.sample(4, seed=1), GAN.from_pretrained(runs / "first").sample(4, seed=1))
    for use in (gan.classify, gan.score):
        with pytest.raises(Incompatible, match=r"read without its discriminator \(part='generator'\)"):
            use(X)
    critic = GAN.from_pretrained("bob/gan", part="discriminator")
    assert torch.equal(critic.classify(X), GAN.from_pretrained(runs / "first").classify(X))
    with pytest.raises(Incompatible, match="read without its generator"):
        critic.sample(1)
    with pytest.raises(Incompatible, match="has no encoder"):
        GAN.from_pretrained("bob/gan", part="encoder")


def test_networks_that_are_not_asked_for_are_not_made(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory: list[bool] = []
    start = Critic.__init__
    monkeypatch.setattr(Critic, "__init__", lambda self, *parts: (start(self, *parts), memory.append(own(self)))[0])
    whole = GAN.from_pretrained(runs / "first")
    assert memory.count(True) <= 1
    memory.clear()
    gan = GAN.from_pretrained(runs / "first", part="generator")
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
        self.layer, self.sort = torch.nn.Linear(3, shape.channels * shape.size**2), sort
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
    read = GAN.from_pretrained(tmp_path / "model", part=part)
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
    return GAN.build(ganzoo.configure(values=values), ImageShape(1, 16, classes), **more)


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
    hub.before(method, f"/resolve/.*/{file}", lambda: hub.repos["bob/gan"].commit(new))
    if (method, file) == ("GET", "config"):  # the real Hub answers the HEAD with where this commit's file lies
        with pytest.raises(CorruptFile):
            GAN.from_pretrained("bob/gan")
        hub.requests.clear()
    gan = GAN.from_pretrained("bob/gan")
    assert same(gan, GAN.from_pretrained(runs / found))
    commits = {p.split("/resolve/")[1].split("/")[0] for _, p in hub.requests if p.endswith(".safetensors")}
    assert commits == {gan.facts["hub"]["commit"]}


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
        check_refused(cli(*words), "try: ganzoo list models --hub")


def test_the_card(hub: Hub, runs: Path, cli: Cli) -> None:
    good(cli("publish", runs / "first", "alice/digits"))
    config = json.loads((runs / "first" / "model" / "config.json").read_text())
    files = hub.repos["alice/digits"].commits[hub.repos["alice/digits"].branches["main"]]
    text = files["README.md"].decode()
    card = ModelCard(text)
    assert (card.data.library_name, card.data.model_name) == ("ganzoo", "alice/digits")
    result = card.data.eval_results[0]
    assert result.metric_value == pytest.approx(1 - config["metrics"]["error"], abs=1e-6)
    assert config["split"][:8] in result.metric_name
    assert {"ganzoo", "gan", "dcgan"} <= set(card.data.tags)
    wanted = (
        "# alice/digits",
        'from_pretrained("alice/digits")',
        f"sha256 `{config['split']}`",
        f"labels used | {config['data']['labelled']:,}",
        "ganzoo train --config run.yaml",
        "arXiv:1511.06434",
        "arXiv:1606.03498",
        "![A grid of generated images](samples.png)",
    )
    assert not [words for words in wanted if words not in text]
    assert "ORG/NAME" not in text
    recipe = text.partition("```yaml\n")[2].partition("```")[0]
    assert Config.parse(yaml.safe_load(recipe)) == Config.load(runs / "first" / "config.json")
    assert str(runs) not in text + files["config.json"].decode()


def test_scores_are_in_the_card_with_their_stamps(hub: Hub, runs: Path, cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(runs / "first", tmp_path / "run")
    card = tmp_path / "run" / "model" / "README.md"
    card.write_text(card.read_text() + "by hand\n")
    before = card.read_text()
    score = ("evaluate", "run", "--metrics", "memorization", "--features", "classifier", "--set", "features.steps=4")
    for number in (40, 40, 30):  # the second takes the place of the first
        good(cli(*score, "-n", number))
    kept = [Score.of(values) for values in json.loads((tmp_path / "run" / "scores.json").read_text())]
    good(cli("publish", "run", "alice/digits"))
    text = hub.repos["alice/digits"].commits[hub.repos["alice/digits"].branches["main"]]["README.md"].decode()
    held_out, *results = ModelCard(text).data.eval_results
    assert held_out.metric_args is None
    wanted = [(name, value, asdict(one.stamp)) for one in kept for name, value in one.values.items()]
    assert len(wanted) == 4
    assert [(r.metric_type, r.metric_value, r.metric_args) for r in results] == [
        (name, pytest.approx(value, abs=1e-6), stamp) for name, value, stamp in wanted
    ]
    assert card.read_text().partition("\n---\n")[2] == before.partition("\n---\n")[2]
    card.write_text("---\n[\n---\n# by hand\n")
    check_refused(cli(*score, "-n", 20), "mend it by hand")
    assert card.read_text() == "---\n[\n---\n# by hand\n"


def test_a_licence_is_said_by_who_publishes(hub: Hub, runs: Path, cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(runs / "first", tmp_path / "run")
    card = tmp_path / "run" / "model" / "README.md"
    card.write_text(card.read_text() + "by hand\n")
    mine = card.read_text()
    check_refused(cli("publish", "run", "alice/digits", "--license", "no\nname"), "is no name of a licence")
    good(cli("publish", "run", "alice/digits", "--license", "cc-by-4.0"))
    GAN.from_pretrained("alice/digits").push_to_hub("alice/again", license="mit")
    for repo, licence in (("alice/digits", "cc-by-4.0"), ("alice/again", "mit")):
        files = hub.repos[repo].commits[hub.repos[repo].branches["main"]]
        text = files["README.md"].decode()
        assert ModelCard(text).data.license == licence
        assert f"## Licence\n\n{licence}. The data may have" in text
        assert json.loads(files["config.json"])["license"] == licence
        assert text.endswith("by hand\n") == (repo == "alice/digits")
    assert card.read_text() == mine


def test_a_revision_is_named_in_what_to_do_next(hub: Hub, runs: Path, cli: Cli) -> None:
    said = good(cli("publish", runs / "first", "alice/digits", "--revision", "draft"))
    assert said.endswith("/alice/digits/tree/draft\nnext      ganzoo sample alice/digits@draft\n")
    good(cli("pull", "alice/digits@draft", "--out", "here"))
    check_refused(cli("pull", "alice/digits@main"), "'alice/digits'")  # there is nothing on main yet


def test_a_card_is_published_as_its_user_left_it(hub: Hub, runs: Path, cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(runs / "first", tmp_path / "run")
    card = tmp_path / "run" / "model" / "README.md"
    card.write_text("---\nlibrary_name: ganzoo\n---\n# ORG/NAME\nby hand\n")
    assert good(cli("card", "run")) == card.read_text()
    good(cli("publish", "run", "alice/digits"))
    assert card.read_text().endswith("# ORG/NAME\nby hand\n")
    assert good(cli("card", "alice/digits")).endswith("# alice/digits\nby hand\n")


def test_a_card_cannot_command_a_terminal(hub: Hub, runs: Path, cli: Cli) -> None:
    put(hub, runs / "first")
    hub.repos["bob/gan"].commit({"README.md": "# a\x1b[2J\x07\x9b31m\tb\r\n\xa0ü".encode()})
    assert good(cli("card", "bob/gan")) == "# a\ufffd[2J\ufffd\ufffd31m\tb\n\xa0ü\n"


def test_private_models(hub: Hub, runs: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good(cli("publish", runs / "first", "alice/secret", "--private"))
    assert hub.repos["alice/secret"].private
    hub.adopt(monkeypatch, tmp_path / "anonymous")
    with pytest.raises(HubError, match="that you may see"):
        GAN.from_pretrained("alice/secret")
    assert same(GAN.from_pretrained("alice/secret", token="hf_alice"), GAN.from_pretrained(runs / "first"))
    with pytest.raises(HubError, match="that you may see"):
        GAN.inspect("alice/secret", token="hf_bob")
    GAN.from_pretrained(runs / "first").push_to_hub("bob/open", token="hf_bob")
    assert not hub.repos["bob/open"].private


def test_networks_that_are_no_more_are_deleted(hub: Hub, runs: Path, cli: Cli) -> None:
    good(cli("publish", runs / "first", "alice/gan"))
    repo = hub.repos["alice/gan"]
    repo.commit({"NOTES.md": b"mine", "other.safetensors": b"mine too", "data/generator.safetensors": b"mine"})
    good(cli("publish", runs / "supervised", "alice/gan"))
    files = repo.commits[repo.branches["main"]]
    assert "generator.safetensors" not in files
    assert {"NOTES.md", "other.safetensors", "data/generator.safetensors", "discriminator.safetensors"} <= set(files)
    assert torch.equal(
        GAN.from_pretrained("alice/gan").classify(X), GAN.from_pretrained(runs / "supervised").classify(X)
    )


@pytest.mark.parametrize("config", [b'{"architectures": ["BertModel"]}', b"[]", b"{", b"\xff"])
def test_the_model_of_another_library_is_not_overwritten(hub: Hub, runs: Path, cli: Cli, config: bytes) -> None:
    repo = hub.add("alice/bert", {"config.json": config, "model.safetensors": b"weights"})
    before = dict(repo.commits)
    result = cli("publish", runs / "first", "alice/bert")
    check_refused(
        result, "config.json" if config != b'{"architectures": ["BertModel"]}' else "which would be overwritten,"
    )
    assert repo.commits == before


# Training that starts from a model


def train(cli: Cli, small: list[str], *words: object) -> Result:
    return cli("train", *small, *words)


def test_training_starts_where_a_model_stands(hub: Hub, runs: Path, tmp_path: Path) -> None:
    sha = put(hub, runs / "first")
    given = GAN.from_pretrained(runs / "first")
    seen: list[bool] = []

    def started(experiment: Any, _: object) -> None:
        ours, theirs = ([n.state_dict() for n in g.networks.values()] for g in (experiment.gan, given))
        pairs = [(a[k], b[k]) for a, b in zip(ours, theirs, strict=True) for k in a]
        seen.append(all(torch.equal(a, b) for a, b in pairs if a.is_floating_point()))

    gan = ganzoo.train(
        {"steps": 2, "batch": 8, "precision": "fp32", "start": "bob/gan"}, tmp_path / "r", started=started
    )
    assert seen == [True]
    assert gan.shape.size == 16  # of the model, as are its parts
    kept = Config.load(tmp_path / "r" / "config.json")
    assert kept.start == f"bob/gan@{sha}"
    assert kept.generator.options["width"] == 4
    counts = {name: len(n.state_dict()) for name, n in given.networks.items()}
    taken = {name: f"{n} of {n} tensors" for name, n in counts.items()}
    assert gan.facts["start"] == {"model": f"bob/gan@{sha}", "taken": taken}


def test_a_model_that_fits_in_part_says_what_was_left(
    hub: Hub, runs: Path, cli: Cli, small: list[str], tmp_path: Path
) -> None:
    sha = put(hub, runs / "first")
    said = good(train(cli, small, "--from", "bob/gan", "--out", "r", "--set", "gen.z_dim=50"))
    count = len(GAN.from_pretrained(runs / "first").networks["generator"].state_dict())
    assert f"generator: {count - 1} of {count} tensors, not layers.0.weight of bob/gan@{sha}" in said
    assert Config.load(tmp_path / "r" / "config.json").generator.options["z_dim"] == 50
    result = train(cli, small[6:], "--from", "bob/gan", "--out", "q", "--size", "32", "--gen", "mlp", "--disc", "mlp")
    check_refused(result, f"nothing of bob/gan@{sha} fits these networks")
    assert not (tmp_path / "q").exists()
    check_refused(train(cli, small, "--from", "bob/nothing", "--out", "q"), "no repository of the Hub")
    assert not (tmp_path / "q").exists()


def test_going_on_needs_no_hub(hub: Hub, runs: Path, cli: Cli, small: list[str], tmp_path: Path) -> None:
    put(hub, runs / "first")
    words = ("--from", "bob/gan", "--steps", 4, "--set", "checkpoint_every=2")
    good(train(cli, small, *words, "--out", "whole"))
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "000004")
    shutil.rmtree(tmp_path / "cut" / "model")
    hub.stop()
    shutil.rmtree(tmp_path / "cache")
    good(cli("train", "--out", "cut"))
    for name in NETWORKS:
        assert (tmp_path / "cut" / "model" / name).read_bytes() == (tmp_path / "whole" / "model" / name).read_bytes()


def test_the_same_command_goes_on_though_the_model_has_moved_on(
    hub: Hub, runs: Path, cli: Cli, small: list[str], tmp_path: Path
) -> None:
    put(hub, runs / "first")
    good(train(cli, small, "--from", "bob/gan", "--out", "r"))
    start = Config.load(tmp_path / "r" / "config.json").start
    hub.repos["bob/gan"].commit({"NOTES.md": b"news"})
    good(train(cli, small, "--from", "bob/gan", "--out", "r"))
    assert Config.load(tmp_path / "r" / "config.json").start == start
    hub.stop()
    shutil.rmtree(tmp_path / "cache")
    good(train(cli, small, "--from", "bob/gan", "--out", "r"))


def test_a_folder_is_a_start_too(runs: Path, cli: Cli, small: list[str], tmp_path: Path) -> None:
    for path in (runs / "first", runs / "first" / "model"):
        good(train(cli, small, "--from", path, "--out", path.name))
        assert Config.load(tmp_path / path.name / "config.json").start == str(runs / "first" / "model")
        told = json.loads((tmp_path / path.name / "model" / "config.json").read_text())
        assert told["start"]["model"] == "model"
        assert str(runs) not in json.dumps(told)
    check_refused(train(cli, small, "--from", "nowhere", "--out", "q"), "there is no run or model folder nowhere")


# What goes wrong


def gone(hub: Hub) -> None:
    hub.repos["kept"] = hub.repos.pop("bob/gan")


def private(hub: Hub) -> None:
    hub.repos["bob/gan"].private = True


def gated(hub: Hub) -> None:
    hub.repos["bob/gan"].gated = True


def unknown(hub: Hub) -> None:
    hub.tokens.clear()


def without(name: str) -> Callable[[Hub], None]:
    return lambda hub: (hub.repos["bob/gan"].commit({name: None}), None)[1]


def fault(method: str, path: str, **what: Any) -> Callable[[Hub], None]:
    return lambda hub: hub.faults.append(Fault(method, path, times=ALWAYS, **what))


MENDED = {
    "hub gone": lambda hub: hub.start(),
    "repository gone": lambda hub: hub.repos.update({"bob/gan": hub.repos.pop("kept")}),
    "private": lambda hub: vars(hub.repos["bob/gan"]).update(private=False),
    "gated": lambda hub: vars(hub.repos["bob/gan"]).update(gated=False),
    "unknown": lambda hub: hub.tokens.update(hf_alice="alice"),
}
WEIGHTS = "/resolve/.*/generator"
READING: dict[str, tuple[Callable[[Hub], None], str]] = {
    "unknown": (unknown, "the Hub does not know you; log in with: hf auth login"),
    "gated": (gated, "'bob/gan' is gated: ask for access on its page"),
    "private": (private, "'bob/gan' is no folder here, and no repository of the Hub that you may see"),
    "repository gone": (gone, "'bob/gan' is no folder here, and no repository of the Hub that you may see"),
    "no config": (without("config.json"), "has no file config.json: it holds no ganzoo model"),
    "no weights": (without("generator.safetensors"), "has no file generator.safetensors"),
    "refused": (fault(".*", "", status=403), "is not yours to read or change in that way"),
    "asked too often": (fault(".*", "", status=429), "the Hub is asked too often"),
    "asked for weights too often": (fault("GET", WEIGHTS, status=429), "the Hub is asked too often"),
    "broken": (fault(".*", "", status=500), "the Hub has a fault just now (500)"),
    "broken at the weights": (fault(".*", WEIGHTS, status=503), "the Hub has a fault just now (503)"),
    "teapot": (fault("GET", WEIGHTS, status=418), "the Hub answered 418"),
    "cut short": (fault("GET", WEIGHTS, cut=100), "broke off (RemoteProtocolError"),
    "config cut short": (fault("GET", "/resolve/.*/config", cut=10), "broke off (RemoteProtocolError"),
    "other length": (fault("GET", WEIGHTS, body=b"short"), "broke off (OSError: Consistency check failed"),
    "wrong bytes": (fault("GET", WEIGHTS, garble=True), "generator.safetensors is missing or damaged: its sha256"),
    "wrong config": (fault("GET", "/resolve/.*/config", garble=True), "config.json cannot be read as JSON"),
    "another page": (fault("GET", "/resolve/.*/config", body=b"<html>"), "Consistency check failed"),
    "at a snail's pace": (fault("GET", WEIGHTS, pause=0.1), "broke off (ReadTimeout"),
    "dropped": (fault(".*", "", drop=True), "has no config.json in the cache, and the Hub cannot be reached"),
    "weights dropped": (fault(".*", WEIGHTS, drop=True), "broke off (RemoteProtocolError"),
    "hub gone": (Hub.stop, "has no config.json in the cache, and the Hub cannot be reached"),
}


@pytest.mark.parametrize("case", READING)
def test_what_goes_wrong_while_reading(
    hub: Hub, runs: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    put(hub, runs / "first")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 0.05)
    breaks, words = READING[case]
    breaks(hub)
    check_refused(cli("pull", "bob/gan", "--out", "p"), words)
    assert {p.name for p in tmp_path.iterdir()} <= {"cache"}
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 10)
    if case.startswith("no "):
        put(hub, runs / "first")
    hub.faults.clear()
    MENDED.get(case, lambda _: None)(hub)
    good(cli("pull", "bob/gan", "--out", "p"))  # from the same cache: nothing bad was kept in it
    assert same(GAN.from_pretrained(tmp_path / "p"), GAN.from_pretrained(runs / "first"))


def test_a_revision_that_is_not_there(hub: Hub, runs: Path, cli: Cli, tmp_path: Path) -> None:
    put(hub, runs / "first")
    for revision in ("nothing", "0" * 40):
        check_refused(cli("pull", "bob/gan", "--revision", revision, "--out", "p"), f"has no revision '{revision}'")
        check_refused(cli("sample", f"bob/gan@{revision}"), f"has no revision '{revision}'")
    assert not (tmp_path / "p").exists()


def test_the_name_of_another_file_is_not_believed(hub: Hub, runs: Path) -> None:
    put(hub, runs / "first")
    hub.faults.append(Fault("HEAD", WEIGHTS, etag="0" * 64))
    first = GAN.from_pretrained("bob/gan")
    assert same(first, GAN.from_pretrained(runs / "first"))  # the bytes were right
    put(hub, runs / "second", "bob/two")
    sha256 = json.loads((runs / "second" / "model" / "config.json").read_text())["sha256"]["generator.safetensors"]
    hub.faults.append(Fault("HEAD", "/resolve/.*/discriminator", etag=sha256))
    with pytest.raises(CorruptFile, match=r"discriminator\.safetensors is missing or damaged"):
        GAN.from_pretrained("bob/two")
    assert same(GAN.from_pretrained("bob/two"), GAN.from_pretrained(runs / "second"))


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/models/"), ("HEAD", "/resolve/.*/config"), ("HEAD", WEIGHTS), ("GET", WEIGHTS)],
)
def test_a_fault_that_passes_is_waited_for(hub: Hub, runs: Path, naps: list[float], method: str, path: str) -> None:
    put(hub, runs / "first")
    hub.faults.append(Fault(method, path, status=500, times=2))
    assert same(GAN.from_pretrained("bob/gan"), GAN.from_pretrained(runs / "first"))
    assert naps
    assert all(a <= b for a, b in pairwise(naps))


def test_without_a_network(hub: Hub, runs: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = put(hub, runs / "first")
    expected = GAN.from_pretrained("bob/gan")
    asked = len(hub.requests)
    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        for revision in (None, "main", sha):
            assert same(GAN.from_pretrained("bob/gan", revision=revision), expected)
        check_refused(cli("sample", "bob/other"), "has no config.json in the cache, and the Hub cannot be reached")
        check_refused(cli("sample", "bob/gan@other"), "has no config.json in the cache")
        check_refused(cli("publish", runs / "first", "alice/new"), "HF_HUB_OFFLINE is set; unset it")
        check_refused(cli("list", "models", "--hub"), "HF_HUB_OFFLINE is set; unset it")
    assert len(hub.requests) == asked
    hub.stop()
    assert same(GAN.from_pretrained("bob/gan"), expected)
    check_refused(
        cli("list", "models", "--hub", "--author", "bob"), "the Hub cannot be reached, or broke off (ConnectError"
    )
    assert {p.name for p in tmp_path.iterdir()} == {"cache"}


def meanwhile(hub: Hub) -> None:
    hub.before("POST", "/commit/", lambda: hub.repos["alice/gan"].commit({"theirs": b"1"}))


WRITING: dict[str, tuple[Callable[[Hub], None], str]] = {
    "unknown": (unknown, "the Hub does not know you; log in with: hf auth login"),
    "not hers": (lambda hub: hub.tokens.update(hf_alice="bob"), "is not yours to read or change"),
    "somebody else": (meanwhile, "was changed by somebody else in the meantime, and nothing was published"),
    "too large": (fault("POST", "/commit/", status=413), "does not take so large a file"),
    "asked too often": (fault("POST", "/commit/", status=429), "the Hub is asked too often"),
    "broken": (fault(".*", "", status=500), "the Hub has a fault just now (500)"),
    "broken at the commit": (fault("POST", "/commit/", status=502), "the Hub has a fault just now (502)"),
    "broken at the weights": (fault("PUT", "/upload/", status=503), "the Hub has a fault just now (503)"),
    "weights refused": (fault("PUT", "/upload/", status=400), "the Hub answered 400"),
    "dropped": (fault("POST", "/commit/", drop=True), "broke off (RemoteProtocolError"),
    "hub gone": (Hub.stop, "the Hub cannot be reached"),
}


@pytest.mark.parametrize("case", WRITING)
def test_what_goes_wrong_while_publishing(hub: Hub, runs: Path, cli: Cli, case: str) -> None:
    put(hub, runs / "first", "alice/gan")
    repo = hub.repos["alice/gan"]
    before = repo.commits[repo.branches["main"]]
    breaks, words = WRITING[case]
    breaks(hub)
    check_refused(cli("publish", runs / "second", "alice/gan"), words)
    theirs = {"theirs": b"1"} if case == "somebody else" else {}
    assert repo.commits[repo.branches["main"]] == before | theirs
    hub.faults.clear()
    hub.tokens["hf_alice"] = "alice"
    if not hub.server:
        hub.start()
    good(cli("publish", runs / "second", "alice/gan"))
    assert same(GAN.from_pretrained("alice/gan"), GAN.from_pretrained(runs / "second"))


def test_a_repository_that_was_made_in_vain_is_told_and_left(hub: Hub, runs: Path, cli: Cli) -> None:
    hub.faults.append(Fault("POST", "/commit/", status=403))
    check_refused(cli("publish", runs / "first", "alice/new"), "publish again, or: hf repos delete alice/new")
    assert "alice/new" in hub.repos
    hub.faults.append(Fault("POST", "/commit/", status=403))
    result = cli("publish", runs / "first", "alice/new")
    check_refused(result, "is not yours to read or change")
    assert "delete" not in result.stderr
    assert hub.count("DELETE", "") == 0
    good(cli("publish", runs / "first", "alice/new"))


def test_a_commit_that_the_cache_holds_is_not_asked_for(hub: Hub, runs: Path) -> None:
    sha = put(hub, runs / "first")
    first = GAN.from_pretrained("bob/gan")
    hub.requests.clear()
    assert same(GAN.from_pretrained("bob/gan", revision=sha), first)
    assert same(GAN.from_pretrained(f"bob/gan@{sha}", part=None), first)
    assert not hub.requests
    GAN.from_pretrained("bob/gan")
    assert {method for method, _ in hub.requests} == {"HEAD"}  # a branch may have moved on


def test_a_commit_whose_answer_was_lost(hub: Hub, runs: Path, cli: Cli) -> None:
    hub.faults.append(Fault("POST", "/commit/", drop=True, done=True))
    check_refused(cli("publish", runs / "first", "alice/gan"), "broke off (RemoteProtocolError")
    commits = list(hub.repos["alice/gan"].commits)
    good(cli("publish", runs / "first", "alice/gan"))
    assert list(hub.repos["alice/gan"].commits) == commits
    assert same(GAN.from_pretrained("alice/gan"), GAN.from_pretrained(runs / "first"))


def test_a_fault_that_passes_does_not_stop_publishing(hub: Hub, runs: Path, cli: Cli) -> None:
    paths = ("/api/repos/create", "/api/models/alice/gan$", "/preupload/", "/objects/batch", "/upload/")
    hub.faults += [Fault(".*", path, status=500, times=2) for path in paths]
    good(cli("publish", runs / "first", "alice/gan"))
    assert not [f for f in hub.faults if f.times > 0]


def test_nothing_damaged_is_published(hub: Hub, runs: Path, cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(runs / "first", tmp_path / "run")
    path = tmp_path / "run" / "model" / "generator.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    check_refused(cli("publish", "run", "alice/gan"), "generator.safetensors is missing or damaged")
    for name in ("gan", "alice/", "../gan", "alice/gan/x", "al ice/gan", "hub:alice/gan"):
        check_refused(cli("publish", runs / "first", name), "is no name of a model on the Hub; write org/name")
    check_refused(cli("publish", "bob/gan", "alice/gan"), "there is no run or model folder bob/gan")
    assert not hub.requests


# What is hostile


class Payload:
    """Unpickled, it leaves a file behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.write_text, (self.marker, "unpickled")


BASES = ("model", "generator", "discriminator", "pytorch_model", "adapter_model", "config", "data", "samples", "split")
ENDS = (
    "bin",
    "pt",
    "pth",
    "ckpt",
    "pkl",
    "pickle",
    "joblib",
    "npy",
    "npz",
    "safetensors.pkl",
    "json.pkl",
    "msgpack",
    "h5",
)
PLANTED = [f"{base}.{end}" for base in BASES for end in ENDS]
PLANTED += ["optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin", "tokenizer.pkl", "archive/data.pkl"]
MODULES = ["__init__", "generator", "modeling_ganzoo", "configuration_ganzoo", "ganzoo", "hubconf", "setup", "conftest"]
MODULES += ["sitecustomize", "usercustomize", "config", "model", "torch", "ganzoo_zoo/__init__", "ganzoo_evil/__init__"]
DEVICES = ("CON", "NUL", "AUX", "COM1", "LPT1")
ROOTS = (
    "/",
    "//server/share/",
    "C:\\",
    "C:",
    "\\\\server\\share\\",
    "\\",
    "..\\",
    "~/",
    "file:///",
    "/tmp/",
    "../../../../",
)
AFTER = ("\0", "\0.txt", "/../evil", "/evil", " ", ".", "\n", "\r\nX: y", ":evil", "\u202e", "\x1b[2J")
ODD = (
    "..",
    ".",
    "...",
    "a//b",
    "./a",
    "a/./b",
    "%2e%2e%2fevil",
    "..%2fevil",
    "*",
    "?",
    "-rf",
    "--help",
    "$(touch evil)",
)
NAMES = [
    *("../" * n + "evil" for n in range(1, 60)),
    *("a/" * n + "../" * (n + 2) + "evil" for n in range(1, 50)),
    *("x" * 10**n for n in range(1, 5)),
    *(f"{device}{end}" for device in DEVICES for end in ("", ".json", ".safetensors")),
    *(f"{root}evil{n}" for root in ROOTS for n in range(3)),
    *(f"{name}{end}" for name in ("generator.safetensors", "config.json") for end in AFTER),
    *(".git/hooks/post-checkout", ".cache/huggingface/token", ".gitmodules", "`evil`", *ODD),
    *(f"refs/{n}/../../../evil" for n in range(20)),
]


WATCH = """
import io, json, os, pickle, sys
import torch, huggingface_hub
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
from contextlib import redirect_stdout
from huggingface_hub import HfApi, hf_hub_download
from safetensors.torch import load_file
from ganzoo.model import GAN
from ganzoo.cli import main
home = os.path.realpath(os.environ["HF_HOME"])
code = tuple(os.path.realpath(p) for p in (sys.prefix, sys.base_prefix, sys.argv[1]))
seen = []
CHANGES = [f"os.{what}" for what in "mkdir remove rmdir symlink link rename chmod chown utime".split()]
STARTS = ["subprocess.Popen", "ctypes.dlopen", *(f"os.{what}" for what in "system exec posix_spawn spawn fork".split())]

def at_home(path, folder=-1):
    if isinstance(path, int):
        return True
    base = os.readlink(f"/proc/self/fd/{folder}") if folder >= 0 else os.getcwd()
    return (os.path.realpath(os.path.join(base, os.fsdecode(path))) + os.sep).startswith((home + os.sep, os.devnull))

def watch(event, args):
    if event == "pickle.find_class":
        seen.append([event, *map(str, args)])
    elif event == "socket.connect" and args[1][0] != "127.0.0.1":
        seen.append([event, str(args[1])])
    elif event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not at_home(args[0]):
        seen.append([event, str(args[0])])
    elif event in CHANGES:
        paths = [p for p in (args[1:2] if event == "os.symlink" else args[:2]) if isinstance(p, (str, bytes))]
        seen.extend([event, str(path)] for path in paths if not at_home(path, args[-1]))
    elif event == "exec" and (name := args[0].co_filename)[:1] == "/" and not os.path.realpath(name).startswith(code):
        seen.append([event, name])
    elif event in STARTS:
        seen.append([event, str(args)])

x = load_file(sys.argv[2])["x"]
sys.addaudithook(watch)
gan = GAN.from_pretrained("bob/gan")
said = [gan.sample(5, seed=3).flatten().tolist(), gan.classify(x).tolist()]
names = GAN.inspect("bob/names")
GAN.from_pretrained("bob/names", part="generator")
shown = io.StringIO()
with redirect_stdout(shown):
    for words in (["info", "hub:bob/names"], ["pull", "bob/names", "--out", home + "/pulled"]):
        main(words, standalone_mode=False)
after = list(seen)
pickle.loads(open(sys.argv[3], "rb").read())
open(sys.argv[4], "wb").close()
result = [said, len(names.sizes), sorted(os.listdir(home + "/pulled")), after, seen[len(after):]]
sys.stdout.write(json.dumps(result))
"""


def test_another_process_reads_it_and_runs_nothing_of_it(hub: Hub, runs: Path, tmp_path: Path) -> None:
    marker, outside = tmp_path / "unpickled", tmp_path / "outside"
    bad = pickle.dumps(Payload(marker))
    code = f"open({str(marker)!r}, 'w').write('imported')\n".encode()
    files = dict.fromkeys(PLANTED, bad) | {f"{name}.py": code for name in MODULES} | {"requirements.txt": b"evil\n"}
    for name, more in (("bob/gan", files), ("bob/names", dict.fromkeys(NAMES, b"x"))):
        put(hub, runs / "first", name)
        hub.repos[name].commit(more)
    assert len(set(NAMES)) >= 200
    hub.requests.clear()
    safetensors.torch.save_file({"x": X}, tmp_path / "x")
    (tmp_path / "payload").write_bytes(bad)
    (tmp_path / "cwd").mkdir()
    done = python(
        "-c", WATCH, str(ROOT), str(tmp_path / "x"), str(tmp_path / "payload"), str(outside),
        cwd=tmp_path / "cwd", **hub.env(tmp_path / "its", "hf_alice"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (images, probabilities), listed, pulled, seen, control = json.loads(done.stdout)
    trained = GAN.from_pretrained(runs / "first")
    assert images == trained.sample(5, seed=3).flatten().tolist()
    assert probabilities == trained.classify(X).tolist()
    assert listed > 200
    assert pulled == sorted(p.name for p in (runs / "first" / "model").iterdir())
    assert seen == []
    assert {event[0] for event in control} == {"pickle.find_class", "open"}  # the watch sees what there is to see
    assert marker.read_text() == "unpickled"
    assert fetched(hub) == {"config.json", "README.md", "samples.png", *NETWORKS, *({"curve.png"} & set(pulled))}
    assert not list((tmp_path / "cwd").iterdir())
    kept = {p.name for p in (tmp_path / "its" / "hub").rglob("*") if p.is_symlink()}
    assert kept == fetched(hub)


def edited(hub: Hub, run: Path, kind: str = "generator", **part: Any) -> None:
    """Put a model on the Hub whose configuration says something else of a component."""
    put(hub, run)
    config = json.loads((run / "model" / "config.json").read_text())
    config["components"][kind] |= part
    hub.repos["bob/gan"].commit({"config.json": json.dumps(config).encode()})


@pytest.mark.parametrize(
    "name",
    ["os:system", "../../x", "/etc/passwd", "--help", "zoo/../x", "ganzoo_zoo.generators.dcgan:Generator", "a b"],
)
def test_a_configuration_names_components_alone(hub: Hub, runs: Path, cli: Cli, name: str) -> None:
    edited(hub, runs / "first", name=name)
    check_refused(cli("sample", "bob/gan"), "config.json does not describe a model (components.generator.name")
    assert fetched(hub) == {"config.json"}


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"width": "../../etc/passwd"}, BadOption),
        ({"--help": 1}, CorruptFile),
        ({"__class__": "os"}, BadOption),
        ({"shape": 3}, BadOption),
        ({"width": [[1]]}, CorruptFile),
        ({"width": {"a": 1}}, BadOption),
        ({"width": {"a": {"b": 1}}}, CorruptFile),
        ({"width": {"--help": 1}}, CorruptFile),
        ({"\x1b[2J\n": 1}, CorruptFile),
    ],
)
def test_options_are_checked(hub: Hub, runs: Path, cli: Cli, option: dict[str, Any], error: type[Exception]) -> None:
    edited(hub, runs / "first", options=option)
    with pytest.raises(error) as raised:
        GAN.from_pretrained("bob/gan")
    assert str(raised.value).isprintable()
    assert not fetched(hub) & NETWORKS


def test_nothing_is_fetched_from_another_repository(hub: Hub, runs: Path) -> None:
    edited(hub, runs / "first", "discriminator", name="zoo/timm/resnet18", options={"pretrained": True})
    with pytest.raises(CorruptFile):
        GAN.from_pretrained("bob/gan")
    assert all("/bob/gan/" in f"{path}/" for _, path in hub.requests)


@pytest.mark.parametrize(("kind", "word"), [(torch.bool, "BOOL"), (torch.int64, "I64"), (torch.complex64, "C64")])
def test_types_are_compared(runs: Path, cli: Cli, tmp_path: Path, kind: torch.dtype, word: str) -> None:
    shutil.copytree(runs / "first" / "model", tmp_path / "m")
    file, config = tmp_path / "m" / "generator.safetensors", tmp_path / "m" / "config.json"
    tensors = safetensors.torch.load_file(file)
    name = next(n for n, t in tensors.items() if t.is_floating_point())
    safetensors.torch.save_file({**tensors, name: torch.zeros(tensors[name].shape, dtype=kind)}, file)
    told = json.loads(config.read_text())
    told["sha256"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    config.write_text(json.dumps(told))
    check_refused(cli("sample", "m"), f"'{name}' is of type {word}, not F32")
    config.write_text(json.dumps({**told, "dtype": "bf16"}))
    check_refused(cli("sample", "m"), "not BF16")


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run", "x"), ("run", {"generator": "x"}), ("run", {"penalties": ["x"]}), ("run", {"data": {"source": 3}}),
        ("run", {"batch": "x"}), ("metrics", {"a": 1}), ("metrics", [1]), ("metrics", "x"), ("step", "x"),
        ("step", -1), ("step", True), ("seconds", "x"), ("data", {"name": "x"}), ("environment", {"versions": "x"}),
        ("environment", 3), ("fit", "\ud800"), ("dtype", "\ud800"), ("split", 3), ("license", ["x"]),
        ("seconds", 10**400), ("more", nested(DEEPEST + 1)),
    ],
)  # fmt: skip
def test_facts_are_what_a_card_can_tell(runs: Path, cli: Cli, tmp_path: Path, name: str, value: Any) -> None:
    shutil.copytree(runs / "first" / "model", tmp_path / "m")
    config = tmp_path / "m" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), name: value}))
    check_refused(cli("publish", "m", "alice/gan", "--dry-run", "--dtype", "bf16"), "config.json ")


def test_odd_facts_are_told(runs: Path, tmp_path: Path) -> None:
    gan = GAN.from_pretrained(runs / "first")
    facts = {"run": {}, "metrics": {}, "data": {}, "split": "\ud800", "environment": {"versions": {"x": [1]}}}
    for name, value in {**facts, "more": nested(DEEPEST - 2), "step": 0}.items():
        gan.facts = {**GAN.from_pretrained(runs / "first").facts, name: value}
        gan.save(tmp_path / "model")
        GAN.from_pretrained(tmp_path / "model").save(tmp_path / "again")
        assert (tmp_path / "again" / "README.md").read_text()


def test_errors_cannot_command_a_terminal_nor_fill_it(runs: Path, cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(runs / "first" / "model", tmp_path / "m")
    config = tmp_path / "m" / "config.json"
    told = json.loads(config.read_text())
    for value in ("\x1b[2J\x07", "x" * 1000, ["\x9b"] * 1000):
        told["components"]["generator"]["options"] = {"width": value}
        config.write_text(json.dumps(told))
        result = cli("sample", "m")
        check_refused(result, "generator 'dcgan': option 'width' is int")
        assert len(result.stderr) < 500
        assert result.stderr.strip().isprintable()
    check_refused(cli("sample", "\x1b[2Jm"), "there is no run or model folder \ufffd[2Jm")


def test_outlines_count_the_tensors_of_their_own_thread() -> None:
    def elsewhere() -> None:
        torch.nn.ParameterList([torch.zeros(1)] * (MOST_PARAMETERS + 1))

    with outlines("it"):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        torch.nn.Linear(1, 1)
    with pytest.raises(CorruptFile, match="more than 20,000 tensors"), outlines("it"):
        elsewhere()


def test_a_version_is_no_command(hub: Hub, runs: Path, cli: Cli) -> None:
    put(hub, runs / "first")
    for version in ("1'; touch evil #", "9\n", "\x1b[2J", None, ["9"], "9" * 99):
        config = {"library": "ganzoo", "format": 99, "version": version}
        hub.repos["bob/gan"].commit({"config.json": json.dumps(config).encode()})
        told = cli("sample", "bob/gan")
        check_refused(told, "was written by a later ganzoo; install it: pip install --upgrade torch-ganzoo")
        assert "evil" not in told.stderr


MEASURE = """
import json, os, resource, sys, tempfile, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from benchmarks import hostile
from ganzoo.model import GAN
from ganzoo.registry import installed
with tempfile.TemporaryDirectory() as place:
    folder, path = Path(place) / "model", Path(place) / "mutated.safetensors"
    hostile.make_model(folder)
    text, weights = (folder / "config.json").read_bytes(), (folder / "generator.safetensors").read_bytes()
    network = GAN.from_pretrained(folder).networks["generator"]
    compiled = "torch._dynamo" in sys.modules
    hostile.limit_memory(2**30)

    def changed(**parts):
        config = json.loads(text)
        for kind, options in parts.items():
            if kind in config["components"]:
                name = options.pop("name", config["components"][kind]["name"])
                config["components"][kind] |= {"name": name, "options": options}
            else:
                config[kind] = config[kind] | options if isinstance(options, dict) else options
        return json.dumps(config).encode()

    extremes = {
        "wide": changed(generator={"hidden": 10**9}),
        "half a gigabyte": changed(generator={"hidden": 11_000}),
        "long": changed(generator={"z_dim": 2**31}),
        "wide dcgan": changed(generator={"name": "zoo/dcgan", "width": 10**9}, shape={"size": 16}),
        "wide sngan": changed(discriminator={"name": "zoo/sngan", "width": 10**9}, shape={"size": 16}),
        "strided": changed(discriminator={"name": "zoo/patch", "strides": 10**9}, shape={"size": 2**14}),
        "deep": changed(generator={"name": "zoo/stylegan2", "mapping": 10**9}),
        "too wide": changed(generator={"hidden": 2**31 + 1}),
        "endless": changed(generator={"hidden": 10**400}),
        "negative": changed(generator={"hidden": -1}),
        "none": changed(generator={"hidden": 0}),
        "not a number": changed(generator={"hidden": float("nan")}),
        "infinite": changed(discriminator={"noise": float("inf")}),
        "lists": changed(generator={"hidden": hostile.deep(3)}),
        "a thousand": changed(generator={"hidden": [10**9] * 1000}),
        "more": changed(generator={"hidden": [1] * 1001}),
        "text": changed(generator={"hidden": "x" * 1001}),
        "options": changed(generator={f"o{n}": n for n in range(101)}),
        "images": changed(shape={"size": 2**14}),
        "larger images": changed(shape={"size": 2**14 + 1}),
        "classes": changed(shape={"classes": 2**20}, class_names=["x"] * 2**17),
        "files": changed(sha256={f"n{n}.safetensors": "0" * 64 for n in range(101)}),
        "path": changed(sha256={"../evil.safetensors": "0" * 64}),
        "deep JSON": b"[" * 200_000,
        "deep value": text[:-2] + b', "x": ' + b"[" * 90_000 + b"]" * 90_000 + b"}",
        "digits": text.replace(b'"hidden": 4', b'"hidden": ' + b"9" * 5000),
        "twice": text.replace(b'"hidden": 4', b'"hidden": 4, "hidden": 5'),
        "large": text[:-2] + b" " * 2**20 + b"}",
        "zeros": bytes(1000),
        "empty": b"",
    }
    found, before = {}, hostile.peak()
    for label, content in extremes.items():
        began = time.process_time()
        found[label] = [*hostile.outcome(lambda: hostile.read_config(folder, content)), time.process_time() - began]
    def one_config(number):
        content = hostile.mutated_config(text, hostile.rng_of(0, number))
        return lambda: hostile.read_config(folder, content)
    def one_header(number):
        content = hostile.mutated_weights(weights, hostile.rng_of(0, number))
        return lambda: hostile.read_weights(path, content, network)
    configs, headers = hostile.count(300, one_config), hostile.count(2000, one_header)
print(json.dumps([found, configs, headers, before, compiled]))
"""


def test_hostile_files_give_documented_errors_in_bounded_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found, configs, headers, before, compiled = json.loads(done.stdout)
    assert not compiled, "reading a model imported torch's compiler, which takes seconds"
    allowed = {"CorruptFile", "BadOption", "Incompatible"}
    assert {label: row for label, row in found.items() if row[0] not in allowed} == {}
    assert {label: row for label, row in found.items() if row[2] > 10} == {}
    for rows, least in ((configs, 30), (headers, 50)):
        assert rows["undocumented"] == []
        assert rows["outcomes"]["read"] >= least  # some mutations mean nothing, so the others are what is refused
        assert rows["outcomes"]["CorruptFile"] >= 0.5 * rows["inputs"]
        assert rows["peak_memory_MiB"]["after"] < before + 200


@pytest.mark.parametrize("kind", ["generator", "discriminator"])
def test_an_outline_has_the_shapes_of_its_network(kind: str) -> None:
    for found in installed().list(kind):
        if found.component.family:
            continue
        narrow = {"width": 4} if "width" in signature(found.component.load()).parameters else {}
        for options in (narrow, narrow | {"norm": "spectral"}, narrow | {"conditional": True}):
            shapes = []
            for made in (outlines("it"), torch.random.fork_rng(devices=[])):
                with made:
                    try:
                        network = installed().create(kind, found.qualified, (ImageShape(1, 16, 10),), options)
                    except BadOption:
                        break
                    shapes.append({name: tensor.shape for name, tensor in network.state_dict().items()})
            assert len(shapes) != 1, found.qualified
            assert shapes[:1] == shapes[1:], found.qualified


# Components of others


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A folder that holds the example plugin as pip would leave it."""
    folder = tmp_path / "site"
    shutil.copytree(ROOT / "plugins" / "example" / "ganzoo_swish", folder / "ganzoo_swish")
    facts = folder / "ganzoo_swish-0.1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: ganzoo-swish\nVersion: 0.1.0\n")
    (facts / "entry_points.txt").write_text("[ganzoo]\nswish = ganzoo_swish\n")
    return folder


def test_a_model_of_a_plugin(
    hub: Hub, plugin: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: Callable[[], None]
) -> None:
    @contextmanager
    def path(*folders: Path) -> Iterator[None]:
        """As a new process with these folders on PYTHONPATH."""
        for name in [n for n in sys.modules if n.startswith("ganzoo_swish")]:
            del sys.modules[name]
        installed.cache_clear()
        fresh()
        with monkeypatch.context() as patch:
            for folder in folders:
                patch.syspath_prepend(folder)
            yield
        installed.cache_clear()

    values = {key: value for key, value in SMALL.items() if key != "gen.width"}
    with path(plugin):
        gan = ganzoo.train({**values, "gen": "swishgan", "gen.hidden": 8}, tmp_path / "run")
        gan.push_to_hub("alice/swish")
    with path():
        check_refused(
            cli("sample", "alice/swish"), "needs the package ganzoo-swish: look at it, then pip install ganzoo-swish"
        )
        with pytest.raises(UnknownComponent, match="no plugin 'swish' is installed"):
            GAN.from_pretrained("alice/swish")
        assert "(ganzoo-swish 0.1.0, which is not installed)" in good(cli("info", "hub:alice/swish"))
        assert not fetched(hub) & NETWORKS
    with path(plugin):
        found = GAN.from_pretrained("alice/swish")
        assert type(found.networks["generator"]).__module__ == "ganzoo_swish.net"
        assert same(found, gan)
    assert not [name for name in sys.path if name == str(plugin)]

"""What goes wrong on the Hub, while reading and while publishing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ganzoo import GAN
from ganzoo.errors import CorruptFile
from tests.hub import Fault, Hub
from tests.model.hub.support import ALWAYS, Cli, check_refused, good, private, put, same, without


def gone(hub: Hub) -> None:
    hub.repos["kept"] = hub.repos.pop("bob/gan")


def gated(hub: Hub) -> None:
    hub.repos["bob/gan"].gated = True


def unknown(hub: Hub) -> None:
    hub.tokens.clear()


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
    "unknown": (unknown, "your token is invalid; log in with: hf auth login"),
    "gated": (gated, "'bob/gan' is gated: ask for access on its page"),
    "private": (private, "'bob/gan' is neither a folder nor a repository of the Hub that you can access"),
    "repository gone": (gone, "'bob/gan' is neither a folder nor a repository of the Hub that you can access"),
    "no config": (without("config.json"), "has no file config.json: it is not a ganzoo model"),
    "no weights": (without("generator.safetensors"), "has no file generator.safetensors"),
    "refused": (fault(".*", "", status=403), "does not give you the necessary access"),
    "asked too often": (fault(".*", "", status=429), "too many requests to the Hub"),
    "asked for weights too often": (fault("GET", WEIGHTS, status=429), "too many requests to the Hub"),
    "broken": (fault(".*", "", status=500), "the Hub has an internal error (500)"),
    "broken at the weights": (fault(".*", WEIGHTS, status=503), "the Hub has an internal error (503)"),
    "teapot": (fault("GET", WEIGHTS, status=418), "the Hub answered 418"),
    "cut short": (fault("GET", WEIGHTS, cut=100), "connection was lost (RemoteProtocolError"),
    "config cut short": (fault("GET", "/resolve/.*/config", cut=10), "connection was lost (RemoteProtocolError"),
    "other length": (fault("GET", WEIGHTS, body=b"short"), "connection was lost (OSError: Consistency check failed"),
    "wrong bytes": (fault("GET", WEIGHTS, garble=True), "generator.safetensors is missing or damaged: its SHA-256"),
    "wrong config": (fault("GET", "/resolve/.*/config", garble=True), "config.json cannot be read as JSON"),
    "another page": (fault("GET", "/resolve/.*/config", body=b"<html>"), "Consistency check failed"),
    "at a snail's pace": (fault("GET", WEIGHTS, pause=0.1), "connection was lost (ReadTimeout"),
    "dropped": (fault(".*", "", drop=True), "has no config.json in the cache, and the Hub cannot be reached"),
    "weights dropped": (fault(".*", WEIGHTS, drop=True), "connection was lost (RemoteProtocolError"),
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
        cli("list", "models", "--hub", "--author", "bob"),
        "the Hub cannot be reached, or the connection was lost (ConnectError",
    )
    assert {p.name for p in tmp_path.iterdir()} == {"cache"}


def meanwhile(hub: Hub) -> None:
    hub.before("POST", "/commit/", lambda: hub.repos["alice/gan"].commit({"theirs": b"1"}))


WRITING: dict[str, tuple[Callable[[Hub], None], str]] = {
    "unknown": (unknown, "your token is invalid; log in with: hf auth login"),
    "not hers": (lambda hub: hub.tokens.update(hf_alice="bob"), "does not give you the necessary access"),
    "somebody else": (meanwhile, "was changed by somebody else in the meantime; nothing was published"),
    "too large": (fault("POST", "/commit/", status=413), "does not accept a file of this size"),
    "asked too often": (fault("POST", "/commit/", status=429), "too many requests to the Hub"),
    "broken": (fault(".*", "", status=500), "the Hub has an internal error (500)"),
    "broken at the commit": (fault("POST", "/commit/", status=502), "the Hub has an internal error (502)"),
    "broken at the weights": (fault("PUT", "/upload/", status=503), "the Hub has an internal error (503)"),
    "weights refused": (fault("PUT", "/upload/", status=400), "the Hub answered 400"),
    "dropped": (fault("POST", "/commit/", drop=True), "connection was lost (RemoteProtocolError"),
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
    check_refused(cli("publish", runs / "first", "alice/new"), "publish again, or delete it: hf repos delete alice/new")
    assert "alice/new" in hub.repos
    hub.faults.append(Fault("POST", "/commit/", status=403))
    result = cli("publish", runs / "first", "alice/new")
    check_refused(result, "does not give you the necessary access")
    assert "delete" not in result.stderr
    assert hub.count("DELETE", "") == 0
    good(cli("publish", runs / "first", "alice/new"))


def test_a_commit_that_the_cache_holds_is_not_asked_for(hub: Hub, runs: Path) -> None:
    sha = put(hub, runs / "first")
    first = GAN.from_pretrained("bob/gan")
    hub.requests.clear()
    assert same(GAN.from_pretrained("bob/gan", revision=sha), first)
    assert same(GAN.from_pretrained(f"bob/gan@{sha}", network=None), first)
    assert not hub.requests
    GAN.from_pretrained("bob/gan")
    assert {method for method, _ in hub.requests} == {"HEAD"}  # a branch may have moved on


def test_a_commit_whose_answer_was_lost(hub: Hub, runs: Path, cli: Cli) -> None:
    hub.faults.append(Fault("POST", "/commit/", drop=True, done=True))
    check_refused(cli("publish", runs / "first", "alice/gan"), "connection was lost (RemoteProtocolError")
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
        check_refused(cli("publish", runs / "first", name), "is not the name of a model on the Hub; write org/name")
    check_refused(cli("publish", "bob/gan", "alice/gan"), "there is no run or model folder bob/gan")
    assert not hub.requests

"""Fixtures of these tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

import ganzoo
from tests.conftest import SMALL
from tests.hub import Hub
from tests.model.hub.support import ROOT


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
    for module in ("huggingface_hub.utils._http", "huggingface_hub.file_download", "ganzoo.model.hub_client"):
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

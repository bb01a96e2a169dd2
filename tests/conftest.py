"""What the tests share: small real data, small runs, a command line in this process and in another."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

import ganzoo
from ganzoo.cli import main
from ganzoo.data.images import Images
from ganzoo.registry.discovery import installed
from tests.browser import chromium

__all__ = ["chromium"]  # a fixture, one for all

if "PYTEST_XDIST_WORKER" in os.environ:  # one of several processes: one core each, and for what it starts
    os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))

SMALL: dict[str, Any] = {
    "gen.width": 4,
    "disc.width": 4,
    "data.size": 16,
    "steps": 2,
    "batch_size": 8,
    "precision": "fp32",
}


STRATEGIES = [r.component.name for r in ganzoo.list_components("ssl")]


def needs(ssl: str) -> dict[str, Any]:
    """Return the settings without which a strategy is refused."""
    strategy = installed().get("ssl", ssl).component.load()
    return {"gen.conditional": True} if strategy.needs_conditional else {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests marked slow or gpu, unless -m asks for them."""
    if not config.getoption("-m"):
        for item in items:
            for mark in ("slow", "gpu"):
                if mark in item.keywords:
                    item.add_marker(pytest.mark.skip(reason=f"run by hand: pytest -m {mark}"))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests train for later out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data sets beside the repository, or `GANZOO_TEST_DATA`."""
    folder = Path(os.environ.get("GANZOO_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "mnist" / "train.parquet").is_file():
        pytest.skip(f"no data in {folder}; set GANZOO_TEST_DATA to a folder with mnist/train.parquet")
    return folder


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `ganzoo …` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, [str(w) for w in words], prog_name="ganzoo")


@pytest.fixture
def small() -> list[str]:
    """Arguments that make `ganzoo train` take a second."""
    flags = {"data.size": "--size", "steps": "--steps", "batch_size": "--batch-size", "precision": "--precision"}
    return [w for k, v in SMALL.items() for w in ((flags[k], str(v)) if k in flags else ("--set", f"{k}={v}"))]


def everything(images: Images) -> torch.Tensor:
    """Return all images `[N, C, H, W]` uint8."""
    return next(iter(images.batches(iter([torch.arange(len(images))]))))


def python(*words: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python in another process."""
    encoding = environ.get("PYTHONIOENCODING")
    environment = {**os.environ, **environ}
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        encoding=encoding,
        errors="replace",
        check=False,
    )

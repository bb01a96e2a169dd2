"""Trackers by name: told what the run folder is told; a wrong name is one sentence; one that fails ends no run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker, get_available_trackers
from accelerate.utils import LoggerType
from click.testing import Result

from ganzoo.config.schema import Config
from ganzoo.run.folder import Run
from ganzoo.run.trackers import flatten

Cli = Callable[..., Result]


class Notebook(GeneralTracker):
    """A tracker that writes down what it is told."""

    name = "notebook"
    requires_logging_directory = True
    told: list[tuple[Any, ...]] = []  # noqa: RUF012
    fails_at = 10**9

    def __init__(self, project: str, folder: str) -> None:
        super().__init__()
        self.told.append(("made", project, folder))

    @property
    def tracker(self) -> Notebook:
        return self

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.told.append(("settings", values))

    def log(self, values: dict[str, float], step: int | None = None, **more: Any) -> None:
        if (step or 0) >= self.fails_at:
            raise ConnectionError("nobody answers")
        self.told.append((step, values))

    def finish(self) -> None:
        self.told.append(("finished",))


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> type[Notebook]:
    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "notebook", Notebook)
    monkeypatch.setattr(Notebook, "told", [])
    return Notebook


def test_a_tracker_is_told_what_the_folder_is(cli: Cli, small: list[str], tmp_path: Path, notebook: Any) -> None:
    words = ["train", *small, "--steps", 4, "--set", "log_every=2", "--set", "trackers=notebook, tensorboard"]
    done = cli(*words, "--out", "r")
    assert done.exit_code == 0, done.output
    made, settings, *rows, finished = notebook.told
    assert made == ("made", "ganzoo", "r")
    assert settings[1]["generator.width"] == 4
    assert settings[1]["data.source"] == "digits"
    assert all(isinstance(value, str | int | float) for value in settings[1].values())
    assert [{"step": step, **values} for step, values in rows] == Run(tmp_path / "r").metrics()
    assert finished == ("finished",)
    assert Run(tmp_path / "r").config().trackers == ("notebook", "tensorboard")
    assert cli("train", "--out", "r").exit_code == 0


def test_a_tracker_that_fails_is_left_out(
    cli: Cli, small: list[str], tmp_path: Path, notebook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook, "fails_at", 3)
    done = cli("train", *small, "--steps", 4, "--set", "log_every=1", "--set", "trackers=notebook", "--out", "r")
    assert done.exit_code == 0, done.output
    assert "warning  tracker notebook at step 3: it failed (ConnectionError: nobody answers)" in done.output
    assert [t["name"] for t in Run(tmp_path / "r").warnings()] == ["tracker notebook"]
    assert Run(tmp_path / "r").metrics()[-1]["step"] == 4


def test_a_tracker_that_does_not_start_is_one_sentence(
    cli: Cli, small: list[str], notebook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(self: Any) -> None:
        raise PermissionError("nobody is logged in")

    monkeypatch.setattr(notebook, "start", start)
    done = cli("train", *small, "--set", "trackers=notebook", "--out", "r")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: tracker 'notebook' cannot be started (PermissionError: nobody is logged in)")


def test_names_are_checked_before_anything_is_written(cli: Cli, small: list[str], tmp_path: Path) -> None:
    known = set(LoggerType.list()) - {"all", *map(str, get_available_trackers())}
    absent = min(known)
    for name, said in (
        ("wandbb", "no tracker is called 'wandbb'; did you mean 'wandb'? Trackers: aim, clearml"),
        (absent, f"tracker '{absent}' is not installed: pip install {absent}"),
        ("[1]", "configuration key 'trackers"),
    ):
        done = cli("train", *small, "--set", f"trackers={name}")
        assert done.exit_code == 1
        assert done.stderr.startswith("error: ")
        assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_lists_and_texts_are_one() -> None:
    base = {n: {"name": n} for n in ("generator", "discriminator", "loss", "ssl")} | {"data": {"source": "digits"}}
    assert Config.parse({**base, "trackers": "a, b"}) == Config.parse({**base, "trackers": ["a", "b"]})
    assert Config.parse(base).trackers == ()


def test_settings_are_flat() -> None:
    nested = {"a": {"b": 1, "c": {"d": None, "e": [1]}}, "f": True}
    assert dict(flatten(nested)) == {"a.b": 1, "a.c.e": "[1]", "f": True}

"""The numbers in the docs: how they are measured, kept and put together."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks import record, ssl_mnist, studies
from ganzoo import configure
from ganzoo.registry.discovery import installed

WHERE = {
    "machine": {"processor": "p", "cores": 1, "bf16": [], "gpu": None, "system": "Linux"},
    "versions": {"python": "3"},
    "commit": "abc",
}


@pytest.fixture
def committed(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that makes the tables of the docs."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs"))
    return importlib.import_module("measured")


@pytest.fixture
def measured(committed: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The same with results of its own."""
    monkeypatch.setattr(committed, "RESULTS", tmp_path)
    for name in ("ssl_mnist", "studies"):
        (tmp_path / name).mkdir()
    return committed


def keep(folder: Path, split: int, error: float, **more: Any) -> None:
    """Keep a run of a preset, as the benchmark does."""
    values = {"data.split_seed": split, "seed": split, "data.labels": 100, **more.pop("values", {})}
    config = ssl_mnist.recipe(configure(preset="fast-mnist-100", values=values))
    facts = {"preset": "fast-mnist-100", "seed": split, "split_seed": split, "labels": 100, "steps": config.steps}
    result = {**facts, "config": config.to_dict(), "error": error, "error_raw": error, "seconds": 60, **more}
    number = len(list((folder / "ssl_mnist").iterdir()))
    (folder / "ssl_mnist" / f"{number}.json").write_text(json.dumps({"result": result, **WHERE}))


def rows(text: str) -> list[list[str]]:
    """Return the cells of a Markdown table below its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_runs_of_a_preset_are_told_from_earlier_recipes_and_from_changed_ones(
    measured: ModuleType, tmp_path: Path
) -> None:
    keep(tmp_path, 10, 0.010)
    keep(tmp_path, 11, 0.013, values={"evaluate_every": 7})  # how often it was looked at is no other recipe
    keep(tmp_path, 4, 0.2, values={"ssl.answer": 1.0})
    keep(tmp_path, 10, 0.015, values={"ssl.gan": False}, changed=["ssl.gan=false"])
    keep(tmp_path, 11, 0.012, values={"ssl.gan": False}, changed=["ssl.gan=false"])
    now, earlier = rows(measured.reproductions())
    assert now[:5] == ["`fast-mnist-100`", "100", "**1.15 ± 0.21** (2)", "1.15", "1.00 (10), 1.30 (11)"]
    assert now[6:] == ["10000", "1 (1)"]
    assert earlier[:3] == ["`fast-mnist-100`, an earlier recipe", "100", "**20.00** (1)"]
    ((name, _, _, _, values, *_),) = rows(measured.variations())
    assert (name, values) == ("`fast-mnist-100`, `ssl.gan=false`", "1.50 (10), 1.20 (11)")
    assert rows(measured.preset_gains()) == [["`fast-mnist-100`", "100", "`ssl.gan=false`", "+0.20 ± 0.42", "2"]]
    assert measured.ran("fast-mnist-100") == "1.15 ± 0.21 % (2 runs)"
    assert measured.ran("best-mnist-100") == "not yet run"


def test_presets_for_few_labels_say_what_they_came_to(committed: ModuleType) -> None:
    presets = [r.component for r in installed().list("preset") if committed.few_labels(r.component.load())]
    assert len(presets) > 8
    here = {p.name: p.summary.partition(committed.HERE)[2] for p in presets}
    assert here == {p.name: committed.ran(p.name) for p in presets}


def test_what_a_gan_adds_is_a_difference_seed_by_seed(measured: ModuleType, tmp_path: Path) -> None:
    errors = {
        "supervised": (0.10, 0.30),
        "kplus1": (0.05, 0.11),
        "kplus1:ssl.gan=off": (0.04, 0.20),
        "mdgan": (0.1, 0.3),
    }
    cells = [
        {"strategy": strategy, "labels": 100, "seed": seed, "error": error}
        for strategy, found in errors.items()
        for seed, error in enumerate(found)
    ]
    (tmp_path / "studies" / "s.json").write_text(json.dumps({"result": {"cells": cells, "table": []}, **WHERE}))
    assert rows(measured.gains("s")) == [
        ["`kplus1`", "+12.00 ± 9.90", "+4.00 ± 7.07"],
        ["`mdgan`", "+0.00 ± 0.00", "+0.00 ± 0.00"],
    ]


def test_a_kept_study_has_the_command_of_all_its_seeds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(studies, "FOLDER", tmp_path / "kept")
    cells = [{"seed": seed} for seed in (3, 5, 4)]
    (tmp_path / "results.json").write_text(json.dumps({"cells": cells, "table": [{"labels": 100}]}))
    studies.keep("mnist-100", tmp_path, WHERE)
    kept = json.loads((tmp_path / "kept" / "mnist-100.json").read_text())
    assert " --seeds 3-5 " in kept["result"]["command"]
    assert kept["result"]["command"].endswith("--data mnist --out studies/mnist-100")
    assert (kept["result"]["cells"], kept["commit"]) == (cells, "abc")
    (tmp_path / "results.json").write_text(json.dumps({"cells": [*cells, {"seed": 0}], "table": []}))
    with pytest.raises(SystemExit, match="leave some out"):
        studies.keep("mnist-100", tmp_path, WHERE)


def test_every_commit_of_a_measurement_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for commit, named in (("a", "a"), ("b", "a, b"), ("a", "a, b")):
        monkeypatch.setattr(record, "where", lambda commit=commit: {"commit": commit})
        assert record.with_commits(tmp_path / "runs" / "x") == {"commit": named}
        (tmp_path / "runs" / "x").mkdir(exist_ok=True)
    (tmp_path / "runs" / "x").rmdir()
    assert record.with_commits(tmp_path / "runs" / "x") == {"commit": "a"}  # another run


def test_a_run_of_a_preset_is_kept_not_repeated_and_not_taken_for_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for k in range(10):
        (tmp_path / "images" / str(k)).mkdir(parents=True)
        for i in range(8):
            image = Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8))
            image.save(tmp_path / "images" / str(k) / f"{i}.png")
    monkeypatch.setattr(ssl_mnist, "FOLDER", tmp_path / "kept")
    words = ["ssl_mnist", "--preset", "fast-mnist-100", "--data", str(tmp_path / "images"), "--labels", "20"]
    words += ["--set", "steps=4", "--set", "batch_size=4", "--seeds", "3", "--runs", str(tmp_path / "runs")]
    monkeypatch.setattr(sys, "argv", words)

    ssl_mnist.main()
    kept = json.loads((tmp_path / "kept" / "fast-mnist-100-20-4-3.json").read_text())
    result = kept["result"]
    assert (result["split_seed"], result["labels"], result["steps"]) == (3, 20, 4)
    assert (result["changed"], result["config"]["data"]["source"]) == (["steps=4", "batch_size=4"], "mnist")
    assert result["curve"][-1] == [4, result["error"], result["error_raw"]]
    assert capsys.readouterr().out.endswith(f"% of 1: {100 * result['error']:.2f}\n")

    monkeypatch.setattr(ssl_mnist, "measure", lambda *_: pytest.fail("it was run again"))
    ssl_mnist.main()
    monkeypatch.setattr(sys, "argv", [*words, "--set", "ssl.gan=false"])
    with pytest.raises(SystemExit):
        ssl_mnist.main()
    assert "is of another recipe (ssl.gan: None → False); give this one a --name" in capsys.readouterr().err

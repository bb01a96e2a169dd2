"""Studies: the same table however they got there, failures shown and tried again, every engine."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from click.testing import Result
from PIL import Image

import ganzoo
from benchmarks.ssl_mnist import other, recipe, span
from ganzoo import configure
from ganzoo.errors import BadConfig, MissingExtra, UnknownComponent
from ganzoo.plots.figures import label_efficiency
from ganzoo.study import markdown, plan, processes, ray, summary
from tests.conftest import python

Cli = Callable[..., Result]
TINY = [
    "--gen", "mlp", "--disc", "mlp", "--set", "gen.hidden=8", "--set", "disc.hidden=[16, 16]", "--size", "8",
    "--batch-size", "16", "--precision", "fp32", "--set", "optimizer.lr=3e-3",
]  # fmt: skip
TWO = ["study", "--ssl", "supervised,kplus1:ssl.gan=off", "--labels", "10,20", "--seeds", "2", *TINY, "--steps", "30"]
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # so that a sum is the same wherever it is made
TABLES = ("table.md", "table.csv", "results.json", "curve.png", "curve.svg")


def written(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in TABLES}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an uninterrupted study writes."""
    folder = tmp_path_factory.mktemp("study")
    done = python("-m", "ganzoo", *TWO, "--out", "whole", cwd=folder, **ONE_THREAD)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("· seed") == 8
    return written(folder / "whole")


def test_a_killed_study_goes_on_to_the_same_table(whole: dict[str, bytes], tmp_path: Path) -> None:
    words = ["-m", "ganzoo", *TWO, "--out", "cut"]
    process = subprocess.Popen([sys.executable, *words], cwd=tmp_path, env=os.environ | ONE_THREAD)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "cut" / "cells").glob("*/model/config.json"))) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(list((tmp_path / "cut" / "cells").glob("*/model/config.json"))) < 8
    done = {p: p.stat().st_mtime_ns for p in (tmp_path / "cut" / "cells").glob("*/model/config.json")}
    result = python(*words, cwd=tmp_path, **ONE_THREAD)
    assert result.returncode == 0, result.stderr
    assert written(tmp_path / "cut") == whole
    assert all(p.stat().st_mtime_ns == then for p, then in done.items())  # finished cells are not run again


def test_a_stopped_study_says_so(tmp_path: Path) -> None:
    words = [w if w != "30" else "3000" for w in TWO]
    process = subprocess.Popen(
        [sys.executable, "-m", "ganzoo", *words, "--out", "cut"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "cut").glob("cells/*/metrics.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "error: stopped; finished cells are kept, and the same command continues the study\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_study_stops_its_processes(tmp_path: Path, number: int) -> None:
    words = [w if w != "30" else "100000" for w in TWO]
    words = [sys.executable, "-m", "ganzoo", *words, "--workers", "2", "--out", "cut"]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "cut").glob("cells/*/metrics.jsonl"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.endswith("error: stopped; finished cells are kept, and the same command continues the study\n")
    assert len(list((tmp_path / "cut" / "cells").iterdir())) == 2  # no other cell began
    assert len(list((tmp_path / "cut").glob("cells/*/checkpoints/0*"))) >= 2
    deadline = time.monotonic() + 30
    while alive(process.pid):
        assert time.monotonic() < deadline, "a worker is left"
        time.sleep(0.1)


def alive(group: int) -> bool:
    """Whether a process of a group lives."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_processes_give_the_same_table(whole: dict[str, bytes], tmp_path: Path) -> None:
    done = python("-m", "ganzoo", *TWO, "--workers", "2", "--out", "w", cwd=tmp_path, **ONE_THREAD)
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "w") == whole


def test_a_process_that_dies_fails_its_cell_alone(tmp_path: Path) -> None:
    words = [w if w not in ("30", "10,20") else {"30": "200", "10,20": "10"}[w] for w in TWO]
    words = [sys.executable, "-m", "ganzoo", *words, "--workers", "2", "--out", "s"]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "s").glob("cells/*/metrics.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    psutil.Process(process.pid).suspend()  # or it might give the one that is killed its next cell
    workers = [c for c in psutil.Process(process.pid).children() if "spawn_main" in " ".join(c.cmdline())]
    workers[0].kill()
    psutil.Process(process.pid).resume()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "1 of 4 cells failed" in said
    assert "its process died" in said
    rows = json.loads((tmp_path / "s" / "results.json").read_text())["cells"]
    assert sorted((r["error"] is None, r["failed"] is None) for r in rows) == [(False, True)] * 3 + [(True, False)]


def test_a_process_that_dies_between_cells_is_replaced(tmp_path: Path) -> None:
    values = {"gen": "mlp", "gen.hidden": 8, "disc": "mlp", "disc.hidden": [16, 16], "data.size": 8, "batch_size": 16}
    cells = plan(["supervised"], [10], [0, 1], {**values, "precision": "fp32", "steps": 2})
    found = processes(1)({cell.name: (cell.config.to_json(), str(tmp_path / cell.name)) for cell in cells})
    first = next(found)
    (idle,) = [c for c in psutil.Process().children() if "spawn_main" in " ".join(c.cmdline())]
    idle.kill()
    deadline = time.monotonic() + 30
    while psutil.pid_exists(idle.pid):  # until it was missed
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [outcome.failed for _, outcome in (first, *found)] == [None, None]


def test_a_ray_cluster_of_two_workers(whole: dict[str, bytes], tmp_path: Path) -> None:
    pytest.importorskip("ray")
    words = ["-m", "ganzoo", *TWO, "--ray", "local", "--out", "r"]
    done = python(*words, cwd=tmp_path, RAY_USAGE_STATS_ENABLED="0", **ONE_THREAD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert written(tmp_path / "r") == whole
    files = ("config.json", "model/config.json")  # the first and the last that a run writes
    spans = [[(cell / file).stat().st_mtime for file in files] for cell in (tmp_path / "r" / "cells").iterdir()]
    at_once = any(a != b and a[0] <= b[0] < a[1] for a in spans for b in spans)
    assert at_once or os.cpu_count() == 1, "no two cells ran at once"


def test_a_ray_cluster_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = pytest.importorskip("ray")

    def nobody(**_: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(cluster, "init", nobody)  # another one of this machine might answer
    with pytest.raises(BadConfig, match="no Ray cluster answers at 'auto'; try --ray local"):
        ray("auto")


def test_without_ray_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'torch-ganzoo\[ray\]'"):
        ray("local")


def test_failed_cells_are_shown_and_tried_again(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for k in range(2):
        (folder / str(k)).mkdir(parents=True)
        for i in range(6):
            Image.new("L", (8, 8), 100 * k + i).save(folder / str(k) / f"{i}.png")
    words = ["study", "--ssl", "supervised", "--labels", "2,30", "--seeds", "1", *TINY, "--steps", "2", "--out", "s"]
    words += ["--data", str(folder)]
    result = cli(*words)
    assert result.exit_code == 1
    assert "30 labels · seed 0 · failed: 30 labels requested, but only" in result.output
    assert "1 of 2 cells failed, supervised-30-0 first" in result.stderr
    assert "| supervised | " in (tmp_path / "s" / "table.md").read_text()
    assert "seed 0: 30 labels requested" in (tmp_path / "s" / "table.md").read_text()
    assert cli(*(w if w != "2,30" else "4" for w in words)).exit_code == 0
    assert "seed 0: 30 labels requested" in (tmp_path / "s" / "table.md").read_text()  # it has not gone
    for k in range(2):
        for i in range(6, 30):
            Image.new("L", (8, 8), 100 * k + i).save(folder / str(k) / f"{i}.png")
    result = cli(*words)
    assert result.exit_code == 0, result.output
    assert "failed" not in (tmp_path / "s" / "table.md").read_text()


def test_a_study_is_extended_but_not_changed(cli: Cli, tmp_path: Path) -> None:
    words = ["study", "--ssl", "supervised", "--labels", "10", *TINY, "--out", "s"]
    assert cli(*words, "--seeds", "1", "--steps", "2").exit_code == 0
    assert cli(*words, "--seeds", "1-2", "--steps", "2").stderr == ""
    with (tmp_path / "s" / "table.csv").open() as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["0", "1", "2"]
    made = Path("s") / "cells" / "supervised-10-0" / "environment.json"
    facts = json.loads(made.read_text())
    facts["components"][0]["version"] = "0.0"
    made.write_text(json.dumps(facts))
    assert cli(*words, "--seeds", "2", "--steps", "2").stderr == ""  # nothing new is compared with it
    said = cli(*words, "--seeds", "3-3", "--steps", "2").stderr
    assert said.startswith(f"warning: s has finished cells of torch-ganzoo 0.0, not {ganzoo.__version__}; to compare")
    made.unlink()  # what only informs may be damaged
    (Path("s") / "results.json").write_text('{"cells": [{"seed": 0}]}')
    assert cli(*words, "--seeds", "4-4", "--steps", "2").stderr == ""
    assert len(json.loads((Path("s") / "results.json").read_text())["cells"]) == 5
    result = cli(*words, "--seeds", "1", "--steps", "3")
    assert result.exit_code == 1
    assert "another configuration:\n  steps: 2 → 3\nChoose another folder" in result.stderr


def test_cells_differ_in_strategy_labels_and_seed_alone() -> None:
    cells = plan(["kplus1", "s3gan:gen.conditional=true"], [20, "all"], [3, 4], {"steps": 7})
    assert [(c.strategy, c.labels, c.seed) for c in cells[:3]] == [
        ("kplus1", 20, 3),
        ("kplus1", 20, 4),
        ("kplus1", "all", 3),
    ]
    assert len({c.name for c in cells}) == 8
    assert all(
        (c.config.seed, c.config.data.split_seed, c.config.data.labels) == (c.seed, c.seed, c.labels) for c in cells
    )
    common = [c.config.model_copy(update={"seed": 0, "data": None, "ssl": None, "generator": None}) for c in cells]
    assert all(c == common[0] for c in common)
    assert cells[-1].config.generator.options == {"width": 32, "conditional": True}


def test_wrong_plans_are_refused(cli: Cli) -> None:
    with pytest.raises(BadConfig, match="two cells called 'kplus1-20-0'"):
        plan(["kplus1", "kplus1"], [20], [0], {})
    for own in ("kplus1:data.labels=3", "kplus1:seed=3", "kplus1:ssl.name=aae"):
        with pytest.raises(BadConfig, match=r"a study sets .* itself"):
            plan([own], [20], [0], {})
    with pytest.raises(UnknownComponent, match="did you mean 'kplus1'"):
        plan(["kplus2"], [20], [0], {})
    for words, said in (
        (["--labels", "ten"], "--labels ten: give numbers"),
        (["--labels", ","], "needs at least one strategy, one number of labels"),
        (["--labels", "10", "--set", "data.split_seed=3"], "a study sets data.split_seed itself"),
        (["--labels", "10", "--set", "gen=nothing"], "no generator is called 'nothing'"),
        (["--labels", "10", "--data", "nowhere"], "strategy kplus1: there is no folder or file nowhere"),
    ):
        result = cli("study", "--ssl", "kplus1", *words, "--out", "s")
        assert result.exit_code == 1
        assert said in result.stderr
        assert not Path("s").exists()
    Path("s").mkdir()
    facts = {"strategy": "a", "labels": 1, "seed": 0}
    (Path("s") / "study.json").write_text('{"a": {"x": 1}}')
    assert "is not the plan of a study" in cli("study", "--ssl", "kplus1", "--labels", "10", "--out", "s").stderr
    (Path("s") / "study.json").write_text(f'{{"a": {json.dumps({**facts, "config": None})}}}')
    assert "is not the plan of a study" in cli("study", "--ssl", "kplus1", "--labels", "10", "--out", "s").stderr
    (Path("s") / "study.json").rename(Path("s") / "other.json")
    for place in ("s", "s/other.json"):
        assert "is not a study folder" in cli("study", "--ssl", "kplus1", "--labels", "10", "--out", place).stderr
    both = ("--workers", "2", "--ray", "local")
    assert "choose one" in cli("study", "--ssl", "kplus1", "--labels", "10", *both, "--out", "t").stderr


def test_the_table_is_mean_and_sample_deviation() -> None:
    facts = {"strategy": "a", "labels": 10, "split": "x", "failed": None, "steps": 1}
    rows = [{**facts, "seed": i, "error": e} for i, e in enumerate((0.01, 0.02, 0.06))]
    rows += [
        {**facts, "labels": 20, "seed": 0, "error": None, "failed": "no"},
        {**facts, "labels": 20, "seed": 1, "error": 0.5},
    ]
    (ten, twenty) = summary(rows)
    assert ten["mean"] == pytest.approx(0.03)
    assert ten["std"] == pytest.approx(0.02645751311)
    assert (ten["median"], ten["runs"], twenty["failed"], twenty["std"]) == (0.02, 3, 1, None)
    assert "| a | 3.00 ± 2.65 (3) | 50.00 (1, 1 failed) |" in markdown(rows)
    assert label_efficiency(summary(rows))["png"].startswith(b"\x89PNG")
    assert label_efficiency(summary(rows)) == label_efficiency(summary(rows))


def test_balanced_errors_have_a_table_where_they_differ() -> None:
    facts = {"strategy": "a", "labels": 10, "seed": 0, "failed": None, "error": 0.02}
    title = "Balanced held-out error in %"
    assert title not in markdown([facts, {**facts, "balanced_error": 0.021}])
    rows = [{**facts, "balanced_error": 0.4}, {**facts, "labels": 20, "balanced_error": None}]
    first, second = markdown(rows).split(title)
    assert "| a | 2.00 (1) | 2.00 (1) |" in first
    assert "| a | 40.00 (1) | – |" in second
    assert summary(rows, "balanced_error")[0]["errors"] == [0.4]


def test_seeds_of_a_benchmark_are_some() -> None:
    assert ([*span("7-9")], [*span("4")]) == ([7, 8, 9], [4])
    for text, said in (("9-7", "9-7"), ("a", "invalid literal"), ("", "invalid literal"), ("1-2-3", "invalid literal")):
        with pytest.raises(ValueError, match=said):
            span(text)


def test_a_kept_result_of_another_recipe_is_told_from_one_that_was_looked_at_more_often() -> None:
    values = {"data.source": "data", "seed": 3}
    kept = recipe(configure(preset="fast-mnist-100", values=values)).to_dict()
    assert kept["data"]["source"] == "mnist"
    del kept["trackers"]  # as written before there were any
    often, changed = ({**values, key: value} for key, value in (("evaluate_every", 7), ("ssl.answer", 1.0)))
    assert other(kept, configure(preset="fast-mnist-100", values=often)) == []
    (row,) = other(kept, configure(preset="fast-mnist-100", values=changed))
    assert row == "ssl.answer: 0.1 → 1.0"

"""Runs from beginning to end: what is written, stopped, continued."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import ganzoo
from ganzoo import configure
from ganzoo.api import open_run
from ganzoo.registry.discovery import installed
from ganzoo.run.folder import Run
from ganzoo.training.assemble import assemble
from ganzoo.training.trainer import Trainer
from tests.conftest import SMALL, STRATEGIES, needs
from tests.training.support import Cli, differing, ok, refused, same, weights


def shown(row: dict[str, float]) -> dict[str, float]:
    """A row of metrics without what depends on the clock."""
    return {name: value for name, value in row.items() if name != "images_per_second"}


def test_a_run_folder_holds_everything(cli: Cli, small: list[str], tmp_path: Path) -> None:
    said = ok(cli("train", *small, "--steps", 4))
    run = tmp_path / "runs" / "digits-kplus1-dcgan-1"
    assert {p.name for p in run.iterdir() if not p.name.startswith("events")} == {
        "config.json", "split.safetensors", "metrics.jsonl", "environment.json", "samples", "checkpoints", "model",
        "report.html", ".lock",
    }  # fmt: skip
    assert list(run.glob("events.out.tfevents*"))
    assert Run(run).config() == configure(values={**SMALL, "steps": 4})
    for word in (
        "100 labelled, 10 per class, split",
        "generator dcgan",
        "ssl kplus1",
        "fp32",
        "of 359 held-out images",
    ):
        assert word in said
    for path in re.findall(r"runs/\S+", said):
        assert (tmp_path / path).exists(), path
    assert Image.open(run / "samples" / "000004.png").width > 64
    rows = Run(run).metrics()
    assert [r["step"] for r in rows if "error" in r] == [1, 2, 3, 4]
    logged = {k for r in rows for k in r}
    assert {"discriminator/label", "generator/features", "images_per_second"} <= logged
    assert {"error_raw", "balanced_error", "balanced_error_raw", "macro_f1", "macro_f1_raw", "recall/3"} <= logged
    environment = json.loads((run / "environment.json").read_text())
    assert {c["kind"]: c["package"] for c in environment["components"]}["generator"] == "torch-ganzoo"
    ok(cli("train", *small, "--steps", 4))
    assert (tmp_path / "runs" / "digits-kplus1-dcgan-2").is_dir()


def test_no_pickle_is_written(cli: Cli, small: list[str], tmp_path: Path) -> None:
    ok(cli("train", *small, "--out", "r"))
    suffixes = {
        p.suffix for p in (tmp_path / "r").rglob("*") if p.is_file() and p.stat().st_size and "tfevents" not in p.name
    }
    assert suffixes == {".html", ".json", ".jsonl", ".md", ".png", ".safetensors"}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("ssl", STRATEGIES)
def test_stopped_and_continued_is_bit_identical(
    cli: Cli, small: list[str], tmp_path: Path, ssl: str, precision: str
) -> None:
    extra = ["--precision", precision, "--set", "data.shift=1", "--set", "players.discriminator.updates_per_step=2"]
    extra += [w for key, value in needs(ssl).items() for w in ("--set", f"{key}={str(value).lower()}")]
    words = ["train", *small, *extra, "--ssl", ssl, "--steps", 20, "--set", "log_every=1"]
    ok(cli(*words, "--out", "whole"))
    config = Run(tmp_path / "whole").config()
    experiment = assemble(config)
    run = Run.open(tmp_path / "cut", config, installed())
    trainer = Trainer(experiment, run)
    trainer.restore()
    for _ in range(9):
        trainer.train_step()
    trainer.recorder.save_checkpoint()
    run.close()
    ok(cli(*words, "--out", "cut"))
    terms = [
        {r["step"]: shown(r) for r in Run(tmp_path / name).metrics() if "error" not in r} for name in ("whole", "cut")
    ]
    # Before the weights, so that a failure names the first step that differs.
    assert {step: terms[0][step] for step in terms[1]} == terms[1]
    assert differing(weights(tmp_path / "whole"), weights(tmp_path / "cut")) == {}
    errors = [[r for r in Run(tmp_path / name).metrics() if "error" in r] for name in ("whole", "cut")]
    assert errors[0][-1:] == errors[1][-1:]


def test_seed_decides_everything(cli: Cli, small: list[str], tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        ok(cli("train", *small, "--seed", seed, "--out", name))
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_continue(cli: Cli, small: list[str], tmp_path: Path, number: int) -> None:
    words = [sys.executable, "-m", "ganzoo", "train", *small, "--steps", "100", "--set", "log_every=2", "--out", "r"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "r" / "metrics.jsonl").is_file():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    said = r"error: stopped at step (\d+) of 100; saved. Continue: (ganzoo .*) · Report so far: (ganzoo .*)\n"
    found = re.fullmatch(said, stderr)
    assert found, stderr
    ok(cli(*found[3].split()[1:]))
    assert f"<dd>{found[1]}</dd>" in (tmp_path / "r" / "report.html").read_text()
    assert (tmp_path / "r" / "checkpoints" / f"{int(found[1]):06d}").is_dir()
    ok(cli(*found[2].split()[1:]))
    ok(cli(*words[3:-1], "whole"))
    assert same(weights(tmp_path / "r"), weights(tmp_path / "whole"))


def test_a_killed_process_leaves_a_run_that_continues(cli: Cli, small: list[str], tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "ganzoo",
        "train",
        *small,
        "--steps",
        "300",
        "--set",
        "checkpoint_every=1",
        "--out",
        "r",
    ]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "r" / "checkpoints" / "000005").is_dir():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)
    process.kill()
    process.communicate()
    ok(cli("train", "--out", "r"))
    steps = [r["step"] for r in Run(tmp_path / "r").metrics()]
    assert steps == sorted(steps)


def test_a_finished_run_is_finished(cli: Cli, small: list[str], tmp_path: Path) -> None:
    ok(cli("train", *small, "--out", "r"))
    before, rows = weights(tmp_path / "r"), Run(tmp_path / "r").metrics()
    ok(cli("train", *small, "--out", "r"))
    assert same(before, weights(tmp_path / "r"))
    assert Run(tmp_path / "r").metrics() == rows


def test_two_processes_cannot_share_a_run(cli: Cli, small: list[str], tmp_path: Path) -> None:
    ok(cli("train", *small, "--out", "r"))
    config = Run(tmp_path / "r").config()
    first = open_run(assemble(config), tmp_path / "r", installed())
    assert "another process is training in r" in refused(cli("train", "--out", "r"))
    first.close()
    ok(cli("train", "--out", "r"))


def test_dry_run_tells_and_writes_nothing(cli: Cli, small: list[str], tmp_path: Path) -> None:
    said = ok(cli("train", *small, "--dry-run", "--out", "r"))
    assert "steps    2 of 8 images, about 0:0" in said
    assert "generator dcgan 0.0" in said
    told = json.loads(ok(cli("train", *small, "--dry-run", "--json")))
    assert ganzoo.Config.parse(told["config"]) == configure(values=SMALL)
    assert told["parameters"]["generator"] > 1000
    assert list(tmp_path.iterdir()) == []


def test_json_result(cli: Cli, small: list[str], tmp_path: Path) -> None:
    told = json.loads(ok(cli("train", *small, "--json", "--out", "r")))
    assert told["held_out"] == 359
    assert 0 <= told["error"] <= 1
    assert len(told["split"]) == 64
    assert (tmp_path / told["picture"]).is_file()

"""Two processes: different data on each, the same bits on both, one writer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import ganzoo
from tests.conftest import python

SCRIPT = """
import hashlib, json, os, sys
import torch
import ganzoo
from ganzoo import configure
from ganzoo.training.assemble import assemble
from ganzoo.base.device import leave
from ganzoo.training.trainer import Trainer
values = json.loads(sys.argv[1])
trainer = Trainer(assemble(configure(values=values)))
seen = []
for _ in range(5):
    trainer.train_step()
    seen += trainer.experiment.batches.stream("discriminator", "unlabelled").positions(trainer.state.step - 1).tolist()
state = {n: hashlib.sha256(b"".join(t.numpy().tobytes() for t in m.state_dict().values())).hexdigest()
         for gan in (trainer.gan, trainer.averaged) for n, m in gan.networks.items()}
path = f"{sys.argv[2]}-{trainer.backend.rank}.json"
open(path, "w").write(json.dumps({"state": state, "seen": seen, "world": trainer.backend.world}))
trainer.backend.wait()
leave()
"""
VALUES = {"gen.width": 4, "disc.width": 4, "disc.norm": "batch", "data.size": 16, "batch_size": 8, "precision": "fp32"}


def torchrun(cwd: Path, *words: str) -> str:
    """Run two processes.

    Once again when an interpreter aborted in gloo's threads while it ended, after all was done: a race of torch's own
    that destroying the group makes rare (pytorch/pytorch pull request 179291). It says nothing about the training.
    """
    launch = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d")
    for _ in range(2):
        done = python(*launch, "--rdzv-endpoint", "127.0.0.1:0", *words, cwd=cwd, OMP_NUM_THREADS="1")
        if "terminate called without an active exception" not in done.stderr:
            break
        shutil.rmtree(cwd / "runs", ignore_errors=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_processes_see_different_images_and_end_with_the_same_bits(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    values = VALUES | {"penalties.r1.every": 2, "disc.norm": "spectral"}
    for name, chosen in (("batch", VALUES), ("spectral", values)):
        torchrun(tmp_path, "script.py", json.dumps(chosen), name)
        a, b = (json.loads((tmp_path / f"{name}-{rank}.json").read_text()) for rank in (0, 1))
        assert a["world"] == b["world"] == 2
        assert a["state"] == b["state"]
        assert not set(a["seen"]) & set(b["seen"])
        assert len(a["seen"]) == len(b["seen"]) == 20


def test_the_command_under_torchrun(tmp_path: Path) -> None:
    words = [w for k, v in VALUES.items() for w in ("--set", f"{k}={v}")]
    said = torchrun(tmp_path, "-m", "ganzoo", "train", *words, "--steps", "4")
    assert said.count("device   cpu") == 1
    assert "2 processes" in said
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["digits-kplus1-dcgan-1"]
    assert (tmp_path / "runs" / "digits-kplus1-dcgan-1" / "model" / "generator.safetensors").is_file()
    rows = (tmp_path / "runs" / "digits-kplus1-dcgan-1" / "metrics.jsonl").read_text().splitlines()
    assert len({(json.loads(r)["step"], "error" in json.loads(r)) for r in rows}) == len(rows)


def test_two_processes_give_the_scores_of_one(tmp_path: Path, cli: Callable[..., Result]) -> None:
    ganzoo.train({**VALUES, "steps": 1, "gen.conditional": True}, tmp_path / "r")
    metrics = "fid,kid,is,prdc,memorization,accuracy,class-fid"
    words = ["evaluate", "r", "-n", "300", "--metrics", metrics, "--extractor", "classifier", "--json"]
    words += ["--set", "extractor.steps=2", "--set", "kid.subsets=2", "--set", "class-fid.fewest=2"]
    two = json.loads(torchrun(tmp_path, "-m", "ganzoo", *words))  # one of them speaks
    assert len(json.loads((tmp_path / "r" / "scores.json").read_text())) == 7  # and one writes
    one = json.loads(cli(*words).stdout)
    for metric, score in one.items():
        assert two[metric].pop("values") == pytest.approx(score.pop("values"), rel=1e-6, abs=1e-9)
    assert two == one

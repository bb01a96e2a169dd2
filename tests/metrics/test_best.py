"""The best weights of a run: chosen by training images alone, kept beside the last ones, used like any model."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result

import ganzoo
from ganzoo import configure
from ganzoo.data import SavedSplit
from ganzoo.errors import BadData
from ganzoo.metrics import Score, Stamp
from ganzoo.metrics.best import BestMetric
from ganzoo.run.folder import Run
from ganzoo.training.assemble import assemble
from ganzoo.training.trainer import Trainer
from tests.conftest import SMALL

Cli = Callable[..., Result]
QUICK = {"extractor": {"name": "classifier", "steps": 2}, "best_metric_images": 40}
KID = {"name": "kid", "subsets": 2}
WORDS = ["--extractor", "classifier", "--set", "extractor.steps=2", "--set", "best_metric_images=40"]


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the judge is made to say, one number an evaluation; the first is of the rehearsal."""
    said: list[float] = []
    given: Iterator[float] = iter(said)
    real = BestMetric.__call__

    def judged(self: BestMetric) -> Score:
        score = real(self)
        return dataclasses.replace(score, values={**score.values, next(iter(score.values)): next(given)})

    monkeypatch.setattr(BestMetric, "__call__", judged)
    return said


def test_the_best_is_kept_beside_the_last(cli: Cli, small: list[str], tmp_path: Path, scores: list[float]) -> None:
    scores += [9.0, 5.0, float("nan"), 3.0, 4.0]
    words = [
        "train",
        *small,
        "--steps",
        4,
        "--set",
        "evaluate_every=1",
        "--best-metric",
        "kid",
        "--set",
        "best_metric.subsets=2",
        *WORDS,
        "--out",
        "r",
    ]
    done = cli(*words)
    assert done.exit_code == 0, done.output
    assert "best     r/best · kid 3 at step 3, compared with digits, train\n" in done.output
    run = Run(tmp_path / "r")
    assert [(row["step"], row["kid"]) for row in run.metrics() if "kid" in row] == [
        (1, 5.0),
        (3, 3.0),
        (4, 4.0),
    ]
    best = Score.of(run.best()["best"])
    assert (best.values["kid"], best.stamp.metric, best.stamp.real) == (3.0, "zoo/kid", "digits, train")
    assert (best.stamp.weights, best.stamp.fake_count) == ("averaged", 40)
    facts = {name: ganzoo.GAN.from_pretrained(tmp_path / "r" / name).metadata for name in ("model", "best")}
    assert (facts["model"]["step"], facts["best"]["step"]) == (4, 3)
    assert (facts["model"]["metrics"]["step"], facts["best"]["metrics"]["step"]) == (4, 3)
    sampled = cli("sample", "r/best", "-n", 4, "--out", "b.png")
    assert sampled.exit_code == 0, sampled.output
    assert (tmp_path / "b.png").is_file()


def test_the_best_weights_are_the_averaged_ones_of_their_step(tmp_path: Path, scores: list[float]) -> None:
    scores += [9.0, 5.0, 1.0, 2.0]
    config = configure(values={**SMALL, **QUICK, "best_metric": KID, "steps": 3, "evaluate_every": 1})
    trainer = Trainer(assemble(config), Run.open(tmp_path / "r", config, ganzoo.registry.installed()))
    kept: dict[int, torch.Tensor] = {}
    iterate = trainer.train_step

    def step() -> None:
        iterate()
        kept[trainer.state.step] = trainer.averaged.sample(4, seed=0)

    trainer.train_step = step  # type: ignore[method-assign]
    trainer.fit()
    best = ganzoo.GAN.from_pretrained(tmp_path / "r" / "best").sample(4, seed=0)
    assert torch.equal(best, kept[2])
    assert not torch.equal(best, kept[3])


def test_a_run_that_continues_has_the_same_best(tmp_path: Path) -> None:
    config = configure(
        values={**SMALL, **QUICK, "best_metric": KID, "steps": 6, "evaluate_every": 1, "checkpoint_every": 3}
    )
    ganzoo.train(config, tmp_path / "r")
    run = Run(tmp_path / "r")
    whole, rows = run.best(), run.metrics()
    shutil.rmtree(run.checkpoints()[-1])
    ganzoo.train(config, tmp_path / "r")
    again = run.best()
    assert again is not None
    assert (again["step"], again["best"]) == (whole["step"], whole["best"])  # type: ignore[index]
    assert [r["kid"] for r in run.metrics() if "kid" in r] == [r["kid"] for r in rows if "kid" in r]


def test_judging_changes_nothing(tmp_path: Path) -> None:
    ends = []
    for best in ({"best_metric": KID, **QUICK}, {}):
        gan = ganzoo.train({**SMALL, **best, "steps": 3, "evaluate_every": 1}, tmp_path / f"r{len(ends)}")
        ends.append(gan.sample(2, seed=0))
    assert torch.equal(*ends)


def test_no_held_out_image_reaches_the_judge() -> None:
    experiment = assemble(configure(values={**SMALL, **QUICK, "best_metric": "memorization"}))
    assert experiment.best_metric
    assert len(experiment.data.test)
    assert not len(experiment.best_metric.evidence.data.test)
    assert not len(experiment.best_metric.evidence.data.test_labels)
    assert set(experiment.best_metric().values) == {"authenticity"}  # `copied` is about held-out images
    assert (
        len(experiment.best_metric.evidence.data.labelled) == 100
    )  # the extractor learns from labels that the run may see


def test_validation_images_choose_by_accuracy(cli: Cli, small: list[str], tmp_path: Path) -> None:
    """They are left out of training, and their labels are none of those that it may see."""
    words = ["--set", "data.validation=50", "--set", "evaluate_every=1", "--steps", 3]
    done = cli("train", *small, *words, "--best-metric", "accuracy", "--out", "r")
    assert done.exit_code == 0, done.output
    assert "· 50 for validation ·" in done.output
    run = Run(tmp_path / "r")
    best = Score.of(run.best()["best"])  # type: ignore[index]
    assert (best.stamp.metric, best.stamp.real, best.stamp.real_count) == ("zoo/accuracy", "digits, validation", 50)
    assert best.values["accuracy"] == max(row["accuracy"] for row in run.metrics() if "accuracy" in row)
    assert f"best     r/best · accuracy {best.values['accuracy']:.4g}" in done.output
    assert "compared with digits, validation\n" in done.output

    without = assemble(configure(values=SMALL)).data.split
    split = SavedSplit.of(tmp_path / "r").match(without.keys, np.arange(len(without.keys)))
    assert np.array_equal(split.labelled, without.labelled)
    assert np.array_equal(np.sort(np.concatenate([split.train, split.validation])), without.train)
    assert np.array_equal(split.test, without.test)
    again = assemble(configure(values={**SMALL, "data.split": str(tmp_path / "r")})).data
    assert again.split.hash == split.hash
    assert np.bincount(again.validation_labels).tolist() == [5] * 10
    assert cli("train", "--out", "r").exit_code == 0


def test_the_best_weights_are_scored_against_the_data_of_their_run(cli: Cli, small: list[str], tmp_path: Path) -> None:
    assert (
        cli("train", *small, "--best-metric", "is", "--set", "best_metric.splits=2", *WORDS, "--out", "r").exit_code
        == 0
    )
    asked = ["-n", 20, "--metrics", "kid,accuracy", "--extractor", "classifier", "--set", "extractor.steps=2", "--json"]
    scored = {name: cli("evaluate", name, *asked) for name in ("r", "r/model", "r/best")}
    assert {done.exit_code for done in scored.values()} == {0}, scored
    told = {name: json.loads(done.stdout) for name, done in scored.items()}
    assert told["r"] == told["r/model"]
    assert told["r"]["kid"]["stamp"] == told["r/best"]["kid"]["stamp"]
    assert [len(json.loads((tmp_path / place / "scores.json").read_bytes())) for place in ("r", "r/best")] == [2, 2]
    assert not (tmp_path / "r" / "model" / "scores.json").exists()
    assert cli("compare", "r", "r/best").exit_code == 0
    shutil.copytree(tmp_path / "r" / "best", tmp_path / "alone")
    assert "--data" in cli("evaluate", "alone", *asked).stderr


def test_a_score_beats_another_of_its_protocol_alone() -> None:
    experiment = assemble(configure(values={**SMALL, **QUICK, "best_metric": KID}))
    judge: Any = experiment.best_metric

    def score(value: float, count: int = 1) -> Score:
        return Score({"fid": value}, Stamp("zoo/fid", fake_count=count))

    assert judge.better(score(1), None)
    assert judge.better(score(1), score(2))
    assert not judge.better(score(2), score(2))
    assert judge.better(score(3, count=2), score(2))
    assert not judge.better(score(float("nan")), None)
    judge.smaller_is_better = False
    assert judge.better(score(2), score(1))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--best-metric", "fidd"], "no metric is called 'fidd'; did you mean 'fid'?"),
        (["--best-metric", "prdc", "--set", "best_metric.kk=3"], "metric 'prdc' has no option 'kk'; did you mean 'k'?"),
        (
            ["--best-metric", "fid", "--extractor", "clasifier"],
            "no extractor is called 'clasifier'; did you mean 'classifier'?",
        ),
        (
            ["--best-metric", "accuracy", *WORDS],
            "best_metric 'zoo/accuracy' cannot be computed without test images, which must not select weights (no "
            "labelled image of 'digits' is held out for validation; see --set data.validation)",
        ),
        (
            ["--best-metric", "cas", *WORDS, "--set", "gen.conditional=true"],
            "held out for validation; see --set data.valid",
        ),
        (["--best-metric", "class-fid", *WORDS], "no image of 'digits' is held out for validation"),
        (["--set", "data.validation=1400"], "1400 labels for validation requested, but only 1338 training images have"),
        (["--set", "data.validation=5"], "5 labels for validation are too few for 10 classes"),
        (["--extractor", "classifier"], "'extractor' is used by `best_metric` only; set that too: --best-metric"),
        (
            ["--best-metric", "fid", "--set", "best_metric_images=1"],
            "configuration key 'best_metric_images' cannot be 1",
        ),
        (["--best-metric", "fid", *WORDS, "--ssl", "supervised"], "this model has no generator"),
    ],
)
def test_refusals(cli: Cli, small: list[str], tmp_path: Path, words: list[str], said: str) -> None:
    done = cli("train", *small, *words)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_json_tells_the_best(cli: Cli, small: list[str], tmp_path: Path) -> None:
    done = cli("train", *small, "--best-metric", "is", "--set", "best_metric.splits=2", *WORDS, "--json", "--out", "r")
    told = json.loads(done.stdout)["best"]
    assert told["model"] == "r/best"
    assert told["value"] == "is"
    assert told["score"] >= 1


def test_an_extractor_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    from PIL import Image

    for i in range(6):
        Image.new("L", (16, 16), 40 * i).save(tmp_path / f"{i}.png")
    values = {**SMALL, "ssl": "none", "data.source": str(tmp_path), "data.labels": "all", "best_metric": "fid", **QUICK}
    with pytest.raises(BadData, match="labelled images of at least two classes"):
        assemble(configure(values=values))

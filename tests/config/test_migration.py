"""Folders that version 0.1.0 wrote (format 1) still load, continue and are shown; old words get the new ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result

import ganzoo
from ganzoo.base.storage import read_tensors
from ganzoo.config.migrate import RENAMED, migrate_values, renamed_key
from ganzoo.config.schema import Config
from ganzoo.errors import BadConfig, CorruptFile
from ganzoo.metrics.scores_file import read_scores
from ganzoo.report.page import write_report
from ganzoo.run.folder import Run
from ganzoo.training.assemble import assemble
from ganzoo.training.trainer import Trainer

Cli = Callable[..., Result]
FORMAT_1 = Path(__file__).parents[1] / "fixtures" / "format-1"
"""`run`: stopped at step 20 of 40. `finished`: the model that version 0.1.0 had at step 40."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    shutil.copytree(FORMAT_1, tmp_path / "old")
    return tmp_path / "old"


def test_a_run_of_format_1_continues_to_the_same_weights(old: Path) -> None:
    ganzoo.train(out=old / "run")
    for name in ("generator", "discriminator"):
        ours, theirs = (read_tensors(f / f"{name}.safetensors") for f in (old / "run" / "model", old / "finished"))
        assert ours.keys() == theirs.keys()
        for key, tensor in theirs.items():
            torch.testing.assert_close(ours[key], tensor, rtol=1e-4, atol=1e-6, msg=key)
    written = json.loads((old / "run" / "model" / "config.json").read_text())
    assert (written["format"], written["shape"]) == (2, {"channels": 1, "height": 8, "width": 8, "classes": 10})
    assert written["run"]["batch_size"] == 16
    assert written["run"]["penalties"] == {"zoo/gradient-penalty": {}}


def test_its_checkpoint_has_the_error_alone(old: Path) -> None:
    trainer = Trainer(assemble(Run(old / "run").config()))
    trainer.state.load(old / "run" / "checkpoints" / "000020")
    assert trainer.state.metrics == {"error": pytest.approx(0.9164345), "step": 20}
    trainer.train_step()
    trainer.recorder.evaluate()
    assert {"balanced_error", "macro_f1", "recall", "support"} <= trainer.state.metrics.keys()


def test_the_same_command_continues_it(old: Path, cli: Cli) -> None:
    words = ["--gen", "mlp", "--disc", "mlp", "--size", 8, "--labels", 20, "--steps", 40, "--batch-size", 16]
    words += ["--precision", "fp32", "--device", "cpu", "--penalty", "gradient-penalty", "--best-metric", "fid"]
    words += ["--extractor", "classifier"]
    settings = ["gen.hidden=8", "gen.z_dim=4", "disc.hidden=[8,8]", "players.discriminator.updates_per_step=2"]
    settings += ["gradient_accumulation_steps=2", "optimizer.schedule=cosine", "optimizer.decay_start=0.5"]
    settings += ["optimizer.final_lr_ratio=0.1", "log_every=5", "checkpoint_every=20", "sample_every=20"]
    settings += ["evaluate_every=20", "best_metric_images=50"]
    words += [word for setting in settings for word in ("--set", setting)]
    done = cli("train", *words, "--out", old / "run")
    assert done.exit_code == 0, done.output
    assert "step 25/40" in done.output
    refused = cli("train", *words, "--steps", 50, "--out", old / "run")
    assert "steps: 40 → 50" in refused.stderr
    assert refused.stderr.count("→") == 1


def test_its_metrics_and_warnings_have_the_new_names(old: Path) -> None:
    run = Run(old / "run")
    names = {name for row in run.metrics() for name in row}
    assert {"mean_logit", "discriminator_auc", "discriminator_loss_slope", "generator_loss_slope"} <= names
    assert not names & {"realness", "separation", "discriminator_slope", "generator_slope"}
    (warning,) = run.warnings()
    assert (warning["name"], warning["step"]) == ("mode collapse", 20)
    assert warning["message"].startswith("generated images are 0.05 times")
    run.truncate_metrics(10)
    assert run.warnings() == []
    assert max(row["step"] for row in run.metrics()) == 10


def test_a_report_of_it_shows_them(old: Path) -> None:
    page = write_report(old / "run").read_text()
    assert "generated images are 0.05 times" in page
    assert "mean_logit" in page
    shutil.copytree(old / "finished", old / "run" / "model")
    page = write_report(old / "run").read_text()
    assert "held-out error, averaged weights" in page
    assert ">Labels</h2>" in page
    assert "balanced" not in page.partition("<body>")[2]  # it was not measured


def test_its_best_weights_and_scores_are_read(old: Path, cli: Cli) -> None:
    assert ganzoo.GAN.from_pretrained(old / "run" / "best").sample(2, seed=0).shape == (2, 1, 8, 8)
    shutil.copytree(old / "finished", old / "run" / "model")
    assert [score.stamp.metric for score in read_scores(old / "run")] == ["zoo/fid", "zoo/accuracy"]
    done = cli("evaluate", old / "run", "--metrics", "accuracy", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["accuracy"]["values"]["accuracy"] == pytest.approx(0.1253, abs=0.02)


def test_a_model_of_format_1_loads_and_is_saved_in_format_2(old: Path, tmp_path: Path) -> None:
    gan = ganzoo.GAN.from_pretrained(old / "finished")
    assert gan.shape == ganzoo.ImageShape(1, 8, 8, 10)
    assert gan.metadata["run"]["players"] == {"discriminator": {"updates_per_step": 2}}
    gan.save(tmp_path / "new")
    again = ganzoo.GAN.from_pretrained(tmp_path / "new")
    assert torch.equal(gan.sample(4, seed=0), again.sample(4, seed=0))
    card = (tmp_path / "new" / "README.md").read_text()
    assert "Held-out error **" in card
    assert "balanced" not in card
    assert json.loads((tmp_path / "new" / "config.json").read_text())["format"] == 2


def test_a_damaged_one_is_refused(old: Path) -> None:
    path = old / "finished" / "config.json"
    config = json.loads(path.read_text())
    for shape in ({"channels": 1, "size": "8", "classes": 10}, {"channels": 1, "classes": 10}, 8):
        path.write_text(json.dumps({**config, "shape": shape}))
        with pytest.raises(CorruptFile, match="does not describe a model"):
            ganzoo.GAN.from_pretrained(old / "finished")


def test_a_study_of_format_1_goes_on(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--ssl", "supervised", "--labels", 20, "--seeds", 1, "--gen", "mlp", "--disc", "mlp", "--size", 8]
    words += ["--steps", 2, "--batch-size", 8, "--precision", "fp32", "--set", "gen.hidden=8", "--out", "s"]
    assert cli("study", *words).exit_code == 0
    plan = json.loads(Path("s/study.json").read_text())
    for cell in plan.values():  # as version 0.1.0 wrote it
        config = {key: value for key, value in cell["config"].items() if key != "format"}
        former = {new: old for old, new in RENAMED.items()}
        config["optimizer"] = {
            former.get(f"optimizer.{k}", k).rpartition(".")[2]: v for k, v in config["optimizer"].items()
        }
        cell["config"] = {former.get(key, key): value for key, value in config.items()}
    assert "batch" in next(iter(plan.values()))["config"]
    Path("s/study.json").write_text(json.dumps(plan))
    done = cli("study", *words)
    assert done.exit_code == 0, done.output


def test_every_renamed_key_is_a_key_today() -> None:
    today = Config.model_fields.keys()
    for former, present in RENAMED.items():
        owner, _, key = present.rpartition(".")
        fields = type(Config.model_fields["optimizer"].default).model_fields if owner else today
        assert key in fields
        assert former.rpartition(".")[2] not in fields
        assert renamed_key(former) == present


def test_a_later_format_is_refused() -> None:
    with pytest.raises(BadConfig, match="install a newer one"):
        migrate_values({}, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "--batch", "8"), "--batch is now called --batch-size"),
        (("train", "--best=fid"), "--best is now called --best-metric"),
        (("train", "--features", "classifier"), "--features is now called --extractor"),
        (("study", "--ssl", "none", "--batch", "8"), "--batch is now called --batch-size"),
        (("evaluate", "run", "--features", "classifier"), "--features is now called --extractor"),
        (("train", "--set", "batch=8"), "configuration key 'batch' is now called 'batch_size'"),
        (("train", "--set", "players.generator.moves=2"), "is now called 'players.generator.updates_per_step'"),
        (("train", "--set", "best.k=3"), "configuration key 'best' is now called 'best_metric'"),
    ],
)
def test_an_old_word_gets_the_new_one(cli: Cli, words: tuple[str, ...], message: str) -> None:
    done = cli(*words)
    assert done.exit_code != 0
    assert message in done.stderr


def test_an_old_key_in_a_file_of_the_user_gets_the_new_one(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "c.yaml").write_text("optimizer: {hold: 0.5}\n")
    done = cli("train", "--config", "c.yaml")
    assert "configuration key 'optimizer.hold' is now called 'optimizer.decay_start'" in done.stderr
    shutil.copy(FORMAT_1 / "run" / "config.json", tmp_path / "copied.json")  # which says nothing of its format
    assert "is now called" in cli("train", "--config", "copied.json").stderr

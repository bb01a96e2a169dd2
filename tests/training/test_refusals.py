"""What is refused, each in one sentence, with nothing left half-done."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

import ganzoo
from ganzoo import configure
from ganzoo.errors import Diverged, RunMismatch
from ganzoo.run.folder import Run
from tests.conftest import SMALL, python
from tests.training.support import Cli, ok, refused, same, weights


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gen", "dcgn"], "no generator is called 'dcgn'; did you mean 'dcgan'? See them all: ganzoo list gen"),
        (["--ssl", "kplus2"], "no ssl is called 'kplus2'; did you mean 'kplus1'?"),
        (["--set", "gen.widht=8"], "generator 'dcgan' has no option 'widht'; did you mean 'width'?"),
        (["--set", "gen.width=wide"], "generator 'dcgan': option 'width' is int, not 'wide'"),
        (["--set", "gen.width=0"], "generator 'zoo/dcgan' with options {'width': 0} fails"),
        (["--set", "gen.width"], "write key=value"),
        (["--set", "stepz=3"], "did you mean 'steps'?"),
        (["--steps", "0"], "configuration key 'steps' cannot be 0"),
        (["--labels", "many"], "configuration key 'data.labels' cannot be 'many'"),
        (["--labels", "2000"], "2000 labels requested, but only 1438 training images have one"),
        (["--labels", "5"], "5 labels are too few for 10 classes"),
        (["--data", "nowhere"], "there is no folder or file nowhere"),
        (["--size", "18"], "generator 'zoo/dcgan' cannot do images of 18×18; it can do 16, 32, 64, 128, 256, and"),
        (["--size", "32x33"], "generator 'zoo/dcgan' cannot do images of 32×33"),
        (["--gen", "conv-small", "--size", "32x64"], "cannot do images of 32×64; it can do 16, 24, 32, 40, 48, 64"),
        (["--device", "cuda"], "no CUDA device"),
        (["--device", "gpu"], "no device is called 'gpu'"),
        (["--precision", "fp16", "--device", "cpu"], "fp16 needs a CUDA device"),
        (["--config", "absent.yaml"], "configuration absent.yaml cannot be read"),
        (["--penalty", "r1", "--set", "disc.norm=batch"], "batch norm in discriminator 'zoo/dcgan' mixes them"),
        (["--penalty", "gradient-penalty", "--ssl", "supervised"], "this needs a generator; the strategy trains"),
        (["--penalty", "pull-away", "--set", "ssl.gan=off"], "is for a player called 'generator'"),
        (["--penalty", "vat", "--ssl", "none"], "it needs class logits, and the strategy's discriminator has none"),
        (["--penalty", "consistency"], "it needs dropout or noise, as with --set disc.dropout=0.2"),
        (["--ssl", "s3gan"], "and 'zoo/dcgan' with these options is unconditional"),
        (["--ssl", "aae"], "try: --set gen.conditional=true"),
        (["--labels", "all", "--set", "data.labelled_in_unlabelled=no"], "unlabelled images, and 'digits' has none"),
        (["--split", "nowhere"], "there is no split nowhere"),
        (["--split", "nowhere", "--labels", "20"], "data.labels and data.split cannot be combined"),
        (["--set", "players.critic.lr=1"], "no player is called 'critic'"),
        (["--set", "gradient_accumulation_steps=3"], "cannot be divided into 3 equal micro-batches"),
        (["--set", "gen.conditional=true", "--data", "flat", "--ssl", "none"], "the data has no classes"),
        (["--data", "flat"], "needs labelled images, and the data has none"),
        (["--set", "penalties.r1.every=0"], "cannot be evaluated every 0 steps"),
        (["--set", "gen.kind=3"], "generator 'dcgan' has no option 'kind'"),
        (["--set", "ssl.adversarial_weight=0", "--set", "ssl.feature_weight=0"], "has no loss to minimise"),
        (["--split-seed", "-1"], "configuration key 'data.split_seed' cannot be -1"),
        (["--set", "data.shift=16"], "cannot be shifted by 16 pixels"),
        (["--set", "data.options.foo=1", "--data", "flat"], "has no option 'foo'. Its options: level"),
        (["--set", "players.generator.lr=abc"], "configuration key 'players.generator.lr' cannot be 'abc'"),
        (["--set", "players.generator.foo=1"], "no configuration key is called 'players.generator.foo'"),
        (["--set", "gen.width=true"], "option 'width' is int, not True"),
        (["--set", "optimizer.decay_end=0.2", "--set", "optimizer.decay_start=0.5"], "decay_end 0.2 is not after"),
        (["--set", "optimizer.lr=.inf"], "configuration key 'optimizer.lr' cannot be inf"),
        (["--ssl", "none", "--set", "ssl.gan=off"], "ssl 'none' has no option 'gan'"),
        (["--data", "d/nowhere"], "there is no folder or file d/nowhere"),
        (["--out", "/dev/null/x"], "cannot write /dev/null/x"),
        (["--out", "flat"], "flat exists and is not a run folder"),
    ],
)  # fmt: skip
def test_refusals(cli: Cli, small: list[str], tmp_path: Path, words: list[str], said: str) -> None:
    if torch.cuda.is_available() and "cuda" in words:
        pytest.skip("this machine has a CUDA device")
    (tmp_path / "flat").mkdir()
    for i in range(6):
        Image.new("L", (16, 16), i).save(tmp_path / "flat" / f"{i}.png")
    before = sorted(tmp_path.rglob("*"))
    assert said in refused(cli("train", *small, *words))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_batch_that_the_parts_cannot_do_is_refused_before_the_run(cli: Cli, tmp_path: Path) -> None:
    said = refused(cli("train", "--gen", "mlp", "--size", 16, "--batch-size", 1, "--steps", 2))
    assert "cannot take a step with these components and a batch of 1" in said
    assert not list(tmp_path.iterdir())


def test_usage_errors_exit_with_2(cli: Cli) -> None:
    assert "did you mean 'train'" in cli("trian").stderr.lower()
    assert cli("trian").exit_code == 2
    assert cli("train", "--stepz", 3).exit_code == 2


def test_another_configuration_is_refused_with_a_diff(cli: Cli, small: list[str], tmp_path: Path) -> None:
    ok(cli("train", *small, "--out", "r"))
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "r").rglob("*")}
    said = refused(cli("train", *small, "--out", "r", "--set", "gen.width=8", "--seed", 3))
    assert "generator.width: 4 → 8" in said
    assert "seed: 0 → 3" in said
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "r").rglob("*")} == before


def test_changed_data_is_refused(cli: Cli, small: list[str], tmp_path: Path) -> None:
    for i in range(20):
        (tmp_path / "set" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 10 * i).save(tmp_path / "set" / "ab"[i % 2] / f"{i}.png")
    ok(cli("train", *small, "--data", "set", "--out", "r", "--set", "batch_size=4"))
    (tmp_path / "set" / "a" / "0.png").unlink()
    assert "images of the data have changed" in refused(cli("train", "--out", "r"))


def test_a_damaged_checkpoint_is_refused_and_can_be_passed_over(cli: Cli, small: list[str], tmp_path: Path) -> None:
    ok(cli("train", *small, "--steps", 20, "--out", "r"))
    last = tmp_path / "r" / "checkpoints" / "000020"
    content = bytearray((last / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (last / "weights.safetensors").write_bytes(content)
    said = refused(cli("train", "--out", "r"))
    assert "weights.safetensors is damaged" in said
    assert "continue from step 18" in said
    whole = weights(tmp_path / "r")
    for path in last.iterdir():
        path.unlink()
    last.rmdir()
    ok(cli("train", "--out", "r"))
    again = weights(tmp_path / "r")
    assert all(torch.equal(again[k], v) for k, v in whole.items() if not k.startswith("weights"))


def test_a_full_disk_keeps_what_was_saved(cli: Cli, small: list[str], tmp_path: Path) -> None:
    """A limit on the size of files makes writing fail as a full disk does."""
    words = ["train", *small, "--steps", "20", "--out"]
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
    done = python("-c", f"{limited}from ganzoo.cli import main\nmain({[*words, 'full']!r})", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error: cannot write full/checkpoints/000002 (File too large); what was saved before is kept" in done.stderr
    assert not list((tmp_path / "full").rglob("*.partial"))
    assert Run(tmp_path / "full").checkpoints() == []
    ok(cli(*words, "full"))
    ok(cli(*words, "whole"))
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "full"))


def test_a_start_cut_short_can_be_started_again(cli: Cli, small: list[str], tmp_path: Path) -> None:
    (tmp_path / "r" / "samples").mkdir(parents=True)
    ok(cli("train", *small, "--out", "r"))
    assert (tmp_path / "r" / "model" / "generator.safetensors").is_file()


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("checkpoints", "has a model but no checkpoint"),
        ("split.safetensors", "split.safetensors is missing"),
        ("checkpoints/000002/state.json", "state.json is missing"),
        ("samples", ""),
        ("metrics.jsonl", ""),
        ("model", ""),
    ],
)
def test_lost_parts_of_a_run_folder(cli: Cli, small: list[str], tmp_path: Path, lost: str, said: str) -> None:
    ok(cli("train", *small, "--out", "r"))
    path = tmp_path / "r" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    result = cli("train", "--out", "r")
    if said:
        assert said in refused(result)
    else:
        ok(result)


@pytest.mark.parametrize("change", ["pixels", "classes"])
def test_other_images_under_the_same_names_are_refused(cli: Cli, small: list[str], tmp_path: Path, change: str) -> None:
    for i in range(20):
        (tmp_path / "set" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 10 * i).save(tmp_path / "set" / "ab"[i % 2] / f"{i}.png")
    ok(cli("train", *small, "--data", "set", "--out", "r", "--set", "batch_size=4"))
    if change == "pixels":
        for path in (tmp_path / "set" / "a").iterdir():
            Image.new("L", (16, 16), 255).save(path)
    else:
        (tmp_path / "set" / "b").rename(tmp_path / "set" / "zebra")
    assert "of the data have changed" in refused(cli("train", "--out", "r"))


def test_a_corrupt_image_met_while_streaming_is_one_sentence(cli: Cli, small: list[str], tmp_path: Path) -> None:
    for i in range(200):
        (tmp_path / "set" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), i).save(tmp_path / "set" / "ab"[i % 2] / f"{i:03}.png")
    (tmp_path / "set" / "a" / "002.png").write_text("not an image")
    streamed = ["--set", "data.memory=1", "--set", "data.cache=false", "--size", "16", "--set", "data.channels=1"]
    words = ["train", *small, "--data", "set", "--steps", "60", *streamed]
    assert "set/a/002.png cannot be read" in refused(cli(*words))


def test_divergence_is_noticed(cli: Cli, small: list[str]) -> None:
    config = configure(values={**SMALL, "optimizer.lr": 1e30, "steps": 30, "log_every": 1})
    with pytest.raises(Diverged, match="training has diverged"):
        ganzoo.train(config, "r")


def test_a_refusal_to_continue_lists_only_what_was_asked_for(cli: Cli, small: list[str], tmp_path: Path) -> None:
    for k in range(2):
        for i in range(6):
            path = tmp_path / "letters" / "ab"[k] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (16, 16), 100 * k + i).save(path)
    assert cli("train", *small, "--data", "letters", "--out", "r").exit_code == 0
    message = refused(cli("train", "--out", "r", "--steps", 800))
    assert "steps: 2 → 800" in message
    assert message.count("→") == 1
    with pytest.raises(RunMismatch) as caught:
        ganzoo.train({"steps": 800}, tmp_path / "r")
    assert str(caught.value).count("→") == 1

"""Training through the command line: what it makes, how it stops and continues, and what it refuses."""

from __future__ import annotations

import copy
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from click.testing import Result
from PIL import Image

import ganzoo
from ganzoo import GAN, configure
from ganzoo.api import open_run
from ganzoo.assemble import assemble
from ganzoo.backend import choose_precision
from ganzoo.errors import Diverged
from ganzoo.optimizers import schedule
from ganzoo.registry import installed
from ganzoo.run import Run
from ganzoo.trainer import Trainer, averaging_weight
from tests.conftest import SMALL, STRATEGIES, needs, python

Cli = Callable[..., Result]


def ok(result: Result) -> str:
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


def refused(result: Result) -> str:
    assert result.exit_code not in (0, None), result.output
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    (line, *more) = result.stderr.strip().splitlines()
    assert line.startswith("error: "), result.stderr
    assert all(m.startswith("  ") or "Continue" in m for m in more), result.stderr
    return line.removeprefix("error: ") + "\n".join(more)


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Every tensor of the newest checkpoint and of the model."""
    newest = max((run / "checkpoints").iterdir(), key=lambda p: int(p.name))
    files = [*newest.glob("*.safetensors"), *(run / "model").glob("*.safetensors")]
    return {f"{f.name}:{k}": v for f in files for k, v in safetensors.torch.load_file(f).items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def differing(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> dict[str, float]:
    """The largest difference of each tensor that is not the same in both."""
    return {
        k: float((a[k].double() - b[k].double()).abs().max())
        for k in a.keys() & b.keys()
        if not torch.equal(a[k], b[k])
    } | {k: float("nan") for k in a.keys() ^ b.keys()}


def shown(row: dict[str, float]) -> dict[str, float]:
    """A row of metrics without what depends on the clock."""
    return {name: value for name, value in row.items() if name != "images_per_second"}


def test_a_run_folder_holds_everything(cli: Cli, small: list[str], tmp_path: Path) -> None:
    said = ok(cli("train", *small, "--steps", 4))
    run = tmp_path / "runs" / "digits-kplus1-dcgan-1"
    assert {p.name for p in run.iterdir() if not p.name.startswith("events")} == {
        "config.json", "split.safetensors", "metrics.jsonl", "environment.json", "samples", "checkpoints", "model",
        "report.html",
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
    assert {"discriminator/label", "generator/features", "images_per_second"} <= {k for r in rows for k in r}
    environment = json.loads((run / "environment.json").read_text())
    assert {c["kind"]: c["package"] for c in environment["components"]}["generator"] == "torch-ganzoo"
    ok(cli("train", *small, "--steps", 4))
    assert (tmp_path / "runs" / "digits-kplus1-dcgan-2").is_dir()


def test_no_pickle_is_written(cli: Cli, small: list[str], tmp_path: Path) -> None:
    ok(cli("train", *small, "--out", "r"))
    suffixes = {p.suffix for p in (tmp_path / "r").rglob("*") if p.is_file() and "tfevents" not in p.name}
    assert suffixes == {".html", ".json", ".jsonl", ".md", ".png", ".safetensors"}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("ssl", STRATEGIES)
def test_stopped_and_continued_is_bit_identical(
    cli: Cli, small: list[str], tmp_path: Path, ssl: str, precision: str
) -> None:
    extra = ["--precision", precision, "--set", "data.shift=1", "--set", "players.discriminator.moves=2"]
    extra += [w for key, value in needs(ssl).items() for w in ("--set", f"{key}={str(value).lower()}")]
    words = ["train", *small, *extra, "--ssl", ssl, "--steps", 20, "--set", "log_every=1"]
    ok(cli(*words, "--out", "whole"))
    config = Run(tmp_path / "whole").config()
    experiment = assemble(config)
    run = Run.open(tmp_path / "cut", config, installed())
    trainer = Trainer(experiment, run)
    trainer.resume()
    for _ in range(9):
        trainer.iterate()
    trainer.save()
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


# --- what is refused, each in one sentence, with nothing left half-done ----------------------------------------------


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
        (["--labels", "2000"], "2000 labels asked for, but only 1438 training images have one"),
        (["--labels", "5"], "5 labels cannot give each of 10 classes one"),
        (["--data", "nowhere"], "there is no folder or file nowhere"),
        (["--size", "20"], "generator 'zoo/dcgan' cannot do 20×20 images; it can do 16, 32, 64, 128, 256"),
        (["--device", "cuda"], "no CUDA device"),
        (["--device", "gpu"], "no device is called 'gpu'"),
        (["--precision", "fp16", "--device", "cpu"], "fp16 needs a CUDA device"),
        (["--config", "absent.yaml"], "configuration absent.yaml cannot be read"),
        (["--penalty", "r1", "--set", "disc.norm=batch"], "batch norm in discriminator 'zoo/dcgan' mixes them"),
        (["--penalty", "gradient_penalty", "--ssl", "supervised"], "this needs a generator, and what the"),
        (["--penalty", "pull_away", "--set", "ssl.gan=off"], "is for a player called 'generator'"),
        (["--penalty", "vat", "--ssl", "none"], "this is about classes, and the strategy's discriminator tells none"),
        (["--penalty", "consistency"], "choose one with dropout or noise, as with --set disc.dropout=0.2"),
        (["--ssl", "s3gan"], "needs a class-conditional generator, and 'zoo/dcgan' is none with these options"),
        (["--ssl", "aae"], "try: --set gen.conditional=true"),
        (["--labels", "all", "--set", "data.labelled_in_unlabelled=no"], "needs unlabelled images, and there is none"),
        (["--split", "nowhere"], "there is no split nowhere"),
        (["--split", "nowhere", "--labels", "20"], "data.labels and data.split cannot both be said"),
        (["--set", "players.critic.lr=1"], "no player is called 'critic'"),
        (["--set", "accumulate=3"], "cannot be computed in 3 equal parts"),
        (["--set", "gen.conditional=true", "--data", "flat", "--ssl", "none"], "the data has no classes"),
        (["--data", "flat"], "needs labelled images, and the data has none"),
        (["--set", "penalties.r1.every=0"], "cannot be taken every 0 steps"),
        (["--set", "gen.kind=3"], "generator 'dcgan' has no option 'kind'"),
        (["--set", "ssl.adversarial_weight=0", "--set", "ssl.feature_weight=0"], "has nothing to make small"),
        (["--split-seed", "-1"], "configuration key 'data.split_seed' cannot be -1"),
        (["--set", "data.shift=16"], "cannot be shifted by 16 pixels"),
        (["--set", "data.options.foo=1", "--data", "flat"], "has no option 'foo'. Its options: none"),
        (["--set", "players.generator.lr=abc"], "configuration key 'players.generator.lr' cannot be 'abc'"),
        (["--set", "players.generator.foo=1"], "no configuration key is called 'players.generator.foo'"),
        (["--set", "gen.width=true"], "option 'width' is int, not True"),
        (["--set", "optimizer.until=0.2", "--set", "optimizer.hold=0.5"], "until 0.2 is not after hold 0.5"),
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
    said = refused(cli("train", "--gen", "mlp", "--size", 16, "--batch", 1, "--steps", 2))
    assert "cannot take a step with these parts and a batch of 1" in said
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
    ok(cli("train", *small, "--data", "set", "--out", "r", "--set", "batch=4"))
    (tmp_path / "set" / "a" / "0.png").unlink()
    assert "their labels, of the data have changed" in refused(cli("train", "--out", "r"))


def test_a_damaged_checkpoint_is_refused_and_can_be_passed_over(cli: Cli, small: list[str], tmp_path: Path) -> None:
    ok(cli("train", *small, "--steps", 20, "--out", "r"))
    last = tmp_path / "r" / "checkpoints" / "000020"
    content = bytearray((last / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (last / "weights.safetensors").write_bytes(content)
    said = refused(cli("train", "--out", "r"))
    assert "weights.safetensors is damaged" in said
    assert "go on from step 18" in said
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
    ok(cli("train", *small, "--data", "set", "--out", "r", "--set", "batch=4"))
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
    words = ["train", *small, "--data", "set", "--steps", "60", "--set", "data.memory=1"]
    assert "set/a/002.png cannot be read" in refused(cli(*words))


def test_divergence_is_noticed(cli: Cli, small: list[str]) -> None:
    config = configure(values={**SMALL, "optimizer.lr": 1e30, "steps": 30, "log_every": 1})
    with pytest.raises(Diverged, match="training has diverged"):
        ganzoo.train(config, "r")


# --- the loop ------------------------------------------------------------------------------------------------------


def test_averaged_weights_are_the_bias_corrected_mean() -> None:
    decay, values, average = 0.9, [3.0, -1.0, 4.0, 1.5], 0.0
    for step, value in enumerate(values, 1):
        average += averaging_weight(decay, step) * (value - average)
        own = [decay ** (step - i) for i in range(1, step + 1)]
        assert average == pytest.approx(sum(w * v for w, v in zip(own, values, strict=False)) / sum(own))


def test_a_network_that_moves_late_is_averaged_since_it_moves(tmp_path: Path) -> None:
    values = {
        **SMALL,
        "ssl": "noisy-student",
        "ssl.start": 0.5,
        "steps": 8,
        "ema": 0.9,
        "checkpoint_every": 1,
    }
    run = Run(tmp_path)
    for stop in (5, 6):  # the second goes on where the first stopped
        trainer = Trainer(assemble(configure(values=values)), run)
        trainer.resume()
        while trainer.step < stop:
            before = [p.detach().clone() for p in trainer.averaged.networks["student"].parameters()]
            trainer.iterate()
            trainer.save()
        pair = [trainer.averaged.networks["student"], trainer.gan.networks["student"]]
        kept, live = ([p.detach() for p in n.parameters()] for n in pair)
        newest = 1 if stop == 5 else averaging_weight(0.9, 2)
        assert any(not torch.equal(a, b) for a, b in zip(before, live, strict=True))
        for old, mean, new in zip(before, kept, live, strict=True):
            torch.testing.assert_close(mean, old + newest * (new - old))
    assert averaging_weight(0.9, 2) == pytest.approx(1 / 1.9)


def test_a_model_of_a_strategy_within_another_is_read_again(cli: Cli, small: list[str]) -> None:
    words = ["--ssl", "noisy-student", "--set", "ssl.of=fixmatch", "--set", "ssl.options.threshold=0.7"]
    words += ["--set", "ssl.start=0", "--set", "optimizer.schedule=linear", "--set", "optimizer.until=0.5"]
    ok(cli("train", *small, *words, "--set", "players.student.until=1", "--out", "r"))
    gan = GAN.from_pretrained("r")
    assert gan.strategy.first.threshold == 0.7
    assert gan.networks.keys() == {"generator", "discriminator", "student"}
    assert "fixmatch" in ok(cli("card", "r"))
    assert "did you mean 'threshold'" in refused(cli("train", *small, *words, "--set", "ssl.options.treshold=1"))


def test_schedules() -> None:
    assert [schedule("linear", p, 0.5) for p in (0, 0.5, 0.75, 1)] == [1, 1, 0.5, 0]
    assert [schedule("cosine", p, 0.0) for p in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])
    assert schedule("constant", 0.99, 0.0) == 1
    assert [schedule("linear", p, 0.2, 0.6) for p in (0.2, 0.4, 0.6, 0.9)] == pytest.approx([1, 0.5, 0, 0])


def test_a_player_whose_rate_has_come_to_0_stands_still() -> None:
    optimizer = {"schedule": "linear", "until": 0.5, "weight_decay": 0.1}
    trainer = Trainer(assemble(configure(values={**SMALL, "steps": 8, "players": {"generator": optimizer}})))
    for step in range(8):
        before = copy.deepcopy(trainer.gan.networks)
        trainer.iterate()
        for name, old in before.items():
            pairs = zip(old.parameters(), trainer.gan.networks[name].parameters(), strict=True)
            rests = name == "generator" and step >= 4
            assert all(torch.equal(a, b) for a, b in pairs) == rests
            assert (f"{name}/adversarial" in trainer._terms()) != rests


def test_accumulation_equals_one_batch() -> None:
    """Without batch statistics or noise, a batch in parts gives the same step, to rounding."""
    values = {**SMALL, "disc.norm": "none", "ssl": "supervised"}
    moved = []
    for parts in (1, 2):
        trainer = Trainer(assemble(configure(values={**values, "accumulate": parts})))
        trainer.iterate()
        moved.append(torch.cat([p.flatten() for p in trainer.gan.networks["discriminator"].parameters()]))
    assert torch.allclose(*moved, atol=1e-6)


def test_nobody_else_gets_a_gradient() -> None:
    trainer = Trainer(assemble(configure(values=SMALL)))
    before = {n: [p.clone() for p in m.parameters()] for n, m in trainer.gan.networks.items()}
    with trainer._alone(trainer.moving[1]):
        trainer._move(trainer.moving[1], 0)
    for name, moved in (("generator", True), ("discriminator", False)):
        now = list(trainer.gan.networks[name].parameters())
        assert any(not torch.equal(a, b) for a, b in zip(before[name], now, strict=True)) is moved
        assert all(p.grad is None and p.requires_grad for p in now)


def test_only_real_images_move_running_statistics() -> None:
    trainer = Trainer(assemble(configure(values={**SMALL, "disc.norm": "batch"})))
    critic = trainer.gan.networks["discriminator"]
    passes: list[tuple[int, bool]] = []
    norm = next(m for m in critic.modules() if isinstance(m, torch.nn.BatchNorm2d))
    norm.register_forward_pre_hook(lambda m, x: passes.append((len(x[0]), m.track_running_stats)))
    trainer.iterate()
    assert passes == [(16, True), (8, False), (8, False), (8, False)]  # labelled + real, fake; then real, fake
    assert int(norm.num_batches_tracked) == 1


@pytest.mark.parametrize(
    ("values", "sizes"),
    [
        ({}, [24, 8, 8]),  # labelled, real and fake together; then real without a gradient, and fake
        ({"ssl": "none"}, [16, 8]),
        ({"ssl": "none", "disc.norm": "batch"}, [8, 8, 8]),
        ({"ssl": "supervised"}, [8]),
        ({"ssl.gan": False}, [8]),
    ],
)
def test_no_pass_is_wasted(values: dict[str, object], sizes: list[int]) -> None:
    trainer = Trainer(assemble(configure(values=SMALL | values)))
    passes: list[int] = []
    trainer.gan.networks["discriminator"].register_forward_pre_hook(lambda m, x: passes.append(len(x[0])))
    trainer.iterate()
    assert passes == sizes


def test_precision_is_chosen_by_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for flags, expected in (({}, "fp32"), ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda flags=flags: flags)
        assert choose_precision("auto", cpu)[0] == expected
    assert choose_precision("fp32", cpu) == ("fp32", "as asked")


def test_bf16_trains_and_resumes(cli: Cli, small: list[str], tmp_path: Path) -> None:
    ok(cli("train", *small, "--precision", "bf16", "--steps", 4, "--out", "r"))
    assert GAN.from_pretrained(tmp_path / "r").sample(2).isfinite().all()


def test_resuming_drops_metrics_of_steps_taken_again(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for step in (1, 2, 3, 4):
        run.log(step, {"x": 0.5})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "er')
    run.close()
    run.truncate_metrics(2)
    assert [r["step"] for r in run.metrics()] == [1, 2]


def test_streamed_training_equals_training_in_memory(cli: Cli, small: list[str], tmp_path: Path) -> None:
    ok(cli("train", *small, "--steps", 6, "--out", "held"))
    ok(cli("train", *small, "--steps", 6, "--out", "streamed", "--set", "data.memory=1", "--set", "data.workers=1"))
    assert same(weights(tmp_path / "held"), weights(tmp_path / "streamed"))


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"]])
def test_help(cli: Cli, words: list[str]) -> None:
    assert ok(cli(*words))


def test_python_dash_m(tmp_path: Path) -> None:
    assert python("-m", "ganzoo", "--version", cwd=tmp_path).stdout.startswith("ganzoo 0.")
    assert not list(tmp_path.iterdir())


def test_no_error_is_said_for_the_right_reason(cli: Callable[..., Result], small: list[str]) -> None:
    """The digits' held-out images are labelled: a strategy without a classifier has another reason."""
    done = cli("train", *small, "--ssl", "projection", "--set", "gen.conditional=true", "--labels", "all")
    assert done.exit_code == 0, done.output
    assert "error    " not in done.stdout

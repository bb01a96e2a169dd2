"""The loop: averages, schedules, precision, processes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result

from ganzoo import GAN, configure
from ganzoo.base.device import choose_precision
from ganzoo.run.folder import Run
from ganzoo.training.assemble import assemble
from ganzoo.training.averaging import averaging_weight
from ganzoo.training.optimizers import schedule
from ganzoo.training.trainer import Trainer
from tests.conftest import SMALL, python
from tests.training.support import Cli, ok, refused, same, weights


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
        trainer.restore()
        while trainer.state.step < stop:
            before = [p.detach().clone() for p in trainer.averaged.networks["student"].parameters()]
            trainer.train_step()
            trainer.recorder.save_checkpoint()
        pair = [trainer.averaged.networks["student"], trainer.gan.networks["student"]]
        kept, live = ([p.detach() for p in n.parameters()] for n in pair)
        newest = 1 if stop == 5 else averaging_weight(0.9, 2)
        assert any(not torch.equal(a, b) for a, b in zip(before, live, strict=True))
        for old, mean, new in zip(before, kept, live, strict=True):
            torch.testing.assert_close(mean, old + newest * (new - old))
    assert averaging_weight(0.9, 2) == pytest.approx(1 / 1.9)


def test_a_model_of_a_strategy_within_another_is_read_again(cli: Cli, small: list[str]) -> None:
    words = ["--ssl", "noisy-student", "--set", "ssl.of=fixmatch", "--set", "ssl.options.threshold=0.7"]
    words += ["--set", "ssl.start=0", "--set", "optimizer.schedule=linear", "--set", "optimizer.decay_end=0.5"]
    ok(cli("train", *small, *words, "--set", "players.student.decay_end=1", "--out", "r"))
    gan = GAN.from_pretrained("r")
    assert gan.strategy.teacher_strategy.threshold == 0.7
    assert gan.networks.keys() == {"generator", "discriminator", "student"}
    assert "fixmatch" in ok(cli("card", "r"))
    assert "did you mean 'threshold'" in refused(cli("train", *small, *words, "--set", "ssl.options.treshold=1"))


def test_schedules() -> None:
    assert [schedule("linear", p, 0.5) for p in (0, 0.5, 0.75, 1)] == [1, 1, 0.5, 0]
    assert [schedule("cosine", p, 0.0) for p in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])
    assert schedule("constant", 0.99, 0.0) == 1
    assert [schedule("linear", p, 0.2, 0.6) for p in (0.2, 0.4, 0.6, 0.9)] == pytest.approx([1, 0.5, 0, 0])


def test_a_player_whose_rate_has_come_to_0_stands_still() -> None:
    optimizer = {"schedule": "linear", "decay_end": 0.5, "weight_decay": 0.1}
    trainer = Trainer(assemble(configure(values={**SMALL, "steps": 8, "players": {"generator": optimizer}})))
    for step in range(8):
        before = copy.deepcopy(trainer.gan.networks)
        trainer.train_step()
        for name, old in before.items():
            pairs = zip(old.parameters(), trainer.gan.networks[name].parameters(), strict=True)
            rests = name == "generator" and step >= 4
            assert all(torch.equal(a, b) for a, b in pairs) == rests
            assert (f"{name}/adversarial" in trainer._metrics()) != rests


def test_accumulation_equals_one_batch() -> None:
    """Without batch statistics or noise, a batch in parts gives the same step, to rounding."""
    values = {**SMALL, "disc.norm": "none", "ssl": "supervised"}
    moved = []
    for parts in (1, 2):
        trainer = Trainer(assemble(configure(values={**values, "gradient_accumulation_steps": parts})))
        trainer.train_step()
        moved.append(torch.cat([p.flatten() for p in trainer.gan.networks["discriminator"].parameters()]))
    assert torch.allclose(*moved, atol=1e-6)


def test_nobody_else_gets_a_gradient() -> None:
    trainer = Trainer(assemble(configure(values=SMALL)))
    before = {n: [p.clone() for p in m.parameters()] for n, m in trainer.gan.networks.items()}
    with trainer._others_frozen(trainer.players[1]):
        trainer._update(trainer.players[1], 0)
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
    trainer.train_step()
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
    trainer.train_step()
    assert passes == sizes


def test_precision_is_chosen_by_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for flags, expected in (({}, "fp32"), ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda flags=flags: flags)
        assert choose_precision("auto", cpu)[0] == expected
    assert choose_precision("fp32", cpu) == ("fp32", "as requested")


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
    ok(cli("train", *small, "--steps", 6, "--out", "streamed", "--set", "data.memory=1", "--set", "data.cache=false"))
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

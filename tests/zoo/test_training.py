"""Penalties, augmentations, conditional GANs and schedules in real runs: what holds after every move of the loop."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ganzoo
from ganzoo import configure
from ganzoo.base.device import Backend
from ganzoo.base.pictures import from_uint8
from ganzoo.registry.discovery import installed
from ganzoo.run.folder import Run
from ganzoo.training.assemble import assemble
from ganzoo.training.trainer import PlayerState, Trainer
from tests.conftest import SMALL
from tests.training.support import same, weights


def trainer(values: dict[str, Any]) -> Trainer:
    return Trainer(assemble(configure(values={**SMALL, "ssl": "none", **values})))


# --- weights ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lr", [2e-4, 1.0])
def test_clipped_weights_stay_in_their_box_after_every_move(lr: float) -> None:
    limit = 0.03
    values = {"loss": "wasserstein", "penalties.clip.limit": limit, "optimizer.lr": lr, "disc.norm": "group"}
    run = trainer({**values, "players.discriminator.updates_per_step": 3})
    own = {n: list(m.parameters()) for n, m in run.gan.networks.items()}
    most = lambda name: max(float(p.detach().abs().max()) for p in own[name])  # noqa: E731
    assert most("discriminator") > limit  # so that there is something to clip
    seen: list[tuple[str, float]] = []
    moved = run._update

    def watched(moving: PlayerState, number: int) -> None:
        before = [p.clone() for p in moving.parameters]
        moved(moving, number)
        assert any(not torch.equal(a, b) for a, b in zip(before, moving.parameters, strict=True))
        seen.append((moving.player.name, most("discriminator")))

    run._update = watched  # type: ignore[method-assign]
    for _ in range(4):
        run.train_step()
        averaged = run.averaged.networks["discriminator"].parameters()
        assert max(float(p.abs().max()) for p in averaged) <= limit * (1 + 1e-6)
    assert [name for name, _ in seen] == ["discriminator", "discriminator", "discriminator", "generator"] * 4
    assert max(largest for _, largest in seen) <= limit
    assert most("generator") > limit
    assert all(math.isfinite(value) for value in run._metrics().values())
    assert "discriminator/clip" not in run._metrics()


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_historical_average_is_the_distance_from_the_averaged_weights_of_the_run(player: str) -> None:
    values = {"penalties.historical": {"weight": 0.5, "player": player}, "optimizer.lr": 1e-2, "ema": 0.9}
    run = trainer({**values, "disc.norm": "none"})
    other = "generator" if player == "discriminator" else "discriminator"
    for iteration in range(4):
        pairs = zip(run.gan.networks[player].parameters(), run.averaged.networks[player].parameters(), strict=True)
        wanted = 0.5 * sum(float(((p - q).detach().double() ** 2).sum()) for p, q in pairs)
        run.train_step()
        terms = run._metrics()
        assert terms[f"{player}/historical"] == pytest.approx(wanted, rel=1e-4, abs=1e-9)
        assert (wanted > 1e-3) == (iteration > 1)  # the average begins where the weights do, and is the first of them
        assert f"{other}/historical" not in terms


def test_historical_average_holds_weights_back() -> None:
    far = []
    for weight in (0.0, 1e4):
        run = trainer({"penalties.historical.weight": weight, "optimizer.lr": 1e-2, "steps": 20, "ema": 0.99})
        before = [p.clone() for p in run.gan.networks["generator"].parameters()]
        for _ in range(12):
            run.train_step()
        after = run.gan.networks["generator"].parameters()
        far.append(math.sqrt(sum(float((p - q).detach().square().sum()) for p, q in zip(before, after, strict=True))))
    assert far[1] < 0.7 * far[0]


def test_orthogonal_straightens_filters() -> None:
    left = []
    for weight in (0.0, 100.0):
        values = {"penalties.orthogonal": {"weight": weight, "player": "discriminator"}, "disc.norm": "none"}
        run = trainer({**values, "optimizer.lr": 1e-2, "steps": 40})
        for _ in range(10):
            run.train_step()
        filters = [p.flatten(1) for p in run.gan.networks["discriminator"].parameters() if p.ndim > 1]
        left.append(sum(float((w @ w.T).detach().fill_diagonal_(0).square().sum()) for w in filters))
    assert left[1] < 0.2 * left[0]


# --- augmentation and penalties that learn from the run -----------------------------------------------------------

LEARNING = {
    "augment": {"name": "ada", "start": 0.4, "kimg": 0.2, "target": 0.1},
    "penalties": {"lecam": {"weight": 0.3}, "historical": {}},
    "loss": "hinge",
    "steps": 8,
    "evaluate_every": 8,
    "sample_every": 8,
}


@pytest.mark.parametrize("augment", ["ada", "apa"])
def test_a_rehearsal_leaves_what_learns_as_it_was(augment: str) -> None:
    run = trainer({**LEARNING, "augment": {"name": augment, "start": 0.4, "kimg": 0.001}})  # one step is all the way
    state = run.experiment.adaptive.state_dict()
    assert {n: t.tolist() for n, t in state.items()} == {
        "augment.p": pytest.approx(0.4),
        "penalty zoo/lecam.anchors": [0, 0],
        "penalty zoo/lecam.steps": 0,
    }
    run.train_step()
    state = run.experiment.adaptive.state_dict()
    assert state["augment.p"].item() in (0, 1)
    assert state["penalty zoo/lecam.steps"] == 1
    assert state["penalty zoo/lecam.anchors"].all()


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("moves", [1, 2])
def test_p_moves_by_the_images_that_the_discriminator_saw(parts: int, moves: int) -> None:
    values = {
        "augment": {"name": "ada", "start": 0.5, "kimg": 1.0, "target": -1.1},
        "gradient_accumulation_steps": parts,
    }
    run = trainer({**values, "players.discriminator.updates_per_step": moves})  # r is always above the target
    for iteration in range(1, 4):
        run.train_step()
        assert run.experiment.augment.p.item() == pytest.approx(0.5 + iteration * moves * 8 / 1000)


def test_p_moves_by_the_images_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backend, "world", property(lambda self: 2))
    monkeypatch.setattr(Backend, "average", lambda self, tensors: None)  # both have the same
    run = trainer({"augment": {"name": "ada", "start": 0.5, "kimg": 1.0, "target": -1.1}})
    run.train_step()
    assert run.experiment.augment.p.item() == pytest.approx(0.5 + 8 / 1000)


@pytest.mark.parametrize("augment", ["ada", "apa"])
def test_stopped_and_continued_is_bit_identical_though_parts_learn(tmp_path: Path, augment: str) -> None:
    values = {**SMALL, "ssl": "none", **LEARNING, "augment": {**LEARNING["augment"], "name": augment}}
    config = configure(values=values)
    ganzoo.train(config, tmp_path / "whole")
    run = Run.open(tmp_path / "cut", config, installed())
    first = Trainer(assemble(config), run)
    first.restore()
    for _ in range(3):
        first.train_step()
    first.recorder.save_checkpoint()
    run.close()
    assert first.experiment.augment.p.item() not in (0, pytest.approx(0.4), 1)
    ganzoo.train(None, tmp_path / "cut")
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert {"weights.safetensors:augment.p", "weights.safetensors:penalty zoo/lecam.anchors"} <= whole.keys()
    assert same(whole, cut)


@pytest.mark.parametrize("name", ["ada", "apa", "instance-noise"])
def test_augmentations_train_with_classes_and_in_bf16(name: str) -> None:
    run = trainer({"ssl": "s3gan", "gen.conditional": True, "augment": name, "precision": "bf16"})
    if name != "instance-noise":
        run.experiment.augment.p.fill_(0.5)
    for _ in range(2):
        run.train_step()
    assert all(math.isfinite(value) for value in run._metrics().values())


# --- conditional GANs ---------------------------------------------------------------------------------------------

DIGITS = {
    "generator": {"name": "mlp", "hidden": 32, "z_dim": 8, "conditional": True},
    "discriminator": {"name": "mlp", "hidden": [64, 32], "noise": 0.1, "input_noise": 0.1},
    "data.size": 8,
    "batch_size": 32,
    "steps": 150,
    "precision": "fp32",
    "optimizer.lr": 2e-3,
    "loss": "hinge",
}


def trained(ssl: str) -> tuple[Trainer, Tensor, Tensor]:
    """Return a run after its last step, and held-out digits with their classes."""
    run = Trainer(assemble(configure(values={**DIGITS, "ssl": ssl})))
    for _ in range(run.config.steps):
        run.train_step()
    data = run.experiment.data
    (images,) = data.test.batches(iter([torch.arange(len(data.test))]))
    for network in run.gan.networks.values():
        network.eval()
    return run, from_uint8(images), data.test_labels


def test_a_projection_discriminator_finds_an_image_less_real_in_the_wrong_class() -> None:
    run, x, y = trained("projection")
    critic = run.gan.networks["discriminator"]
    told = torch.stack([critic(x, torch.full_like(y, c)).adv for c in range(10)], 1)
    right = told.gather(1, y[:, None])[:, 0]
    wrong = (told.sum(1) - right) / 9
    assert (right > wrong).float().mean() > 0.8
    assert (told.argmax(1) == y).float().mean() > 0.25  # of ten
    assert run.recorder.evaluate() is None  # it classifies nothing


def test_acgan_learns_to_classify_and_generates_what_was_asked_for() -> None:
    run, x, y = trained("acgan")
    critic, generator = (run.gan.networks[n] for n in ("discriminator", "generator"))
    assert (critic(x).logits.argmax(1) == y).float().mean() > 0.7
    assert run.recorder.evaluate() < 0.5
    asked = torch.arange(200) % 10
    assert (critic(generator(torch.rand(200, 8), asked)).logits.argmax(1) == asked).float().mean() > 0.5


@pytest.mark.parametrize("norm", ["spectral", "none"])
@pytest.mark.parametrize("ssl", ["projection", "acgan"])
def test_conditional_gans_train_with_penalties_that_are_told_classes(ssl: str, norm: str) -> None:
    penalties = {"r1": {"every": 1}, "r2": {"every": 1}, "gradient-penalty": {}, "dragan": {}, "bcr": {}}
    run = trainer({"ssl": ssl, "gen.conditional": True, "disc.norm": norm, "penalties": penalties})
    critic: Any = run.gan.networks["discriminator"]
    told: list[bool] = []
    critic.register_forward_pre_hook(lambda m, given: told.append(given[1] is not None and bool((given[1] >= 0).all())))
    for _ in range(2):
        run.train_step()
    assert set(penalties) <= {n.partition("/")[2] for n in run._metrics()}
    assert all(math.isfinite(value) for value in run._metrics().values())
    assert all(told) == (ssl == "projection")
    if ssl == "projection":
        assert hasattr(critic.head.embedding, "parametrizations") == (norm == "spectral")


# --- schedules ----------------------------------------------------------------------------------------------------

STEPS = 1000


def left(kind: str, t: float, hold: float) -> float:
    """How much of the way to the end is left at time t of the run."""
    if kind == "constant" or t <= hold:
        return 1.0
    late = (t - hold) / (1 - hold)
    return 1 - late if kind == "linear" else (1 + math.cos(math.pi * late)) / 2


@pytest.mark.parametrize(
    ("kind", "hold"), [("constant", 0.0), ("linear", 0.0), ("linear", 0.6), ("cosine", 0.0), ("cosine", 0.2)]
)
@pytest.mark.parametrize(("final", "beta2_final"), [(0.0, None), (0.25, 0.9), (1.0, 0.9999)])
def test_rate_and_beta2_over_the_run(kind: Any, hold: float, final: float, beta2_final: float | None) -> None:
    options = {"lr": 0.01, "beta1": 0.3, "beta2": 0.99, "schedule": kind, "decay_start": hold, "final_lr_ratio": final}
    run = trainer({"ssl": "supervised", "optimizer": {**options, "final_beta2": beta2_final}, "steps": STEPS})
    for step in (0, 500, STEPS - 1):
        run.state.step = step
        run.train_step()
        still = left(kind, step / STEPS, hold)
        for moving in run.players:
            (group,) = moving.optimizer.param_groups
            assert group["lr"] == pytest.approx(0.01 * final + 0.01 * (1 - final) * still, rel=1e-9)
            end = 0.99 if beta2_final is None else beta2_final
            assert group["betas"] == pytest.approx((0.3, end + (0.99 - end) * still), rel=1e-9)
    ends = {"constant": (0.01, 0.99)}.get(kind, (0.01 * final, 0.99 if beta2_final is None else beta2_final))
    assert (group["lr"], group["betas"][1]) == pytest.approx(ends, abs=1e-2 * 5 / STEPS / (1 - hold) + 1e-3)


def test_each_player_has_a_schedule_of_its_own() -> None:
    run = trainer(
        {"optimizer.schedule": "linear", "players.generator": {"final_lr_ratio": 0.5, "final_beta2": 0.5}, "steps": 10}
    )
    run.state.step = 5
    run.train_step()
    (critic,), (generator,) = (m.optimizer.param_groups for m in run.players)
    assert critic["lr"] == pytest.approx(1e-4)
    assert generator["lr"] == pytest.approx(1.5e-4)
    assert critic["betas"] == (0.5, 0.999)
    assert generator["betas"] == pytest.approx((0.5, (0.999 + 0.5) / 2))

"""What is said of runs that go wrong: rules on rows made here, signs in closed form, and real runs made to fail."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result

import ganzoo
from ganzoo import configure
from ganzoo.errors import Diverged
from ganzoo.run.diagnostics import DIAGNOSTICS, Diagnostics
from ganzoo.run.folder import Run
from ganzoo.strategy.networks import DiscOutput
from ganzoo.training.assemble import assemble
from ganzoo.training.health import health_metrics, loss_slope, spread
from ganzoo.training.trainer import Progress, Trainer
from tests.conftest import SMALL

Cli = Callable[..., Result]
HEALTHY = {
    "discriminator/adversarial": 1.0,
    "generator/adversarial": 0.9,
    "discriminator_auc": 0.9,
    "mean_logit": 3.0,
    "discriminator_loss_slope": 0.6,
    "generator_loss_slope": 1.1,
    "diversity": 0.7,
    "gradient_norm_discriminator": 5.0,
    "gradient_norm_generator": 2.0,
}


def names(rows: list[dict[str, float]], every: int = 50) -> list[str]:
    """The warnings of rows, in the order in which they are spoken of."""
    watch = Diagnostics()
    return [t.name for i, row in enumerate(rows, 1) for t in watch(i * every, row)]


def then(number: int = 8, **changed: float) -> list[dict[str, float]]:
    return [HEALTHY] * 8 + [{**HEALTHY, **changed}] * number


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"generator_loss_slope": 0.01}, "vanishing generator gradient"),
        ({"gradient_norm_generator": 1e-3}, "vanishing generator gradient"),
        ({"discriminator_loss_slope": 0.001}, "discriminator too strong"),
        ({"diversity": 0.05}, "mode collapse"),
        ({"discriminator/adversarial": -4e3}, "divergence"),
        ({"gradient_norm_discriminator": 6e3}, "divergence"),
        ({"mean_logit": 2e3}, "divergence"),
        ({"gradient_norm_discriminator": 0.0}, "divergence"),
        ({"gradient_norm_generator": 0.0}, "divergence"),
        (
            {"gradient_norm_discriminator": 0.0, "discriminator_loss_slope": 0.0},
            "discriminator too strong",
        ),  # as with hinge
    ],
)
def test_each_sign_is_spoken_of_once(changed: dict[str, float], name: str) -> None:
    assert names(then(20, **changed)) == [name]
    assert names(then(1, **changed)) == []
    assert names([*then(8, **changed), *then(8, **changed)]) == [name, name]


@pytest.mark.parametrize(("name", "low", "high"), [("mean_logit", -30.0, 20.0), ("discriminator_auc", 0.1, 1.0)])
def test_players_that_do_not_settle(name: str, low: float, high: float) -> None:
    turns = [{**HEALTHY, name: (low, high)[i % 2]} for i in range(8)]
    assert names([HEALTHY] * 8 + turns) == ["no convergence"]
    rising = [{**HEALTHY, name: low + (high - low) * i / 8} for i in range(8)]
    assert names([HEALTHY] * 8 + rising) == []


def test_nothing_is_said_of_healthy_rows_and_of_few() -> None:
    noise = [{n: v * (1 + 0.3 * math.sin(i * len(n))) for n, v in HEALTHY.items()} for i in range(100)]
    assert names(noise) == []
    bad = {**HEALTHY, "generator_loss_slope": 0.0, "diversity": 0.0}
    assert names([bad] * 5) == []
    assert names([bad] * 249, every=1) == []
    assert names([{"discriminator/label": 0.1, "gradient_norm_discriminator": 1.0}] * 50) == []


def test_what_has_passed_by_the_end_is_not_spoken_of() -> None:
    early = {**HEALTHY, "diversity": 0.05}
    assert names([early] * 22 + [HEALTHY] * 8, every=10) == []
    assert names([early] * 30, every=10) == ["mode collapse"]


def test_dead_units_are_noticed_from_the_beginning() -> None:
    assert names([{**HEALTHY, "gradient_norm_discriminator": 0.0}] * 8) == ["divergence"]


def test_a_generator_that_does_not_listen_is_in_no_game() -> None:
    """One that matches features needs no discriminator that is in doubt, and finds its variety late."""
    matching = {n: v for n, v in HEALTHY.items() if n != "generator_loss_slope"}
    assert names([{**matching, "discriminator_loss_slope": 0.001, "diversity": 0.01}] * 16) == []
    assert names([{**matching, "diversity": 1e-4}] * 16) == ["mode collapse"]


def test_every_kind_says_what_to_try() -> None:
    assert all("--set" in kind.remedy for kind in DIAGNOSTICS)
    assert "--loss nonsaturating" in DIAGNOSTICS[0].remedy
    known = {kind.name for kind in DIAGNOSTICS}
    helping = {tag for r in ganzoo.list_components() for tag in r.component.tags if " " in tag or tag == "divergence"}
    assert helping == known


@pytest.mark.parametrize("loss", ["nonsaturating", "minimax", "hinge", "wasserstein", "relativistic"])
def test_slopes(loss: str) -> None:
    """At 0 all know nothing; a certain discriminator leaves the losses flat that saturate, and no others."""
    given: Any = ganzoo.create("loss", loss)

    def slopes(real: float, fake: float) -> tuple[float, float]:
        r, f = (DiscOutput(torch.full((4,), x), torch.zeros(4, 1)) for x in (real, fake))
        d = loss_slope(lambda a, b: given.discriminator(a.adv, b.adv), r, f)
        g = loss_slope(lambda b: given.generator(r.adv if given.relativistic else b.adv, b.adv), f)
        return float(d), float(g)

    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    d, g = slopes(4.0, -4.0)
    expected = {
        "nonsaturating": (2 * sigmoid(-4), 2 * sigmoid(4)),
        "minimax": (2 * sigmoid(-4), 2 * sigmoid(-4)),
        "hinge": (0.0, 1.0),
        "wasserstein": (1.0, 1.0),
        "relativistic": (2 * sigmoid(-8), sigmoid(8) / sigmoid(4)),
    }
    assert (d, g) == pytest.approx(expected[loss], rel=1e-4)
    assert slopes(0.0, 0.0)[0] == pytest.approx(1)


def test_spread_is_the_mean_distance_to_the_nearest() -> None:
    images = torch.tensor([0.0, 1.0, 3.0]).reshape(3, 1, 1, 1)
    assert float(spread(images)) == pytest.approx((1 + 1 + 2) / 3)
    assert float(spread(images.new_ones(4, 1, 2, 2))) == 0


@pytest.mark.parametrize("augment", [None, "diffaugment"])
def test_signs_cost_no_further_pass(augment: str | None) -> None:
    values = {**SMALL, "log_every": 1, **({"augment": augment} if augment else {})}
    passes: dict[bool, list[int]] = {}
    for logs in (True, False):
        trainer = Trainer(assemble(configure(values={**values, "steps": 4, "log_every": 1 if logs else 100})))
        seen = passes.setdefault(logs, [])
        for network in trainer.gan.networks.values():
            network.register_forward_pre_hook(lambda m, x, seen=seen: seen.append(len(x[0])))
        trainer.train_step()
        found = {name for name in trainer._metrics() if "/" not in name}
        assert found == (set(HEALTHY) - {n for n in HEALTHY if "/" in n} if logs else set())
    assert passes[True] == passes[False]


@pytest.mark.parametrize(("weight", "hears"), [(0.0, False), (1.0, True)])
def test_the_generator_has_a_slope_where_the_adversarial_loss_moves_it(weight: float, hears: bool) -> None:
    values = {**SMALL, "ssl": {"name": "kplus1", "adversarial_weight": weight}, "log_every": 1}
    trainer = Trainer(assemble(configure(values=values)))
    trainer.train_step()
    assert ("generator_loss_slope" in trainer._metrics()) is hears


def test_signs_do_not_change_the_run() -> None:
    ends = []
    for every in (1, 100):
        trainer = Trainer(
            assemble(configure(values={**SMALL, "steps": 6, "log_every": every, "augment": "diffaugment"}))
        )
        for _ in range(5):
            trainer.train_step()
        ends.append(torch.cat([p.flatten() for p in trainer.gan.networks["generator"].parameters()]))
    assert torch.equal(*ends)


def test_signs_of_strategies_that_see_less() -> None:
    for values, expected in (
        ({"ssl": "supervised"}, set()),
        ({"ssl": "none"}, {"mean_logit", "discriminator_auc", "diversity"}),
    ):
        experiment = assemble(configure(values={**SMALL, **values}))
        step = experiment.make_step(experiment.players[0], 0, 0)
        experiment.players[0].terms(step)
        assert expected <= set(health_metrics(step))
        assert expected or not health_metrics(step)


# --- real runs, made to fail ------------------------------------------------------------------------------------------

EVERY_TEN = [w for what in ("checkpoint", "evaluate") for w in ("--set", f"{what}_every=10")]
QUICKLY = ["--extractor", "classifier", "--set", "extractor.steps=2", "--set", "best_metric_images=50"]
EVERY_TEN += ["--set", "log_every=1"]
FAILING = {**SMALL, "ssl": "none", "steps": 270, "log_every": 10}


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"loss": "minimax", "players.discriminator.lr": 4e-3}, "vanishing generator gradient"),
        ({"gen.z_dim": 1}, "mode collapse"),
        (
            {"loss": "wasserstein", "optimizer.lr": 0.02, "players.discriminator.updates_per_step": 4},
            "divergence",
        ),  # 100 × default
        ({}, ""),
    ],
)
def test_a_run_made_to_fail_is_named(tmp_path: Path, changed: dict[str, Any], name: str) -> None:
    told: list[Progress] = []
    ganzoo.train(configure(values={**FAILING, **changed}), tmp_path / "r", on_progress=told.append)
    found = Run(tmp_path / "r").warnings()
    named = {t["name"] for t in found}
    assert name in named if name else not named
    assert all(set(t) == {"step", "name", "message", "remedy"} for t in found)
    assert [t.to_dict() for p in told for t in p.warnings] == found


def test_a_hundred_times_the_learning_rate_of_a_preset_is_named(tmp_path: Path) -> None:
    """The units of its discriminator die: terms and weights stay finite, and nothing learns any more."""
    rate = 100 * configure("sngan-mnist").optimizer.lr
    narrow = {"gen.width": 16, "disc.width": 16, "optimizer.lr": rate, "data.source": "digits"}
    values = {**FAILING, **narrow, **dict.fromkeys(("evaluate_every", "sample_every", "checkpoint_every"), 1000)}
    ganzoo.train(configure("sngan-mnist", values=values), tmp_path / "r")
    (trouble,) = Run(tmp_path / "r").warnings()
    assert trouble["name"] == "divergence"
    assert trouble["message"].startswith("gradient_norm_discriminator is 0, though its loss has a slope")
    assert "a smaller --set optimizer.lr" in trouble["remedy"]


def test_divergence_stops_the_run_and_leaves_the_last_good_model(
    cli: Cli, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_step = Trainer.train_step

    def breaks(self: Trainer) -> None:
        train_step(self)
        if self.state.step == 25:
            next(self.gan.networks["generator"].parameters()).data.fill_(math.nan)

    monkeypatch.setattr(Trainer, "train_step", breaks)
    done = cli("train", *small, "--steps", 40, "--out", "r", "--best-metric", "is", *QUICKLY, *EVERY_TEN)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1), done.output
    assert "is not finite at step 26: training has diverged. The last checkpoint is kept" in done.stderr
    assert "try a smaller --set optimizer.lr" in done.stderr
    run = Run(tmp_path / "r")
    assert [p.name for p in run.checkpoints()] == ["000010", "000020"]
    assert [(t["name"], t["step"]) for t in run.warnings()] == [("divergence", 26)]
    model = ganzoo.GAN.from_pretrained(tmp_path / "r")
    assert model.metadata["step"] == 20
    assert model.sample(4, seed=0).isfinite().all()


def test_divergence_is_raised(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="training has diverged"):
        ganzoo.train(configure(values={**SMALL, "optimizer.lr": 1e30, "steps": 30, "log_every": 1}), tmp_path / "r")
    (trouble,) = Run(tmp_path / "r").warnings()
    assert trouble["name"] == "divergence"


def test_a_run_that_continues_goes_on_watching(tmp_path: Path) -> None:
    """The rows that were written are followed again, so nothing is said twice, and nothing is missed."""
    config = configure(values={**FAILING, "gen.z_dim": 1, "checkpoint_every": 140})
    ganzoo.train(config, tmp_path / "r")
    run = Run(tmp_path / "r")
    whole = run.warnings()
    assert [t["name"] for t in whole] == ["mode collapse"]
    shutil.rmtree(run.checkpoints()[-1])
    ganzoo.train(config, tmp_path / "r")
    assert run.warnings() == whole

"""Check the warnings of presets in training, and of runs that are made to fail on purpose.

    python -m benchmarks.watch --data FOLDER [--steps 300] [NAME …]

FOLDER holds `mnist` and `cifar10` in the Hub's parquet layout. Each preset is trained for its first steps, with the
changes in `SMALLER`, so that a step takes less than a second on one core; schedules are those of the whole run. Presets
must give no warnings. A run that is made to fail must give one of the expected warnings, and may give others. Those in
`SURVIVE` learn even at a hundred times their learning rate, so that anything is accepted of them. NAME selects runs, as
`digits` or `digits-no-latent`.

Writes benchmarks/results/watch/NAME.json: every warning with its step, and how near each sign came to its limit. The
exit code is 1 if a run gave other warnings than it must.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import ganzoo
from benchmarks.record import record
from ganzoo import configure
from ganzoo.config.schema import Config
from ganzoo.errors import Diverged
from ganzoo.registry.discovery import installed
from ganzoo.run.diagnostics import AUC_SWING, COPIES, FLAT, LARGE_LOGIT, LOGIT_SWING, Window
from ganzoo.run.folder import Run
from ganzoo.training.trainer import Progress

LOG_EVERY, NEVER = 10, 10**9
QUIET = {"log_every": LOG_EVERY, **{f"{what}_every": NEVER for what in ("evaluate", "sample", "checkpoint")}}
STREAMED = {"data.memory": 1, "data.workers": 0}
"""Images are decoded when they are used: a few hundred steps need few of them."""
NARROW = {"gen.width": 16, "disc.width": 16, "batch_size": 16}
SMALLER: dict[str, dict[str, Any]] = {
    "autoencoder-mnist": {"batch_size": 32},
    "badgan-cifar10": NARROW,
    "best-cifar10-4000": {**NARROW, "ssl.width": 16},
    "biggan-cifar10": {**NARROW, "gen.width": 8, "disc.width": 8, "players.discriminator.updates_per_step": 1},
    "dcgan-64": NARROW,
    "default": NARROW,
    "digits": {"batch_size": 16},
    "fixmatch-mnist": {"disc.width": 8, "batch_size": 64},
    "improved-gan-cifar10": NARROW,
    "improved-gan-mnist": {"batch_size": 32},
    "progan-cifar10": NARROW,
    "r3gan-cifar10": NARROW,
    "sngan-cifar10": NARROW,
    "sngan-mnist": NARROW,
    "stylegan2-ada-cifar10": NARROW,
    "triplegan-mnist": {"batch_size": 32, "labelled_batch_size": 32},
    "wgan-gp-cifar10": NARROW,
}
TIMES = 100
"""Factor on the learning rates of a run that is made to diverge."""
DIVERGE, SURVIVE = ("sngan-mnist", "stylegan2-ada-cifar10"), ("digits", "dcgan-64")
"""Presets that diverge at such a rate, and some that do not."""
STRONG = {"players.discriminator.updates_per_step": 5, "players.discriminator.lr": 4e-3}
LARGE_RATE = ("divergence", "no convergence")
FAILING: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "digits-strong-discriminator": (
        {**STRONG, "ssl": "none", "loss": "minimax"},
        ("vanishing generator gradient",),
    ),
    "digits-no-latent": ({"ssl": "none", "gen.z_dim": 1}, ("mode collapse",)),
}


class Sign(NamedTuple):
    """A value of a window, its limit, and on which side of the limit nothing is wrong.

    Attributes:
        extreme: The extreme that comes nearest to the limit: "least" or "most".
        limit: The limit.
        value: Returns the value of a metric in a window.
    """

    extreme: Literal["least", "most"]
    limit: float
    value: Callable[[Window, str], float]


SIGNS = {
    "generator_loss_slope": Sign("least", FLAT, Window.typical),
    "discriminator_loss_slope": Sign("least", FLAT, Window.typical),
    "diversity": Sign("least", COPIES, Window.typical),
    "swing of mean_logit": Sign("most", LOGIT_SWING, Window.swing),
    "swing of discriminator_auc": Sign("most", AUC_SWING, Window.swing),
    "mean_logit": Sign("most", LARGE_LOGIT, Window.typical),
}
"""Signs by what is recorded of them; the last word is the name of a metric."""


class Enough(Exception):
    """The run has taken enough steps."""


@dataclass(frozen=True)
class Case:
    """A run of a preset.

    Attributes:
        preset: Name of the preset.
        changed: Values that are changed.
        expected: Warnings of which the run must give one; () for no warning, None for whatever comes.
    """

    preset: str
    changed: Mapping[str, Any] = field(default_factory=dict)
    expected: tuple[str, ...] | None = ()

    def config(self, data: Path) -> Config:
        """Return the configuration."""
        source = installed().get("preset", self.preset).component.load()["data"]["source"]
        images = {} if source == "digits" else {"data.source": str(data / source), **STREAMED}
        return configure(self.preset, values={**QUIET, **images, **self.changed})


def hot(preset: str) -> dict[str, float]:
    """Return every learning rate of a preset times `TIMES`."""
    values = configure(preset)
    own = {f"players.{name}.lr": o["lr"] for name, o in values.players.items() if "lr" in o}
    return {key: TIMES * rate for key, rate in {"optimizer.lr": values.optimizer.lr, **own}.items()}


def cases() -> dict[str, Case]:
    """Return every run by name."""
    names = [r.component.name for r in installed().list("preset")]
    found = {name: Case(name, SMALLER.get(name, {})) for name in names}
    for name, (changed, expected) in FAILING.items():
        found[name] = Case("digits", {**SMALLER["digits"], **changed}, expected)
    for preset in (*DIVERGE, *SURVIVE):
        expects = LARGE_RATE if preset in DIVERGE else None
        found[f"{preset}-hot"] = Case(preset, {**SMALLER[preset], **hot(preset)}, expects)
    return found


def watched(case: Case, data: Path, steps: int) -> dict[str, Any]:
    """Train for some steps, and return the warnings and how near each sign came to its limit."""

    def follow(progress: Progress) -> None:
        if progress.step >= steps:
            raise Enough

    config, began, ended = case.config(data), time.monotonic(), ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            ganzoo.train(config, Path(folder) / "run", on_progress=follow)
        except Enough:
            pass
        except Diverged as error:
            ended = str(error).partition(". ")[0]
        run = Run(Path(folder) / "run")
        rows, warnings = [row for row in run.metrics() if "images_per_second" in row], run.warnings()
    return {
        "preset": case.preset,
        "changed": dict(case.changed),
        "steps": rows[-1]["step"] if rows else 0,
        "log_every": LOG_EVERY,
        "seconds": round(time.monotonic() - began),
        "warnings": [{key: warning[key] for key in ("step", "name", "message")} for warning in warnings],
        "ended": ended,
        "nearest": nearest(rows),
    }


def nearest(rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return the limit of each sign, and its value that came nearest, over all full windows."""
    window, found = Window(), dict[str, list[float]]()
    for row in rows:
        if window.add(int(row["step"]), {k: v for k, v in row.items() if k != "step"}):
            for name, sign in SIGNS.items():
                if window.values(metric := name.rpartition(" ")[2]):
                    found.setdefault(name, []).append(sign.value(window, metric))
    extremes = {"least": min, "most": max}
    return {
        name: {"limit": sign.limit, sign.extreme: float(f"{extremes[sign.extreme](found[name]):.4g}")}
        for name, sign in SIGNS.items()
        if name in found
    }


def right(case: Case, result: dict[str, Any]) -> bool:
    """Return whether a run gave the warnings that it must."""
    given = {warning["name"] for warning in result["warnings"]}
    return bool(given & {*case.expected}) if case.expected else case.expected is None or not given


def main() -> None:
    """Train, record, and print which runs gave other warnings than they must."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FOLDER", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("names", metavar="NAME", nargs="*")
    chosen, known = parser.parse_args(), cases()
    wrong = []
    for name in chosen.names or known:
        case = known[name]
        result = watched(case, chosen.data, chosen.steps)
        result["as expected"] = right(case, result)
        record(f"watch/{name}", result)
        wrong += [] if result["as expected"] else [name]
    for name in wrong:
        print(f"{name} gave OTHER warnings than it must")
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

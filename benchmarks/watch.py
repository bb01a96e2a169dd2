"""What is said while presets train, and while runs do that were made to fail on purpose.

    python -m benchmarks.watch --data FOLDER [--steps 300] [NAME …]

FOLDER holds `mnist` and `cifar10` in the Hub's parquet layout. Each preset is trained for its first steps, as it is
but for what `SMALLER` says, so that a step takes less than a second on one core; schedules stand where they do at the
beginning of the whole run. Nothing may be said of a preset. Of a run made to fail, one of the troubles must be said
that are expected; what else is said is kept too. Presets in `SURVIVE` go on learning at a hundred times their rate, and
nothing is expected. NAME chooses some of the runs, as `default` or `default-no-latent`.

Writes benchmarks/results/watch/NAME.json: every warning with its step, and how near each sign came to its limit. The
exit code is 1 where a run was not spoken of as it must be.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ganzoo
from benchmarks.record import record
from ganzoo import configure
from ganzoo.config import Config
from ganzoo.errors import Diverged
from ganzoo.registry import installed
from ganzoo.run import Run
from ganzoo.trainer import Progress
from ganzoo.watch import ALIKE, FAR, SURE, TURNS, WIDE, Window

LOG_EVERY, NEVER = 10, 10**9
QUIET = {"log_every": LOG_EVERY, **{f"{what}_every": NEVER for what in ("evaluate", "sample", "checkpoint")}}
STREAMED = {"data.memory": 1, "data.workers": 0}
"""Images are decoded when they are asked for: a few hundred steps see few of them."""
NARROW = {"gen.width": 16, "disc.width": 16, "batch": 16}
SMALLER: dict[str, dict[str, Any]] = {
    "autoencoder-mnist": {"batch": 32},
    "badgan-cifar10": NARROW,
    "best-cifar10-4000": {**NARROW, "ssl.width": 16},
    "biggan-cifar10": {**NARROW, "gen.width": 8, "disc.width": 8, "players.discriminator.moves": 1},
    "dcgan-64": NARROW,
    "default": {"batch": 16},
    "fixmatch-mnist": {"disc.width": 8, "batch": 64},
    "improved-gan-cifar10": NARROW,
    "improved-gan-mnist": {"batch": 32},
    "r3gan-cifar10": NARROW,
    "sngan-cifar10": NARROW,
    "sngan-mnist": NARROW,
    "stylegan2-ada-cifar10": NARROW,
    "triplegan-mnist": {"batch": 32, "labelled_batch": 32},
    "wgan-gp-cifar10": NARROW,
}
TIMES = 100
"""How many times its learning rate a run has that is made to diverge."""
DIVERGE, SURVIVE = ("sngan-mnist", "stylegan2-ada-cifar10"), ("default", "dcgan-64")
"""Presets that such a rate makes diverge, and some that it does not."""
LARGE_RATE = ("divergence", "no convergence")
FAILING: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "default-strong-discriminator": (
        {"ssl": "none", "loss": "minimax", "players.discriminator.moves": 5, "players.discriminator.lr": 4e-3},
        ("vanishing generator gradient",),
    ),
    "default-no-latent": ({"ssl": "none", "gen.z_dim": 1}, ("mode collapse",)),
}
SIGNS = {
    "generator_slope": ("least", SURE, lambda window: window.usual("generator_slope")),
    "discriminator_slope": ("least", SURE, lambda window: window.usual("discriminator_slope")),
    "diversity": ("least", ALIKE, lambda window: window.usual("diversity")),
    "swing of realness": ("most", WIDE, lambda window: window.swing("realness")),
    "swing of separation": ("most", TURNS, lambda window: window.swing("separation")),
    "realness": ("most", FAR, lambda window: window.usual("realness")),
}


class Enough(Exception):
    """The run has had its steps."""


@dataclass(frozen=True)
class Case:
    """A run: a preset, what is changed in it, and troubles of which one must be said: () for none, None for any."""

    preset: str
    changed: Mapping[str, Any] = field(default_factory=dict)
    expected: tuple[str, ...] | None = ()

    def config(self, data: Path) -> Config:
        """Return the configuration."""
        source = installed().get("preset", self.preset).component.load()["data"]["source"]
        images = {} if source == "digits" else {"data.source": str(data / source), **STREAMED}
        return configure(self.preset, values={**QUIET, **images, **self.changed})


def hot(preset: str) -> dict[str, float]:
    """Return every learning rate of a preset, made larger."""
    values = configure(preset)
    own = {f"players.{name}.lr": o["lr"] for name, o in values.players.items() if "lr" in o}
    return {key: TIMES * rate for key, rate in {"optimizer.lr": values.optimizer.lr, **own}.items()}


def cases() -> dict[str, Case]:
    """Return every run by name."""
    names = [r.component.name for r in installed().list("preset")]
    found = {name: Case(name, SMALLER.get(name, {})) for name in names}
    for name, (changed, expected) in FAILING.items():
        found[name] = Case("default", changed, expected)
    for preset in (*DIVERGE, *SURVIVE):
        expects = LARGE_RATE if preset in DIVERGE else None
        found[f"{preset}-hot"] = Case(preset, {**SMALLER[preset], **hot(preset)}, expects)
    return found


def watched(case: Case, data: Path, steps: int) -> dict[str, Any]:
    """Train for so many steps, and return what was said and how near each sign came to its limit."""

    def follow(progress: Progress) -> None:
        if progress.step >= steps:
            raise Enough

    config, began, ended = case.config(data), time.monotonic(), ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            ganzoo.train(config, Path(folder) / "run", report=follow)
        except Enough:
            pass
        except Diverged as error:
            ended = str(error).partition(". ")[0]
        run = Run(Path(folder) / "run")
        rows, said = [row for row in run.metrics() if "images_per_second" in row], run.troubles()
    return {
        "preset": case.preset,
        "changed": dict(case.changed),
        "steps": rows[-1]["step"] if rows else 0,
        "log_every": LOG_EVERY,
        "seconds": round(time.monotonic() - began),
        "warnings": [{key: trouble[key] for key in ("step", "name", "said")} for trouble in said],
        "ended": ended,
        "nearest": nearest(rows),
    }


def nearest(rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return for each sign its limit, and the value of it that came nearest, in the windows that are judged."""
    window, found = Window(), dict[str, list[float]]()
    for row in rows:
        if window.add(int(row["step"]), {k: v for k, v in row.items() if k != "step"}):
            for name, (_, _, value) in SIGNS.items():
                if window.of(name.rpartition(" ")[2]):
                    found.setdefault(name, []).append(value(window))
    return {
        name: {"limit": SIGNS[name][1], SIGNS[name][0]: float(f"{min(v) if SIGNS[name][0] == 'least' else max(v):.4g}")}
        for name, v in found.items()
    }


def right(case: Case, result: dict[str, Any]) -> bool:
    """Whether a run was spoken of as it must be."""
    said = {warning["name"] for warning in result["warnings"]}
    return bool(said & {*case.expected}) if case.expected else case.expected is None or not said


def main() -> None:
    """Train, record, and say which runs were not spoken of as they must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FOLDER", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("names", metavar="NAME", nargs="*")
    asked, known = parser.parse_args(), cases()
    wrong = []
    for name in asked.names or known:
        case = known[name]
        result = watched(case, asked.data, asked.steps)
        result["as it must be"] = right(case, result)
        record(f"watch/{name}", result)
        wrong += [] if result["as it must be"] else [name]
    for name in wrong:
        print(f"{name} was NOT spoken of as it must be")
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

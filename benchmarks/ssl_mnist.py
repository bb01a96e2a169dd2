"""Run a preset on MNIST for given seeds, and keep one file a run: error of averaged and raw weights, and their curves.

    python -m benchmarks.ssl_mnist --preset improved-gan-mnist --data FOLDER --seeds 0-2 [--labels 100]

FOLDER holds MNIST in the Hub's parquet layout. A seed decides weights, batches and which labels are kept. A run that
was cut short goes on with the same command; one whose result is kept is not run again, and where that is of another
recipe, as after `--set`, this one wants a `--name`. Prints mean ± sample standard deviation, and every value.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
from pathlib import Path
from typing import Any

import ganzoo
from benchmarks.record import RESULTS, with_commits
from ganzoo import Config, configure
from ganzoo.config import differences
from ganzoo.errors import GanzooError
from ganzoo.recipes import parse_setting, preset_values
from ganzoo.registry import installed
from ganzoo.run import Run
from ganzoo.storage import to_json, write_file

FOLDER = RESULTS / "ssl_mnist"


def settings(chosen: argparse.Namespace, seed: int) -> Config:
    """Return the configuration of one run: the preset's, with its data found elsewhere."""
    data = preset_values(chosen.preset, installed()).get("data", {}) | {"source": chosen.data}
    data |= {"split_seed": seed} | ({"labels": chosen.labels} if chosen.labels else {})
    values: dict[str, Any] = {f"data.{key}": value for key, value in data.items()} | {"seed": seed}
    values |= dict(map(parse_setting, chosen.set))
    return configure(preset=chosen.preset, values=values)


def recipe(config: Config) -> Config:
    """Return a configuration as it is kept: with the data set's name, wherever it lay."""
    return config.model_copy(update={"data": config.data.model_copy(update={"source": "mnist"})})


def measure(name: str, chosen: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Train, or go on, and return what is kept of the run, and where it was made."""
    here = with_commits(chosen.runs / name)  # before: the tree may change while it trains
    gan = ganzoo.train(
        config, chosen.runs / name, report=lambda p: print(f"{name} {p.step}/{p.steps} {p.error}", flush=True)
    )
    rows = [r for r in Run(chosen.runs / name).metrics() if "error" in r]
    kept = recipe(config).to_json()
    result = {
        "preset": chosen.preset,
        "changed": [text for text in chosen.set if not text.partition("=")[0].endswith("_every")],
        "seed": config.seed,
        "split_seed": config.data.split_seed,
        "labels": config.data.labels,
        "split": gan.facts["split"],
        "config": json.loads(kept),
        "config_hash": hashlib.sha256(kept.encode()).hexdigest(),
        "steps": config.steps,
        "error": rows[-1]["error"],
        "error_raw": rows[-1]["error_raw"],
        "curve": [[r["step"], r["error"], r["error_raw"]] for r in rows],
        "seconds": gan.facts["seconds"],
    }
    return {"result": result, **here}


def other(kept: dict[str, Any], config: Config) -> list[str]:
    """Return how a kept run's configuration differs from one, but for how often it was looked at."""
    rows = differences(Config.parse(kept).to_dict(), recipe(config).to_dict())
    return [row for row in rows if not row.split(":")[0].endswith("_every")]


def span(text: str) -> range:
    """Return the numbers from A to B of `A-B`, or A alone. Raises ValueError where there are none."""
    first, _, last = text.partition("-")
    if numbers := range(int(first), int(last or first) + 1):
        return numbers
    raise ValueError(text)


def main() -> None:
    """Measure, keep and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--data", metavar="FOLDER", required=True)
    parser.add_argument("--seeds", type=span, default="0-2")
    parser.add_argument("--labels", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--name", help="what the results are called; default: the preset, labels and steps")
    parser.add_argument("--runs", type=Path, default=Path("runs/ssl_mnist"))
    chosen = parser.parse_args()
    errors = []
    for seed in chosen.seeds:
        config = settings(chosen, seed)
        name = f"{chosen.name or f'{chosen.preset}-{config.data.labels}-{config.steps}'}-{seed}"
        path = FOLDER / f"{name}.json"
        if path.is_file():
            if rows := other(json.loads(path.read_text())["result"]["config"], config):
                parser.error(f"{path.name} is of another recipe ({'; '.join(rows)}); give this one a --name")
        else:
            FOLDER.mkdir(parents=True, exist_ok=True)
            write_file(path, to_json(measure(name, chosen, config)))
        errors.append(json.loads(path.read_text())["result"]["error"])
        spread = f" ± {100 * statistics.stdev(errors):.3f}" if len(errors) > 1 else ""
        values = ", ".join(f"{100 * e:.2f}" for e in errors)
        print(f"{name}: mean {100 * statistics.fmean(errors):.3f}{spread} % of {len(errors)}: {values}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except GanzooError as error:
        raise SystemExit(f"error: {error}") from error

"""Run a preset on MNIST with several seeds, and write a file per run: error of averaged and raw weights, and curves.

    python -m benchmarks.ssl_mnist --preset improved-gan-mnist --data FOLDER --seeds 0-2 [--labels 100]

FOLDER holds MNIST in the Hub's parquet layout. A seed determines weights, batches and the choice of labels. The same
command continues a run that was interrupted, and does not repeat one whose result is stored. If the stored result is
that of another recipe, for example with `--set`, the new one needs a `--name`. Prints mean ± sample standard deviation,
and every value.
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
from ganzoo.base.storage import to_json, write_file
from ganzoo.config.files import differences
from ganzoo.config.resolve import parse_setting, preset_values, qualify
from ganzoo.errors import GanzooError
from ganzoo.registry.discovery import installed
from ganzoo.run.folder import Run

FOLDER = RESULTS / "ssl_mnist"


def settings(chosen: argparse.Namespace, seed: int) -> Config:
    """Return the configuration of one run: that of the preset, with the data in the folder."""
    data = preset_values(chosen.preset, installed()).get("data", {}) | {"source": chosen.data}
    data |= {"split_seed": seed} | ({"labels": chosen.labels} if chosen.labels else {})
    values: dict[str, Any] = {f"data.{key}": value for key, value in data.items()} | {"seed": seed}
    values |= dict(map(parse_setting, chosen.set))
    return configure(preset=chosen.preset, values=values)


def recipe(config: Config) -> Config:
    """Return a configuration as it is stored: with the name of the data set instead of its folder."""
    return config.model_copy(update={"data": config.data.model_copy(update={"source": "mnist"})})


def measure(name: str, chosen: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Train, or continue a run, and return its result and where it was measured."""
    here = with_commits(chosen.runs / name)  # before: the tree may change while it trains
    gan = ganzoo.train(
        config, chosen.runs / name, on_progress=lambda p: print(f"{name} {p.step}/{p.steps} {p.error}", flush=True)
    )
    rows = [r for r in Run(chosen.runs / name).metrics() if "error" in r]
    stored = recipe(config).to_json()
    result = {
        "preset": chosen.preset,
        "changed": [text for text in chosen.set if not text.partition("=")[0].endswith("_every")],
        "seed": config.seed,
        "split_seed": config.data.split_seed,
        "labels": config.data.labels,
        "split": gan.metadata["split"],
        "config": json.loads(stored),
        "config_hash": hashlib.sha256(stored.encode()).hexdigest(),
        "steps": config.steps,
        "error": rows[-1]["error"],
        "error_raw": rows[-1]["error_raw"],
        "curve": [[r["step"], r["error"], r["error_raw"]] for r in rows],
        "seconds": gan.metadata["seconds"],
    }
    return {"result": result, **here}


def other(stored: dict[str, Any], config: Config) -> list[str]:
    """Return how the configuration of a stored run differs from another one, apart from intervals of evaluation.

    Args:
        stored: Configuration values in the format of this or an earlier version.
        config: The other configuration.
    """
    old = qualify(Config.restore(stored), installed())  # components under their present names
    rows = differences(old.to_dict(), recipe(config).to_dict())
    return [row for row in rows if not row.split(":")[0].endswith("_every")]


def span(text: str) -> range:
    """Return the numbers from A to B of `A-B`, or A alone. Raises ValueError if there are none."""
    first, _, last = text.partition("-")
    if numbers := range(int(first), int(last or first) + 1):
        return numbers
    raise ValueError(text)


def main() -> None:
    """Measure, record and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--data", metavar="FOLDER", required=True)
    parser.add_argument("--seeds", type=span, default="0-2")
    parser.add_argument("--labels", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--name", help="name of the results; default: preset, labels and steps")
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

"""Run a named study on MNIST with `ganzoo study`, and record its results with command, machine and commit.

    python -m benchmarks.studies NAME --data FOLDER [--seeds A-B] [--runs FOLDER] [--workers N]

FOLDER holds MNIST in the Hub's parquet layout. The same command continues a study that was stopped; with more seeds it
extends the study, whose file then names every commit that it was run with. Writes benchmarks/results/studies/NAME.json,
and docs/assets/NAME.svg if the study has several numbers of labels.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import ganzoo.cli
from benchmarks.record import RESULTS, with_commits
from ganzoo.base.storage import to_json, write_file

FOLDER = RESULTS / "studies"
ASSETS = Path(__file__).parents[1] / "docs" / "assets"
BUDGET = (
    "--gen dcgan --disc dcgan --set gen.width=16 --set disc.width=16 --set disc.norm=group --size 32 --batch-size 64 "
    "--steps 1500 --set data.shift=2 --set data.strength=0.5 --set optimizer.lr=0.001 "
    "--set optimizer.schedule=linear --set optimizer.decay_start=0.5 --set evaluate_every=1500"
)
EVERY = (
    "supervised,kplus1,kplus1:ssl.adversarial_weight=0,autoencoder,autoencoder:ssl.gan=off,mdgan,"
    "aae:gen.conditional=true,aae:ssl.gan=off,pseudolabel,pseudolabel:ssl.gan=off,fixmatch,fixmatch:ssl.gan=off,"
    "margingan,margingan:ssl.gan=off,noisy-student,noisy-student:ssl.gan=off,s3gan:gen.conditional=true,"
    "triplegan:gen.conditional=true,triplegan:ssl.gan=off,badgan"
)
STUDIES = {
    "mnist-100": f"--ssl {EVERY} --labels 100 --seeds 0-2 {BUDGET}",
    "mnist-labels": (
        "--ssl supervised,kplus1,autoencoder,pseudolabel,fixmatch:ssl.gan=off,fixmatch:ssl.threshold=0.7,"
        "noisy-student:ssl.of=fixmatch:ssl.options.threshold=0.7 "
        f"--labels 20,50,100,1000 --seeds 0-2 {BUDGET}"
    ),
}


def command(name: str, data: str = "mnist", seeds: str | None = None) -> list[str]:
    """Return the command of a study, without its output folder."""
    words = shlex.split(f"ganzoo study {STUDIES[name]}")
    if seeds:
        words[words.index("--seeds") + 1] = seeds
    return [*words, "--data", data]


def keep(name: str, out: Path, here: dict[str, Any]) -> None:
    """Write the results in a study folder, and the command that repeats all of them."""
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    seeds = sorted({cell["seed"] for cell in results["cells"]})
    if seeds != [*range(seeds[0], seeds[-1] + 1)]:
        raise SystemExit(f"error: seeds {seeds} leave some out, so that no command repeats them all; run those, too")
    shown = shlex.join(command(name, seeds=f"{seeds[0]}-{seeds[-1]}")) + f" --out studies/{name}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_file(FOLDER / f"{name}.json", to_json({"result": {"command": shown, **results}, **here}))
    if len({row["labels"] for row in results["table"]}) > 1:  # otherwise there is no curve
        shutil.copy(out / "curve.svg", ASSETS / f"{name}.svg")


def main() -> None:
    """Run the study, and record it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=STUDIES)
    parser.add_argument("--data", metavar="FOLDER", required=True)
    parser.add_argument("--seeds", help="default: the study's own")
    parser.add_argument("--runs", type=Path, default=Path("runs/studies"))
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    out = chosen.runs / chosen.name
    here = with_commits(out)
    words = [*command(chosen.name, chosen.data, chosen.seeds), "--out", str(out), "--workers", str(chosen.workers)]
    try:
        ganzoo.cli.main(words[1:], prog_name="ganzoo")
    except SystemExit as end:
        if not end.code:
            keep(chosen.name, out, here)
        raise


if __name__ == "__main__":
    main()

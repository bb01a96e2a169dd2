"""Train every generator on MNIST for some minutes, and draw 64 images of each.

    python -m benchmarks.zoo_grids --data FOLDER [--only NAME ...] [--runs FOLDER]

FOLDER holds MNIST in the Hub's parquet layout. Writes docs/assets/zoo/NAME.png and benchmarks/results/zoo/NAME.json,
with the command, its time and the machine. The same command continues a run that was interrupted.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.record import RESULTS, where
from ganzoo.base.storage import to_json, write_file

FOLDER = RESULTS / "zoo"
PICTURES = Path(__file__).parents[1] / "docs" / "assets" / "zoo"
CLASSES = "--ssl projection --labels all --set gen.conditional=true"
RUNS = {
    "mlp": "--gen mlp --disc mlp --ssl none --loss nonsaturating --set optimizer.lr=3e-4 --steps 6000 --size 32",
    "dcgan": "--gen dcgan --disc dcgan --set gen.width=32 --set disc.width=32 --set disc.norm=spectral --ssl none "
    "--loss hinge --steps 2000 --size 32",
    "conv-small": "--gen conv-small --disc dcgan --set gen.width=24 --set disc.width=32 --set disc.norm=spectral "
    "--ssl none --loss hinge --set optimizer.lr=5e-4 --set players.discriminator.lr=2e-4 --steps 2500 --size 32",
    "sngan": "--preset sngan-mnist --size 32",
    "biggan": f"--gen biggan --disc biggan --set gen.width=8 --set disc.width=8 --loss hinge {CLASSES} "
    "--set optimizer.beta1=0 --steps 2000 --size 32",
    "stylegan2": "--gen stylegan2 --disc stylegan2 --set gen.width=32 --set disc.width=64 --ssl none "
    "--loss nonsaturating --penalty r1 --set penalties.r1.gamma=1 --set optimizer.lr=1e-3 --set optimizer.beta1=0 "
    "--set optimizer.beta2=0.99 --steps 3000 --size 16",
    "r3gan": "--gen r3gan --disc r3gan --set gen.width=16 --set disc.width=16 --loss relativistic --ssl none "
    "--penalty r3gan --set penalties.r3gan.gamma=0.5 --set penalties.r3gan.final_gamma=0.05 --set optimizer.lr=5e-4 "
    "--set optimizer.beta1=0 --set optimizer.beta2=0.9 --steps 2500 --size 16",
}


def command(name: str) -> list[str]:
    """Return the command of a run, without data and run folder."""
    return shlex.split(f"ganzoo train {RUNS[name]} --batch-size 64")


def main() -> None:
    """Train, draw and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FOLDER", required=True)
    parser.add_argument("--only", nargs="+", choices=RUNS, default=[*RUNS])
    parser.add_argument("--runs", type=Path, default=Path("runs/zoo"))
    chosen = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in chosen.only:
        if (FOLDER / f"{name}.json").is_file():
            continue
        out = str(chosen.runs / name)
        words = [*command(name)[1:], "--data", chosen.data, "--out", out]
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "ganzoo", *words], check=True)
        seconds = time.monotonic() - began
        grid = str(PICTURES / f"{name}.png")
        subprocess.run(
            [sys.executable, "-m", "ganzoo", "sample", out, "-n", "64", "--seed", "0", "--out", grid],
            check=True,
        )
        steps = json.loads((Path(out) / "model" / "config.json").read_text(encoding="utf-8"))["step"]
        shown = shlex.join([*command(name), "--data", "mnist"])
        result = {"command": shown, "steps": steps, "seconds": round(seconds, 1)}
        write_file(FOLDER / f"{name}.json", to_json({"result": result, **where()}))


if __name__ == "__main__":
    main()

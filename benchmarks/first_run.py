"""Measure a first run: seconds, peak memory and held-out error of whole `ganzoo train` commands.

    python -m benchmarks.first_run [--mnist FOLDER]

`digits` is the README's first command. `mnist` needs a folder of MNIST in the Hub's parquet layout.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time

from benchmarks.record import record

TRAIN = ["train"]


def measure(*words: str) -> dict[str, object]:
    """Return the seconds, peak memory and result of `ganzoo train …` in an empty folder."""
    command = [sys.executable, "-m", "ganzoo", *TRAIN, *words, "--json"]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - began
    printed = json.loads(done.stdout)
    shown_command = " ".join(["ganzoo", *TRAIN, *words])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    result = {k: printed[k] for k in ("error", "held_out", "step", "split")}
    return {"command": shown_command, "seconds": round(seconds, 1), "peak_memory_MiB": round(peak), **result}


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", metavar="FOLDER")
    chosen = parser.parse_args()
    result = {"digits": measure()}
    if chosen.mnist:
        words = ["--data", chosen.mnist, "--labels", "100", "--steps", "2000"]
        result["mnist"] = measure(*words)
        result["mnist"]["command"] = str(result["mnist"]["command"]).replace(chosen.mnist, "mnist")
    record("first_run", result)


if __name__ == "__main__":
    main()

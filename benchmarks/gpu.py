"""Check and measure the library on a GPU, in five minutes and five stages.

    python -m benchmarks.gpu [--device cuda] [--limit SECONDS] [--stages NAMES] [--out FOLDER] [--again]
    python -m benchmarks.gpu --device cpu --rehearse     # all of it with tiny numbers, in less than a minute

environment   `ganzoo doctor`, the build of torch, what the device can do
tests         the tests that are marked `gpu`
default       `ganzoo train` for 200 steps: seconds, images per second, held-out error
strategies    steps of every strategy in each precision; the terms of the first one, compared with the CPU in fp32
throughput    the Trainer over a bare loop, for DCGAN-64 and SNGAN-32 (see benchmarks/throughput.py)

Each stage is a process of its own with a time limit of its own (benchmarks/gpu_stages.py): one that crashes or hangs
does not take the others with it, and what it found before is kept. FOLDER/NAME.json, NAME that of the GPU, is written
after each stage. It has for each its status (`done`, `failed`, `stopped` at its limit, or `left out` because no time
was left), error and result, and where it was measured. The same command skips stages that are done on this machine at
this commit, apart from `environment`; `--again` repeats them. The exit code is 1 unless all stages are done.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.gpu_stages import write_json

ROOT = Path(__file__).parents[1]


class Stage(NamedTuple):
    """A function `MODULE:FUNCTION` that is called with a `benchmarks.gpu_stages.Job`, and its limit in seconds."""

    function: str
    limit: float


STAGES = {
    "environment": Stage("benchmarks.gpu_stages:environment", 60),
    "tests": Stage("benchmarks.gpu_stages:tests", 60),
    "default": Stage("benchmarks.gpu_stages:default", 45),
    "strategies": Stage("benchmarks.gpu_stages:strategies", 120),
    "throughput": Stage("benchmarks.gpu_stages:throughput", 90),
}


def run(stage: Stage, device: str, rehearse: bool, limit: float) -> dict[str, Any]:
    """Run a stage in a process of its own.

    Args:
        stage: The stage.
        device: As in a configuration.
        rehearse: Whether tiny numbers are enough.
        limit: Seconds after which the process, and what it started, are killed.

    Returns:
        `status`, `seconds`, `limit`, `result` and, unless it is done, `error`.
    """
    limit = min(limit, stage.limit)
    with TemporaryDirectory() as place:
        path, log = Path(place) / "found.json", Path(place) / "log"
        command = [sys.executable, "-m", "benchmarks.gpu_stages", stage.function, str(path), "--device", device]
        code, began = None, time.monotonic()
        with log.open("wb") as output:
            child = subprocess.Popen(
                [*command, *["--rehearse"] * rehearse], cwd=ROOT, stdout=output, stderr=output, start_new_session=True
            )
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = child.wait(limit)
            finally:
                if code is None:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
        entry: dict[str, Any] = {"status": "done", "seconds": round(time.monotonic() - began, 1), "limit": round(limit)}
        printed = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        if code is None:
            entry |= {"status": "stopped", "error": f"stopped at its limit of {limit:.0f} seconds"}
        elif code:
            by = "" if code > 0 else f"{signal.Signals(-code).name}; last output: "
            entry |= {"status": "failed", "error": by + (printed[-1] if printed else f"exit code {code}")}
        return entry | {"result": json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}}


class Results:
    """The file that holds what the stages found, and what it held before."""

    def __init__(self, chosen: argparse.Namespace, environment: dict[str, Any]) -> None:
        self.about = {key: getattr(chosen, key) for key in ("command", "device")} | {"rehearsal": chosen.rehearse}
        self.here = {key: environment["result"].get(key) for key in ("machine", "versions", "commit")}
        device = (self.here["machine"] or {}).get("gpu") or chosen.device
        name = f"{device}{' rehearsal' * chosen.rehearse}".lower()
        self.path: Path = chosen.out / f"{re.sub('[^a-z0-9]+', '-', name)}.json"
        self.stages: dict[str, Any] = {}
        if self.path.is_file():
            self.stages = json.loads(self.path.read_text(encoding="utf-8"))["result"]["stages"]

    def done(self, name: str) -> bool:
        """Return whether a stage was done on this machine at this commit."""
        entry = self.stages.get(name, {})
        known = self.here["machine"] is not None
        return bool(known and entry.get("status") == "done" and self.here == {key: entry.get(key) for key in self.here})

    def keep(self, name: str, entry: dict[str, Any]) -> None:
        """Write the file with one more stage."""
        self.stages[name] = entry | self.here
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, {"result": {**self.about, "stages": self.stages}, **self.here})
        print(f"{name:12} {entry['status']:9}{entry['seconds']:6.1f} s  {entry.get('error', '')}", flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """Run the stages, one after the other."""
    chosen = parse(sys.argv[1:] if words is None else words)
    end = time.monotonic() + chosen.limit
    environment = run(STAGES["environment"], chosen.device, chosen.rehearse, chosen.limit)
    results = Results(chosen, environment)
    results.keep("environment", environment)
    for name in (stage for stage in STAGES if stage in chosen.stages and stage != "environment"):
        left = end - time.monotonic()
        if results.done(name) and not chosen.again:
            print(f"{name:12} is done; --again repeats it")
        elif left < 1:
            results.keep(name, {"status": "left out", "seconds": 0.0, "error": "no time was left", "result": {}})
        else:
            results.keep(name, run(STAGES[name], chosen.device, chosen.rehearse, left))
    print(f"written to {results.path}")
    if not all(results.done(name) for name in ("environment", *chosen.stages)):
        raise SystemExit(1)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, mps or cpu")
    parser.add_argument("--limit", type=float, default=300, help="seconds for all stages together")
    parser.add_argument("--stages", type=stage_names, default=[*STAGES], help="only these, as default,throughput")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/gpu, and runs/gpu for a rehearsal")
    parser.add_argument("--again", action="store_true", help="repeat stages that are done")
    parser.add_argument("--rehearse", action="store_true", help="use tiny numbers")
    chosen = parser.parse_args(words)
    chosen.out = chosen.out or ROOT / ("runs/gpu" if chosen.rehearse else "benchmarks/results/gpu")
    chosen.command = shlex.join(["python", "-m", "benchmarks.gpu", *words])
    return chosen


def stage_names(text: str) -> list[str]:
    """Return the stages in `a,b`. Raises argparse.ArgumentTypeError for one that does not exist."""
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in STAGES]:
        raise argparse.ArgumentTypeError(f"no stage is called '{unknown[0]}'; there are: {', '.join(STAGES)}")
    return names


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a stage that is running is then stopped, too
    main()

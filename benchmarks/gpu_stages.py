"""The stages of benchmarks/gpu.py, each of which runs in a process of its own.

    python -m benchmarks.gpu_stages MODULE:FUNCTION FILE --device DEVICE [--rehearse]

The function is called with a `Job`, and what it reports is in FILE at once, so that it outlives the process.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import shlex
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
TOLERANCE = {"fp32": 0.005, "fp16": 0.01, "bf16": 0.05}
"""Largest |x - r| / (|r| + 0.1) of a term x of the first step, where r is that of the CPU in fp32. By default, GPUs
convolve fp32 in TF32, which has the mantissa of fp16."""


@dataclass
class Job:
    """The settings of a stage, and its findings.

    Attributes:
        device: As in a configuration: "cuda", "cuda:1", "cpu".
        rehearse: Whether tiny numbers are enough.
        path: File of the findings.
        found: Its content.
    """

    device: str
    rehearse: bool
    path: Path
    found: dict[str, Any] = field(default_factory=dict)

    def report(self, **found: Any) -> None:
        """Add findings to the file at once."""
        self.found |= found
        write_json(self.path, self.found)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file that holds the old content or the new at every moment."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def environment(job: Job) -> None:
    """Report the machine, the build of torch, and what `ganzoo doctor` finds."""
    import torch

    from benchmarks.record import where
    from ganzoo.cli.doctor import findings

    if job.device.startswith("cuda:"):
        torch.cuda.set_device(int(job.device.partition(":")[2]))
    job.report(**where())
    job.report(
        torch={
            "version": torch.__version__,
            "git": torch.version.git_version,
            "cpu": dict(torch.cpu.get_capabilities()),
        }
    )
    job.report(doctor=[" ".join(filter(None, (name, status, remedy))) for name, status, remedy in findings()])
    if job.device.startswith("cuda"):
        facts = torch.cuda.get_device_properties(torch.cuda.current_device())
        job.report(
            gpu={
                "name": facts.name,
                "memory_gib": round(facts.total_memory / 2**30, 1),
                "capability": f"{facts.major}.{facts.minor}",
                "multiprocessors": facts.multi_processor_count,
                "count": torch.cuda.device_count(),
                "driver": nvidia_driver(),
                "cuda": torch.version.cuda,
                "bf16": torch.cuda.is_bf16_supported(including_emulation=False),
                "tf32": {
                    "convolutions": torch.backends.cudnn.allow_tf32,
                    "matmul": torch.get_float32_matmul_precision(),
                },
            }
        )


def nvidia_driver() -> str:
    """Return the version of the driver, or an empty string if nvidia-smi does not tell."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition("\n")[0].strip()
    except OSError:
        return ""


def tests(job: Job) -> None:
    """Run the tests that are marked `gpu`; a rehearsal only collects them."""
    folders = (ROOT / "tests", ROOT / "plugins")
    files = [str(p) for f in folders for p in sorted(f.rglob("test_*.py")) if "mark.gpu" in p.read_text("utf-8")]
    if not files:
        job.report(files=0, summary="no test is marked gpu")
        return
    options = ["-m", "gpu", "-q", "-rfE", "--timeout=30", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, *files]
    command += ["--collect-only"] * job.rehearse
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = ended.stdout.splitlines() or ended.stderr.splitlines() or [""]
    failures = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    job.report(files=len(files), summary=lines[-1], failures=failures)
    if ended.returncode:
        raise RuntimeError(f"pytest ended with {ended.returncode}: {lines[-1]}")


def default(job: Job) -> None:
    """Train the default run with the command line, from a cold start."""
    words = ["train", "--device", job.device, "--steps", "4" if job.rehearse else "200"]
    words += ["--size", "16", "--batch-size", "8", "--set", "gen.width=4", "--set", "log_every=2"] * job.rehearse
    with TemporaryDirectory() as place:
        command = [sys.executable, "-m", "ganzoo", *words, "--out", f"{place}/run", "--json"]
        began = time.perf_counter()
        ended = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
        if ended.returncode:
            raise RuntimeError((ended.stderr.splitlines() or ["ganzoo train failed"])[-1])
        logged = (Path(place) / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, logged) if "images_per_second" in row]
    first, last = rows[0], rows[-1]
    times = [row["step"] / row["images_per_second"] for row in (first, last)]  # in seconds over the batch size
    result = json.loads(ended.stdout)
    job.report(
        command=shlex.join(["ganzoo", *words]),
        seconds=round(seconds, 1),
        images_per_second=last["images_per_second"],
        images_per_second_after_first_row=round((last["step"] - first["step"]) / (times[1] - times[0]), 1),
        **{key: result[key] for key in ("step", "error", "held_out") if key in result},
    )


def strategies(job: Job) -> None:
    """Train a few steps of every strategy in each precision, and compare the terms of the first one with the CPU's."""
    import ganzoo

    if not usable(job.device):
        raise RuntimeError(f"nothing can be computed on {job.device}")
    precisions = [p for p in TOLERANCE if p != "fp16" or job.device.startswith("cuda")]  # it is refused elsewhere
    runs: dict[str, dict[str, Any]] = job.found.get("runs", {})
    job.report(tolerance={p: TOLERANCE[p] for p in precisions}, runs=runs)
    for name in (found.qualified for found in ganzoo.list_components("ssl")):
        reference: list[dict[str, float]] = []
        for precision in precisions:
            if f"{name} {precision}" in runs:
                continue
            try:
                reference = reference or few_steps(name, "cpu", "fp32", job.rehearse)[0]
                rows, random = few_steps(name, job.device, precision, job.rehearse)
                runs[f"{name} {precision}"] = compare(rows, reference[0], TOLERANCE[precision], random)
            except Exception as error:  # whatever is wrong with one strategy is a finding
                runs[f"{name} {precision}"] = {"status": "failed", "error": in_a_line(error)}
            job.report(runs=runs)
            if not usable(job.device):  # a CUDA error stays with its process: the next strategies need a fresh one
                restart()
    statuses = {p: [run["status"] for name, run in runs.items() if name.endswith(f" {p}")] for p in precisions}
    job.report(counts={p: {status: own.count(status) for status in sorted({*own})} for p, own in statuses.items()})


def few_steps(ssl: str, device: str, precision: str, rehearse: bool) -> tuple[list[dict[str, float]], bool]:
    """Return the terms of a few steps, and whether a GPU drew random numbers, which differ from those of a CPU."""
    import torch

    from ganzoo import configure
    from ganzoo.registry.discovery import installed
    from ganzoo.training.assemble import assemble
    from ganzoo.training.trainer import Trainer

    width, size, batch, steps = (4, 16, 8, 2) if rehearse else (32, 32, 32, 5)
    values = {"gen": "dcgan", "gen.width": width, "disc": "dcgan", "disc.width": width, "data.size": size}
    values |= {"ssl": ssl, "gen.conditional": bool(installed().get("ssl", ssl).component.load().needs_conditional)}
    values |= {"steps": 100, "batch_size": batch, "device": device, "precision": precision, "log_every": 1}
    trainer = Trainer(assemble(configure(values=values)))
    rows, random = [], False
    for step in range(steps):
        trainer.train_step()
        if step == 0 and trainer.backend.device.type == "cuda":
            offset = torch.cuda.get_rng_state(trainer.backend.device)[8:]  # since the seed, which each step sets
            random = bool(offset.any())
        rows.append({f"{p.player.name}/{term}": x.item() for p in trainer.players for term, x in p.terms.items()})
    return rows, random


def compare(
    rows: Sequence[dict[str, float]], reference: dict[str, float], tolerance: float, random: bool
) -> dict[str, Any]:
    """Return whether all terms are finite, and those of the first step near to their references."""
    if bad := [f"{term} of step {i}" for i, row in enumerate(rows, 1) for term in row if not math.isfinite(row[term])]:
        return {"status": "not finite", "error": bad[0]}
    far = {term: abs(rows[0][term] - x) / (abs(x) + 0.1) for term, x in reference.items()}
    worst = max(far, key=lambda term: far[term])
    status = "agrees" if far[worst] <= tolerance else "finite, and random on the device" if random else "differs"
    return {"status": status, "largest_difference": float(f"{far[worst]:.2g}"), "term": worst}


def usable(device: str) -> bool:
    """Return whether this process can still compute on a device."""
    import torch

    try:
        return bool(torch.ones(1, device=device).item())
    except Exception:  # of whatever type the device's errors are
        return False


def throughput(job: Job) -> None:
    """Measure the Trainer over a bare loop, as ratios within one run."""
    from benchmarks.throughput import LOOPS, MODELS, measure

    rounds, steps, batch_size, loops = (1, 1, 2, LOOPS[:2]) if job.rehearse else (5, 20, 64, LOOPS)
    for name, model in MODELS.items():
        job.report(**{name: measure(model, job.device, rounds, steps, batch_size, loops)})


def restart() -> None:
    """Start the stage again with what it has found so far, in the same process and under the same limit."""
    os.execv(sys.executable, [sys.executable, "-m", "benchmarks.gpu_stages", *sys.argv[1:]])


def in_a_line(error: Exception) -> str:
    """Return the type and the first line of an error."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]:.300}"


def main() -> None:
    """Call the function."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("function", metavar="MODULE:FUNCTION")
    parser.add_argument("file", type=Path)
    parser.add_argument("--device", required=True)
    parser.add_argument("--rehearse", action="store_true")
    chosen = parser.parse_args()
    found = json.loads(chosen.file.read_text(encoding="utf-8")) if chosen.file.exists() else {}  # after a restart
    module, _, name = chosen.function.partition(":")
    try:
        getattr(importlib.import_module(module), name)(Job(chosen.device, chosen.rehearse, chosen.file, found))
    except Exception as error:
        traceback.print_exc()
        raise SystemExit(in_a_line(error)) from error


if __name__ == "__main__":
    main()

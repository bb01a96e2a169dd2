"""Store a measurement with what it depends on: machine, versions, commit."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo.base.storage import to_json, write_file
from ganzoo.data.prepare import Dataset
from ganzoo.data.stream import Streamed

RESULTS = Path(__file__).parent / "results"


def record(name: str, result: dict[str, Any]) -> Path:
    """Write `results/<name>.json`: the result, and where it was measured."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"result": result, **where()}, indent=2) + "\n")
    print(
        json.dumps(result, indent=2),
        f"\nwritten to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}",
    )
    return path


def where() -> dict[str, Any]:
    """Return the machine, the versions and the commit (with `+` when the tree has changes)."""
    has = torch.cpu.get_capabilities()
    return {
        "machine": {
            "processor": has.get("cpu_name", platform.processor()),
            "cores": torch.get_num_threads(),
            "bf16": [k for k in ("amx_bf16", "avx512_bf16") if has.get(k)],
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "system": platform.system(),
        },
        "versions": {"python": platform.python_version(), **{p: version(p) for p in ("torch", "torch-ganzoo")}},
        "commit": _git("rev-parse", "--short", "HEAD")
        + ("+" if _git("status", "--porcelain", "--", "../ganzoo", "../plugins") else ""),
    }


def with_commits(run: Path) -> dict[str, Any]:
    """Return `where()` with every commit that a run was continued with; a file beside the run keeps them."""
    here, path = where(), run.parent / f"{run.name}.commits.json"
    commits = json.loads(path.read_text(encoding="utf-8")) if run.exists() and path.is_file() else []
    commits = list(dict.fromkeys([*commits, here["commit"]]))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, to_json(commits))
    return {**here, "commit": ", ".join(commits)}


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was asked: without that, a clock measures how fast work is handed out."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def images_in_memory(data: Dataset) -> Tensor:
    """Return the training images `[N, C, H, W]` uint8. Ends the program if they are decoded during the run."""
    if isinstance(data.train, Streamed):
        raise SystemExit(
            f"error: the images of '{data.name}' are not held in memory, where the bare loop looks for them"
        )
    return next(data.train.batches(iter([torch.arange(len(data.train))])))


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, cwd=RESULTS.parent, check=False)
    return done.stdout.strip()

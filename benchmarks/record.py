"""Keep a measurement with what it depends on: machine, versions, commit."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ganzoo.storage import to_json, write_file

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
    """Return `where()` for a run that may have been begun earlier, with every commit, which a file beside it keeps."""
    here, path = where(), run.parent / f"{run.name}.commits.json"
    made = json.loads(path.read_text(encoding="utf-8")) if run.exists() and path.is_file() else []
    made = list(dict.fromkeys([*made, here["commit"]]))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, to_json(made))
    return {**here, "commit": ", ".join(made)}


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, cwd=RESULTS.parent, check=False)
    return done.stdout.strip()

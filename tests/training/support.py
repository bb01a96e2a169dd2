"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from click.testing import Result

Cli = Callable[..., Result]


def ok(result: Result) -> str:
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


def refused(result: Result) -> str:
    assert result.exit_code not in (0, None), result.output
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    (line, *more) = result.stderr.strip().splitlines()
    assert line.startswith("error: "), result.stderr
    assert all(m.startswith("  ") or "Continue" in m for m in more), result.stderr
    return line.removeprefix("error: ") + "\n".join(more)


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Every tensor of the newest checkpoint and of the model."""
    newest = max((run / "checkpoints").iterdir(), key=lambda p: int(p.name))
    files = [*newest.glob("*.safetensors"), *(run / "model").glob("*.safetensors")]
    return {f"{f.name}:{k}": v for f in files for k, v in safetensors.torch.load_file(f).items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def differing(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> dict[str, float]:
    """The largest difference of each tensor that is not the same in both."""
    return {
        k: float((a[k].double() - b[k].double()).abs().max())
        for k in a.keys() & b.keys()
        if not torch.equal(a[k], b[k])
    } | {k: float("nan") for k in a.keys() ^ b.keys()}

"""What `ganzoo train` prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from PIL import Image

from ganzoo.cli.train import print_result
from ganzoo.run.folder import Run

Cli = Callable[..., Result]


def draw(folder: Path, counts: dict[str, tuple[int, int]]) -> None:
    """Draw as many training and test images of each class as `counts` says, all of them different."""
    levels = iter(range(256))
    for name, numbers in counts.items():
        for part, number in zip(("Training", "Testing"), numbers, strict=True):
            (folder / part / name).mkdir(parents=True, exist_ok=True)
            for i in range(number):
                Image.new("L", (16, 16), next(levels)).save(folder / part / name / f"{i}.png")


@pytest.mark.parametrize(("count", "ending"), [(2, "c00 2 · c01 2\n"), (14, "c11 2 · … 14 in all\n")])
def test_the_header_counts_the_labels_of_each_class(
    cli: Cli, small: list[str], tmp_path: Path, count: int, ending: str
) -> None:
    draw(tmp_path / "set", {f"c{k:02}": (2, 1) for k in range(count)})
    words = ["train", *small, "--data", "set", "--set", "data.labels=all", "--out", "r"]
    done = cli(*words)
    assert done.exit_code == 0, done.output
    line = next(line for line in done.output.splitlines(keepends=True) if line.startswith("classes"))
    assert line.startswith("classes  c00 2 · c01 2")
    assert line.endswith(ending)
    (row,) = [row for row in Run(tmp_path / "r").metrics() if "error" in row and row["step"] == 2]
    assert ("recall/c00" in row) == (count == 2)
    assert row["balanced_error"] == pytest.approx(row["error"])  # the classes are even


def test_uneven_classes_have_a_balanced_error(cli: Cli, small: list[str], tmp_path: Path) -> None:
    draw(tmp_path / "set", {"common": (20, 10), "rare": (3, 1)})
    words = ["train", *small, "--ssl", "supervised", "--data", "set", "--set", "data.labels=all", "--out", "r"]
    shown = cli(*words).output
    told = json.loads(cli(*words, "--json").output)
    assert told["support"] == {"common": 10, "rare": 1}
    assert told["balanced_error"] == pytest.approx(1 - sum(told["recall"].values()) / 2)
    percent = 100 * told["balanced_error"]
    assert f"(balanced {percent:.1f} %) · " in shown
    assert f"\nbalanced {percent:.2f} % error · macro F1 {100 * told['macro_f1']:.2f} % · lowest recall: " in shown
    config = json.loads((tmp_path / "r" / "model" / "config.json").read_text())
    assert config["metrics"]["recall"] == list(told["recall"].values())
    assert (config["metrics"]["macro_f1"], config["metrics"]["support"]) == (told["macro_f1"], [10, 1])


@pytest.mark.parametrize(
    ("recall", "support", "line"),
    [
        ([0.9, 0.95], [20, 20], ""),
        ([0.6, 0.95], [20, 20], "balanced 7.00 % error · macro F1 81.00 % · lowest recall: a 60 % of 20\n"),
        ([1.0, 1.0], [20, 5], "balanced 7.00 % error · macro F1 81.00 %\n"),
        ([0.9, None], [20, 0], "balanced 7.00 % error · macro F1 81.00 % · 1 class has no held-out image\n"),
        (
            [0.5, 0.25, 0.1, 0.75],
            [2, 4, 1000, 4],
            "balanced 7.00 % error · macro F1 81.00 % · lowest recall: c 10 % of 1,000, b 25 % of 4, a 50 % of 2\n",
        ),
    ],
)
def test_the_balanced_error_is_printed_where_the_error_is_not_enough(
    capsys: pytest.CaptureFixture[str], recall: list[float | None], support: list[int], line: str
) -> None:
    by_class = {"recall": dict(zip("abcd", recall, strict=False)), "support": dict(zip("abcd", support, strict=False))}
    measures = {"error": 0.1, "balanced_error": 0.07, "macro_f1": 0.81, "held_out": sum(support)}
    rest: dict[str, Any] = {"run": "r", "model": "r/model", "picture": None, "report": None, "best": None}
    print_result({**rest, **measures, **by_class}, unmeasured=False)
    error, model = f"error    10.00 % of {sum(support):,} held-out images (averaged weights)\n", "model    r/model\n"
    assert capsys.readouterr().out.startswith(error + line + model)

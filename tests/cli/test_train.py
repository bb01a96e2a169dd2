"""What `ganzoo train` prints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image

Cli = Callable[..., Result]


@pytest.mark.parametrize(("count", "ending"), [(2, "c00 2 · c01 2\n"), (14, "c11 2 · … 14 in all\n")])
def test_the_header_counts_the_labels_of_each_class(
    cli: Cli, small: list[str], tmp_path: Path, count: int, ending: str
) -> None:
    for part, images in (("Training", 2), ("Testing", 1)):
        for k in range(count):
            for i in range(images):
                path = tmp_path / "set" / part / f"c{k:02}" / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (16, 16), 10 * k + i + 5 * (part == "Testing")).save(path)
    words = ["train", *small, "--data", "set", "--set", "data.labels=all", "--out", "r"]
    done = cli(*words)
    assert done.exit_code == 0, done.output
    line = next(line for line in done.output.splitlines(keepends=True) if line.startswith("classes"))
    assert line.startswith("classes  c00 2 · c01 2")
    assert line.endswith(ending)

"""The example plugin is a package of its own: installed into a fresh environment, it is found, checked and trained."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "plugins" / "example"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment beside this one: it sees this one's packages, and has the example installed."""
    root = tmp_path_factory.mktemp("env")
    venv.create(root, with_pip=False)
    ours = next(p for p in sys.path if p.endswith("site-packages"))
    theirs = next(root.glob("lib/python*/site-packages"))
    (theirs / "parent.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    command = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--target",
        str(theirs),
    ]
    done = subprocess.run([sys.executable, *command, str(EXAMPLE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root


def run(environment: Path, cwd: Path, *words: str) -> str:
    done = subprocess.run(
        [environment / "bin" / "python", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_found_checked_and_trained(environment: Path, tmp_path: Path) -> None:
    assert "swishgan" in run(environment, tmp_path, "-m", "ganzoo", "list", "generators")
    assert "ganzoo-swish 0.1.0 · 1 component" in run(environment, tmp_path, "-m", "ganzoo", "plugins")
    assert "1 passed" in run(
        environment, tmp_path, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull, str(EXAMPLE / "tests")
    )
    words = ["train", "--gen", "swishgan", "--disc", "mlp", "--size", "16", "--steps", "3", "--set", "gen.hidden=8"]
    said = run(environment, tmp_path, "-m", "ganzoo", *words, "--out", "r")
    assert "generator swishgan" in said
    assert '"package": "ganzoo-swish"' in (tmp_path / "r" / "model" / "config.json").read_text()
    assert "8 images" in run(environment, tmp_path, "-m", "ganzoo", "sample", "r", "-n", "8")


def test_without_the_plugin_its_model_says_what_to_install(environment: Path, tmp_path: Path) -> None:
    words = ["train", "--gen", "swishgan", "--disc", "mlp", "--size", "16", "--steps", "1"]
    run(environment, tmp_path, "-m", "ganzoo", *words, "--out", "r")
    done = subprocess.run(
        [sys.executable, "-m", "ganzoo", "sample", "r"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install ganzoo-swish" in done.stderr


def test_it_takes_fifteen_lines() -> None:
    lines = (EXAMPLE / "ganzoo_swish" / "__init__.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 15

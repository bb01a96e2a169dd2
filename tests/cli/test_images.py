"""The doors for images: what is no image file is refused in one sentence, and nothing is waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image

import ganzoo
from tests.conftest import SMALL

Cli = Callable[..., Result]
COMMANDS = ("classify", "score", "project", "reconstruct")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that all four commands can use."""
    folder = tmp_path_factory.mktemp("doors") / "run"
    ganzoo.train({**SMALL, "ssl": "autoencoder", "steps": 1}, folder)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_image_file(cli: Cli, run: Path, tmp_path: Path, command: str) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("pipe.png")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "folder").mkdir()
    Image.new("L", (16, 16), 7).save(tmp_path / "good.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "good.png").read_bytes()[:50])
    for name, reason in (
        ("pipe.png", "it is not a regular file; copy it to one"),
        ("link.png", "it is not a regular file; copy it to one"),
        ("/dev/zero", "it is not a regular file; copy it to one"),
        ("absent.png", "No such file or directory"),
        ("good.png/x", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("folder", "it is a folder; name the images in it"),
        ("text.png", "it is not an image of a known format"),
    ):
        done = cli(command, run, "good.png", name)
        assert done.exit_code == 1, done.output
        assert done.stderr == f"error: image {name} cannot be read ({reason})\n"
    done = cli(command, run, "half.png")
    assert done.stderr.startswith("error: image half.png cannot be read (")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(cli: Cli, run: Path, tmp_path: Path) -> None:
    Image.new("L", (16, 16)).save(tmp_path / "secret.png")
    (tmp_path / "secret.png").chmod(0)
    done = cli("classify", run, "secret.png")
    assert done.stderr == "error: image secret.png cannot be read (Permission denied)\n"

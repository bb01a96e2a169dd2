"""What the shell, the terminal and the file system do to a command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import ganzoo
from tests.conftest import SMALL, python

Cli = Callable[..., Result]


@pytest.mark.parametrize("encoding", ["latin-1", "cp932", "cp1251", "cp437", "ascii"])
def test_a_terminal_that_cannot_show_every_character(encoding: str) -> None:
    for words in (["list", "ssl"], ["info", "loss/hinge"], ["nonsense·ψ"]):
        done = python("-m", "ganzoo", *words, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert "Traceback" not in done.stderr, (encoding, words, done.stderr[-500:])
        assert done.returncode == (2 if words[0].startswith("nonsense") else 0)


def test_a_tilde_is_the_home_folder(
    cli: Cli, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert cli("train", *small, "--out=~/run").exit_code == 0
    assert (home / "run" / "model").is_dir()
    assert cli("sample", str(home / "run"), "--out=~/pictures/s.png").exit_code == 0
    assert (home / "pictures" / "s.png").is_file()
    ganzoo.train(SMALL, "~/python")
    assert (home / "python" / "model").is_dir()
    assert not list(tmp_path.rglob("~*"))
    assert "is not known" in cli("train", "--out=~nobody-of-that-name/run").stderr


def test_a_cache_that_cannot_be_written_is_done_without(
    cli: Cli, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("train", *small, "--out", "run").exit_code == 0
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "below"))  # for root, too
    words = ["--metrics", "fid", "--extractor", "classifier", "--set", "extractor.steps=2", "-n", 20]
    done = cli("evaluate", "run", *words)
    assert done.exit_code == 0, done.output
    assert "the extractor cannot be cached" in done.stderr
    assert (tmp_path / "run" / "scores.json").is_file()

"""Images are decoded once: the cache of prepared images, `ganzoo prepare` and `ganzoo cache`."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image

from ganzoo import ImageShape
from ganzoo.config.schema import DataConfig
from ganzoo.data import Table, decode, open_source, parallel, prepare_data
from ganzoo.data.cache import cached_sets
from ganzoo.data.images import Shards
from ganzoo.data.store import file_names
from ganzoo.errors import BadData, Notice
from ganzoo.registry.discovery import installed
from tests.conftest import everything, python
from tests.data.test_data import load, pixels
from tests.data.test_identity import noise

Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ganzoo" / "prepared"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that are decoded during a test."""
    names: list[str] = []
    original = decode.Decoder.__call__

    def counted(*words: object) -> np.ndarray:
        names.append("x")
        return original(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(decode.Decoder, "__call__", counted)
    return names


def test_images_are_decoded_once(tmp_path: Path, decoded: list[str]) -> None:
    root = noise(tmp_path / "s", "train/a train/b test/a test/b", 10)
    first = load(root)
    assert len(decoded) == 40
    again = load(root)
    assert len(decoded) == 40
    assert torch.equal(everything(first.train), everything(again.train))
    assert torch.equal(everything(first.test), everything(load(root, cache=False).test))
    assert first.split.hash == again.split.hash


def test_moved_renamed_and_added_images_are_not_decoded_again(tmp_path: Path, decoded: list[str]) -> None:
    root = noise(tmp_path / "s", "a b", 10)
    load(root)
    decoded.clear()
    for path in (root / "a").iterdir():
        path.rename(path.with_name(f"z{path.name}"))
    shutil.copytree(root, tmp_path / "t")
    noise(tmp_path / "t", "a", 3, seed=1)
    data = load(tmp_path / "t")
    assert len(decoded) == 3
    assert len(data.train) + len(data.test) == 23
    assert pixels(data) == pixels(load(tmp_path / "t", cache=False))


def test_another_preparation_is_another_set(tmp_path: Path) -> None:
    root = noise(tmp_path / "s", "a b", 10)
    assert [load(root, size).shape.height for size in (16, 8, 16)] == [16, 8, 16]
    assert torch.equal(everything(load(root, 8).train), everything(load(root, 8, channels=3).train)[:, :1])
    assert len(cached_sets()) == 3


@pytest.mark.parametrize("harm", ["pixels", "truncated", "deleted", "description"])
def test_damaged_sets_are_made_anew(tmp_path: Path, cache: Path, harm: str) -> None:
    root = noise(tmp_path / "s", "a b", 10)
    expected = pixels(load(root))
    (file,) = cache.glob("sets/*/*.arrow")
    if harm == "pixels":
        with file.open("r+b") as content:
            content.seek(2000)
            content.write(b"harm")
    elif harm == "truncated":
        os.truncate(file, 3000)
    elif harm == "deleted":
        file.unlink()
    else:
        (file.parent / "prepared.json").write_text("{}")
    with pytest.warns(Notice, match="prepared images are made anew: .*damaged"):
        assert pixels(load(root)) == expected
    assert pixels(load(root)) == expected


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = noise(tmp_path / "s", "a b", 10)
    expected = pixels(load(root))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(Notice, match="prepared images cannot be kept in .* every run decodes them anew"):
        assert pixels(load(root)) == expected


def test_processes_that_start_together_decode_once(tmp_path: Path, cache: Path) -> None:
    import subprocess
    import sys

    root = noise(tmp_path / "s", "a b", 200)
    code = f"from tests.data.test_data import load; print(len(load({str(root)!r}).train))"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0] for process in both] == ["320\n", "320\n"]
    assert len(list(cache.glob("sets/*"))) == 1


def test_unreadable_images_are_remembered(tmp_path: Path) -> None:
    root = noise(tmp_path / "s", "a b", 10)
    (root / "a" / "003.png").write_bytes((root / "a" / "003.png").read_bytes()[:60])
    for _ in range(2):
        data = load(root, skip_corrupt=True)
        assert [Path(path).name for path in data.corrupt] == ["003.png"]
        assert len(data.train) + len(data.test) == 19
    with pytest.raises(BadData, match=r"a/003.png cannot be read .*--skip-corrupt"):
        load(root)


def test_an_array_in_several_files() -> None:
    whole = np.arange(10 * 12, dtype=np.uint8).reshape(10, 1, 3, 4)
    shards, index = Shards([whole[:4], whole[4:5], whole[5:]]), np.array([9, 0, 4, 3, 5, 9])
    assert np.array_equal(shards.take(index), whole[index])
    assert (len(shards), shards.nbytes) == (10, 120)
    names = file_names("train", 400_000, 3 * 64 * 64)
    assert [name for name, _ in names][:2] == ["train-00000-of-00003.arrow", "train-00001-of-00003.arrow"]
    assert sum(len(numbers) for _, numbers in names) == 400_000
    assert file_names("train", 0, 3)[0][1] == range(0)


# --- commands ---------------------------------------------------------------------------------------------------------


def test_a_prepared_folder_is_a_data_set(tmp_path: Path, cli: Cli, small: list[str], decoded: list[str]) -> None:
    import datasets

    root = noise(tmp_path / "s", "train/a train/b test/a test/b", 10)
    (root / "train" / "a" / "notes.txt").write_text("x")
    done = cli("prepare", root, "--size", 16, "--out", "ready")
    assert done.exit_code == 0, done.output
    assert "prepared s · 20 train · 20 test · 16×16 · 2 classes\n" in done.output
    assert "next     ganzoo train --data ready" in done.output
    decoded.clear()
    assert pixels(load(tmp_path / "ready")) == pixels(load(root, cache=False))
    assert load(tmp_path / "ready").split.hash == load(root).split.hash
    rows = datasets.load_dataset(str(tmp_path / "ready"), cache_dir=str(tmp_path / "hf"))
    assert rows["train"].features["label"].names == ["a", "b"]
    image = rows.with_format("numpy")["test"][3]["image"]
    assert np.array_equal(image, everything(load(root).test)[3])
    for name in ("one", "two"):
        data = ["--data", root if name == "one" else "ready"]
        assert cli("train", *small, *data, "--out", name).exit_code == 0
    weights = [(tmp_path / name / "model" / "generator.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    assert load(tmp_path / "ready", 8).shape.height == 8  # from the prepared pixels
    other = cli("prepare", root, "--out", "ready")
    assert other.exit_code == 1
    assert "ready exists and is not empty" in other.output


def test_a_prepared_folder_keeps_its_size(tmp_path: Path, cli: Cli) -> None:
    for i in range(8):
        path = tmp_path / "s" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 48), (i, 2 * i, 3 * i)).save(path)
    assert json.loads(cli("prepare", "s", "--size", "48x32", "--out", "ready", "--json").output)["shape"] == [3, 48, 32]
    flags = ["--gen", "mlp", "--disc", "mlp", "--steps", 1, "--batch-size", 4, "--dry-run"]
    assert "48×32 RGB" in cli("train", "--data", "ready", *flags).output


def test_a_damaged_prepared_folder_is_refused(tmp_path: Path, cli: Cli) -> None:
    noise(tmp_path / "s", "a b", 10)
    cli("prepare", "s", "--out", "ready")
    (file,) = (tmp_path / "ready").glob("*.arrow")
    content = bytearray(file.read_bytes())
    content[2000] ^= 1
    file.write_bytes(content)
    done = cli("train", "--data", "ready", "--dry-run")
    assert (done.exit_code, "is damaged" in done.output) == (1, True)


@pytest.mark.parametrize(
    "change",
    [
        {"parts": {}},
        {"preparation": {}},
        {"preparation": {"shape": [3, 16, 16]}},
        {"preparation": {"shape": [1, "x", 16]}},
        {"class_names": ["a"]},
        {"unreadable": {"train": {"x": "y"}}},
        {"ganzoo": 99},
    ],
)
def test_descriptions_that_are_not_true_are_refused(tmp_path: Path, cli: Cli, change: dict[str, object]) -> None:
    noise(tmp_path / "s", "a b", 10)
    cli("prepare", "s", "--out", "ready")
    path = tmp_path / "ready" / "prepared.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    done = cli("train", "--data", "ready", "--dry-run")
    assert (done.exit_code, done.output.startswith("error: ")) == (1, True)
    assert isinstance(done.exception, SystemExit)


def test_the_cache_is_listed_and_cleared(tmp_path: Path, cli: Cli, cache: Path) -> None:
    for seed, name in enumerate(("one", "two")):
        load(noise(tmp_path / name, "a b", 10, seed=seed))
    listed = json.loads(cli("cache", "--json").output)
    assert sorted(row["name"] for row in listed) == ["one", "two"]
    assert "20 images      16x16" in cli("cache", "one").output
    assert "did you mean 'two'" in cli("cache", "tow", "--clear").output
    assert cli("cache", "two", "--clear").exit_code == 0
    assert [each.name for each in cached_sets()] == ["one"]
    assert json.loads(cli("cache", "--unused-for", 1, "--clear", "--json").output) == []
    assert cli("cache", "--clear").exit_code == 0
    assert not cache.exists()
    assert len(load(tmp_path / "two").train) == 16


def test_python_can_be_started_without_a_home(tmp_path: Path) -> None:
    root = noise(tmp_path / "s", "a b", 5)
    code = f"from tests.data.test_data import load; print(len(load({str(root)!r}).train))"
    done = python("-c", code, XDG_CACHE_HOME="/proc/nowhere")
    assert done.stdout == "8\n", done.stderr


# --- processes that die -----------------------------------------------------------------------------------------------


class Fatal:
    """Images of which one kills the process that decodes it."""

    def __init__(self, table: Table) -> None:
        self.table, self.labels, self.where = table, table.labels, table.where

    def __len__(self) -> int:
        return len(self.table)

    def image(self, index: int) -> Image.Image:
        if index == 17 and os.getpid() != HERE:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.table.image(index)


HERE = os.getpid()


@pytest.mark.parametrize("streamed", [False, True])
def test_a_process_that_dies_is_one_sentence(tmp_path: Path, streamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "MANY", 1000 if streamed else 1)  # the parent finds the keys of streamed images
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    source = open_source(DataConfig(source=str(noise(tmp_path / "s", "a b", 10))), installed())
    source = dataclasses.replace(source, train=Fatal(source.train))
    config = DataConfig(source="s", test_fraction=0, memory=1 if streamed else 2**31, workers=1)

    def read() -> torch.Tensor:
        return everything(prepare_data(source, config, ImageShape(1, 16, 16, 2), torch.device("cpu")).train)

    with pytest.raises(BadData, match=r"a process that decodes images (died|was killed)"):
        read()

"""Images are known by their content: copies, renamed and moved data, and what a model was trained on."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image

from ganzoo import train
from ganzoo.config.schema import DataConfig
from ganzoo.data import SavedSplit
from ganzoo.data.identity import find, first_copy
from ganzoo.errors import BadData
from tests.conftest import SMALL
from tests.data.test_data import load, pixels

Cli = Callable[..., Result]


def noise(root: Path, folders: str, count: int, seed: int = 0) -> Path:
    """Write `count` different images into each of several folders; those of class b are brighter."""
    rng = np.random.default_rng([seed, count])
    for folder in folders.split():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            image = rng.integers(0, 100, (16, 16), dtype=np.uint8) + 100 * (folder[-1] == "b")
            Image.fromarray(image.astype(np.uint8)).save(root / folder / f"{i:03}.png")
    return root


def scramble(root: Path) -> None:
    """Rename all images, so that they come in the reverse order."""
    for folder in {path.parent for path in root.rglob("*.png")}:
        paths = sorted(folder.glob("*.png"))
        for i, path in enumerate(paths):
            path.rename(folder / f"renamed-{len(paths) - i:03}.png")


def test_images_are_found_by_their_keys() -> None:
    known = np.array([5, 3, 5, 9])
    assert find(np.array([9, 5, 5, 5, 1, 3]), known).tolist() == [3, 0, 2, -1, -1, 1]
    assert find(np.array([], dtype=np.int64), known).tolist() == []
    assert find(known, np.array([], dtype=np.int64)).tolist() == [-1] * 4
    assert first_copy(known).tolist() == [0, 1, 0, 3]


# --- copies -----------------------------------------------------------------------------------------------------------


def test_copies_of_test_images_are_not_trained_on(tmp_path: Path) -> None:
    root = noise(tmp_path / "s", "train/a train/b test/a test/b", 10)
    shutil.copy(root / "test" / "a" / "000.png", root / "train" / "a" / "copy.png")
    Image.open(root / "test" / "b" / "001.png").save(root / "train" / "b" / "other-format.bmp")
    data = load(root)
    assert (len(data.train), len(data.test)) == (20, 20)
    assert "2 training images are exact copies of test images and left out of training" in data.notes


def test_a_test_set_that_is_the_training_set_is_refused(tmp_path: Path) -> None:
    root = noise(tmp_path / "s", "train/a train/b", 10)
    shutil.copytree(root / "train", root / "test")
    with pytest.raises(BadData, match="20 training images are exact copies of test images"):
        load(root)


def test_copies_stay_on_one_side_of_the_hold_out(tmp_path: Path) -> None:
    root = noise(tmp_path / "s", "a b", 10)
    for path in sorted(root.rglob("*.png")):
        shutil.copy(path, path.with_name(f"copy-{path.name}"))
    data = load(root)
    train, test = data.split.keys[data.split.train], data.split.keys[data.split.test]
    assert len(train) + len(test) == 40
    assert len(test) >= 4
    assert not np.isin(train, test).any()


def test_an_image_in_two_classes_is_said(tmp_path: Path) -> None:
    root = noise(tmp_path / "s", "a b", 10)
    shutil.copy(root / "a" / "000.png", root / "b" / "other.png")
    (note,) = load(root).notes
    assert "1 image is in two classes, such as" in note
    assert "a/000.png" in note
    assert "b/other.png" in note


# --- data that were moved ---------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two steps on a folder of 2 × 20 images, with a hold-out of its own seed."""
    root = noise(tmp_path / "s", "a b", 20)
    train({**SMALL, "data.source": str(root), "data.test_seed": 7, "data.test_fraction": 0.3}, tmp_path / "run")
    return tmp_path / "run"


def weights(run: Path) -> bytes:
    return (run / "model" / "discriminator.safetensors").read_bytes()


@pytest.mark.parametrize("zipped", [False, True])
def test_a_run_continues_on_renamed_and_moved_data(run: Path, tmp_path: Path, zipped: bool, cli: Cli) -> None:
    whole = train({**SMALL, "data.source": str(tmp_path / "s"), "data.test_seed": 7, "data.test_fraction": 0.3,
                   "steps": 4}, tmp_path / "whole")  # fmt: skip
    settings = json.loads((run / "config.json").read_text())
    settings["steps"] = 4
    (run / "config.json").write_text(json.dumps(settings))
    place = tmp_path / "elsewhere"
    (tmp_path / "s").rename(place)
    scramble(place)
    noise(place, "a b", 3, seed=1)  # new images do not join the run
    if zipped:
        with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
            for path in place.rglob("*.png"):
                archive.write(path, path.relative_to(place))
        place = tmp_path / "s.zip"
    gone = cli("train", "--out", run)
    assert gone.exit_code == 1
    assert "if the data were moved: ganzoo train --out" in gone.output
    done = cli("train", "--out", run, "--data", place)
    assert done.exit_code == 0, done.output
    assert "6 images are not in the split" in done.output
    assert weights(run) == weights(Path(whole.metadata["run_folder"]))
    assert cli("train", "--out", run).exit_code == 0  # the new place is kept


def test_other_data_is_refused(run: Path, tmp_path: Path, cli: Cli) -> None:
    done = cli("train", "--out", run, "--data", noise(tmp_path / "other", "a b", 20, seed=3))
    assert done.exit_code == 1
    assert "40 of its 40 images are not among the readable ones" in done.output
    assert json.loads((run / "config.json").read_text())["data"]["source"] == str(tmp_path / "s")


def test_changed_pixels_under_the_same_names_are_noticed(run: Path, tmp_path: Path, cli: Cli) -> None:
    noise(tmp_path / "s", "a", 1, seed=5)
    done = cli("train", "--out", run)
    assert done.exit_code == 1
    assert "1 of its 40 images are not among" in done.output


def accuracy(cli: Cli, *words: object) -> tuple[float, int, list[str]]:
    done = cli("evaluate", *words, "--metrics", "accuracy", "--json")
    assert done.exit_code == 0, done.output
    score = json.loads(done.stdout)["accuracy"]
    return score["values"]["accuracy"], score["stamp"]["real_count"], score["warnings"]


def test_held_out_images_are_recognised_wherever_they_lie(run: Path, tmp_path: Path, cli: Cli) -> None:
    expected, count, warnings = accuracy(cli, run)
    assert (count, warnings) == (12, [])
    shutil.copytree(tmp_path / "s", tmp_path / "new")
    scramble(tmp_path / "new")
    found, count, warnings = accuracy(cli, run, "--data", tmp_path / "new")
    assert (found, count) == (expected, 12)
    assert warnings == ["the model was trained on 28 of 40 test images; these are left out"]
    _, count, _ = accuracy(cli, run / "model", "--data", tmp_path / "new")
    assert count == 12


def test_all_images_of_another_folder_are_judged(run: Path, tmp_path: Path, cli: Cli) -> None:
    _, count, warnings = accuracy(cli, run, "--data", noise(tmp_path / "new", "a b", 25, seed=2))
    assert (count, warnings) == (50, [])
    root = noise(tmp_path / "parts", "train/a train/b test/a test/b", 5, seed=2)
    assert accuracy(cli, run, "--data", root)[1] == 10


def test_images_that_were_trained_on_are_not_judged(run: Path, tmp_path: Path, cli: Cli) -> None:
    root = noise(tmp_path / "new", "test/a test/b train/a train/b", 5, seed=2)
    for path in (tmp_path / "s" / "a").glob("*.png"):
        shutil.copy(path, root / "test" / "a" / f"old-{path.name}")
    _, count, warnings = accuracy(cli, run, "--data", root)
    assert count == 10 + 6
    assert "the model was trained on 14 of 30 test images; these are left out" in warnings


def test_a_missing_split_is_not_made_up(run: Path, tmp_path: Path, cli: Cli) -> None:
    (run / "split.safetensors").unlink()
    done = cli("evaluate", run, "--metrics", "accuracy")
    assert done.exit_code == 1
    assert "there is no split" in done.output


def test_the_split_of_another_run_is_found_by_content(run: Path, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "s", tmp_path / "copy")
    scramble(tmp_path / "copy")
    gan = train({**SMALL, "data.source": str(tmp_path / "copy"), "data.split": str(run)}, tmp_path / "two")
    own, theirs = SavedSplit.of(tmp_path / "two"), SavedSplit.of(run)
    assert own.hash == theirs.hash
    assert np.array_equal(own.test, theirs.test)
    assert gan.metadata["split"] == own.hash


def test_a_run_from_a_model_holds_out_what_the_model_has_not_seen(run: Path, tmp_path: Path) -> None:
    train({**SMALL, "data.source": str(tmp_path / "s"), "init_from": str(run)}, tmp_path / "two")
    own, theirs = SavedSplit.of(tmp_path / "two"), SavedSplit.of(run)
    assert len(own.test) == 8
    assert np.isin(own.test, theirs.test).all()


# --- scarce labels ----------------------------------------------------------------------------------------------------


def test_scarce_labels_are_all_trained_on(tmp_path: Path, cli: Cli) -> None:
    root = noise(tmp_path / "s", "a b", 5)
    noise(root, "unlabeled", 30, seed=1)
    data = load(root)
    assert (len(data.labelled), len(data.test)) == (10, 0)
    assert "only 10 of 40 images are labelled, so all of them are trained on" in data.notes[0]
    assert len(load(root, test_fraction=0.2).test) == 2
    done = cli("train", "--data", root, *(w for k, v in SMALL.items() for w in ("--set", f"{k}={v}")), "--out", "r")
    assert done.exit_code == 0, done.output
    assert "so all of them are trained on and the error is not measured" in done.output


def test_labelled_folders_are_held_out_as_before(tmp_path: Path) -> None:
    data = load(noise(tmp_path / "s", "a b", 5))
    assert (len(data.train), len(data.test)) == (8, 2)
    assert pixels(data) == pixels(load(tmp_path / "s", cache=False))
    assert torch.equal(data.labels, load(tmp_path / "s").labels)
    assert DataConfig(source="x").test_fraction is None

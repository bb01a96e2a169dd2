"""Images and labels: layouts, sizes, splits, streams, and what is wrong with bad data."""

from __future__ import annotations

import io
import os
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image

from ganzoo import ImageShape, configure
from ganzoo.base.pictures import from_uint8, to_uint8
from ganzoo.config.schema import DataConfig
from ganzoo.data import Batches, Dataset, Draw, open_source, prepare_data
from ganzoo.data.batches import Stream
from ganzoo.data.cache import known_facts
from ganzoo.data.decode import inspect_images
from ganzoo.data.split import Candidates, SavedSplit, Split, SplitSettings
from ganzoo.data.split import make_split as draw_split
from ganzoo.data.views import shift
from ganzoo.errors import BadData, BadOption, CorruptFile
from ganzoo.registry.discovery import installed
from tests.conftest import everything

CPU = torch.device("cpu")


def picture(path: Path, value: int, mode: str = "L", size: tuple[int, int] = (16, 16)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value,) * len(mode)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of ten images each, whose grey level is 100·class + number."""
    for k, name in enumerate(("cat", "dog")):
        for i in range(10):
            picture(tmp_path / "set" / name / f"{i}.png", 100 * k + i)
    return tmp_path / "set"


def load(path: object, size: int = 16, **values: object) -> Dataset:
    config = DataConfig(source=str(path), size=size, **values)  # type: ignore[arg-type]
    source = open_source(config, installed())
    channels = config.channels or known_facts(source, config.skip_corrupt).channels
    shape = ImageShape(channels, size, size, len(source.class_names))
    return prepare_data(source, config, shape, CPU)


def pixels(data: Dataset) -> list[int]:
    return [int(x) for x in everything(data.train)[:, 0, 0, 0]]


def make_split(known: np.ndarray[Any, Any], names: list[str], settings: SplitSettings) -> Split:
    """Draw a split of images that are all different."""
    numbers = np.arange(len(known))
    return draw_split(Candidates(known, numbers, numbers, numbers, np.zeros(len(known), dtype=bool)), names, settings)


def test_folder_of_classes(folder: Path) -> None:
    data = load(folder)
    assert data.class_names == ["cat", "dog"]
    assert (len(data.train), len(data.test), len(data.labelled)) == (16, 4, 16)
    assert all(level // 100 == int(label) for level, label in zip(pixels(data), data.labels, strict=True))
    assert sorted(pixels(data) + [int(x) for x in everything(data.test)[:, 0, 0, 0]]) == sorted(
        [100 * k + i for k in (0, 1) for i in range(10)]
    )


def test_a_name_of_a_data_set_is_no_folder(folder: Path, cli: Callable[..., Result], tmp_path: Path) -> None:
    """What a run's configuration says does not depend on the folder that one stands in."""
    folder.rename(tmp_path / "digits")
    said = cli("train", "--dry-run")
    assert said.exit_code == 0, said.output
    assert "warning: 'digits' is the registered data set; to use the folder of that name, write ./d" in said.stderr
    with pytest.warns(UserWarning, match="write ./digits"):
        assert len(load("digits").class_names) == 10
    assert load("./digits").class_names == ["cat", "dog"]


def test_unlabelled_folder_and_no_classes(folder: Path, tmp_path: Path) -> None:
    for i in range(5):
        picture(folder / "unlabeled" / f"{i}.png", 200 + i)
        picture(tmp_path / "flat" / f"{i}.jpg", 50 + i)
    data = load(folder, test_fraction=0.5)
    assert (len(data.train), len(data.labelled), len(data.test)) == (10 + 5, 10, 10)
    assert {p for p in pixels(data) if p >= 200} == {200, 201, 202, 203, 204}
    flat = load(tmp_path / "flat")
    assert (flat.shape.classes, len(flat.labelled), len(flat.train), len(flat.test)) == (0, 0, 4, 1)


def test_given_parts_are_honoured(folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "train")
    (tmp_path / "parts").mkdir()
    (tmp_path / "train").rename(tmp_path / "parts" / "train")
    picture(tmp_path / "parts" / "test" / "dog" / "x.png", 177)
    data = load(tmp_path / "parts")
    assert (len(data.train), len(data.test), int(data.test_labels[0])) == (20, 1, 1)
    for i in range(3):
        picture(tmp_path / "parts" / "unlabeled" / f"{i}.png", 200)
    assert (len(load(tmp_path / "parts").train), len(load(tmp_path / "parts").labelled)) == (23, 20)
    picture(tmp_path / "parts" / "val" / "dog" / "x.png", 177)
    with pytest.raises(BadData, match=r"there may be one of test, val.*; not .*parts/val"):
        load(tmp_path / "parts")
    (tmp_path / "parts" / "val").rename(tmp_path / "elsewhere")
    picture(tmp_path / "parts" / "test" / "cow" / "x.png", 177)
    with pytest.raises(BadData, match="are of the class 'cow', and no training image is"):
        load(tmp_path / "parts")


@pytest.mark.parametrize("top", ["", "set/"])
def test_zip_is_the_folder(folder: Path, tmp_path: Path, top: str) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, top + str(path.relative_to(folder)))
    a, b = load(folder), load(tmp_path / "set.zip")
    assert a.split.hash == b.split.hash
    assert a.class_names == b.class_names
    assert pixels(a) == pixels(b)
    streamed = load(tmp_path / "set.zip", memory=1, cache=False, workers=2)
    assert torch.equal(everything(streamed.train), everything(a.train))


def test_links_are_followed_once(folder: Path) -> None:
    (folder / "cat" / "loop").symlink_to(folder)
    data = load(folder)
    assert len(data.train) + len(data.test) == 20


def test_zip_of_images_without_classes(tmp_path: Path) -> None:
    for i in range(5):
        picture(tmp_path / "photos" / f"{i}.png", i)
    (tmp_path / "photos" / "._0.png").write_text("x")
    (tmp_path / "photos" / ".DS_Store").write_text("x")
    with zipfile.ZipFile(tmp_path / "photos.ZIP", "w") as archive:
        for path in sorted((tmp_path / "photos").iterdir()):
            archive.write(path, f"photos/{path.name}")
    data = load(tmp_path / "photos.ZIP")
    assert (data.shape.classes, len(data.train) + len(data.test)) == (0, 5)
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.write(tmp_path / "photos" / "0.png", "../0.png")
    with pytest.raises(BadData, match="points outside"):
        load(tmp_path / "evil.zip")


def test_zip_bombs_and_damage(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/0.png", bytes(20_000_000))
    with pytest.raises(BadData, match="refused as too large"):
        load(tmp_path / "bomb.zip")
    (tmp_path / "broken.zip").write_bytes(b"PK nonsense")
    with pytest.raises(BadData, match="cannot be read as a zip"):
        load(tmp_path / "broken.zip")


def test_parquet_folder(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["no", "yes"])})
    for part, n, first in (("train", 12, 0), ("test", 4, 20)):
        levels = range(first, first + n)
        rows = {"image": [Image.new("RGB", (8, 8), (i, i, i)) for i in levels], "label": [i % 2 for i in range(n)]}
        (tmp_path / "hub").mkdir(exist_ok=True)
        datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "hub" / f"{part}.parquet")
    data = load(tmp_path / "hub", 8)
    assert (len(data.train), len(data.test), data.class_names, data.shape.channels) == (12, 4, ["no", "yes"], 3)
    assert [p % 2 for p in pixels(data)] == data.labels.tolist()
    with pytest.raises(BadData, match="no column 'picture'"):
        load(tmp_path / "hub", 8, options={"image": "picture"})
    with pytest.raises(BadOption, match="no option 'colum'"):
        load(tmp_path / "hub", 8, options={"colum": "x"})


def test_parquet_that_datasets_did_not_write(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    def png(value: int) -> bytes:
        Image.new("L", (8, 8), value).save(file := io.BytesIO(), "PNG")
        return file.getvalue()

    rows = {"n": [7] * 12, "image": [{"bytes": png(i), "path": None} for i in range(12)], "label": [0, 1, 2] * 4}
    parquet.write_table(pyarrow.table(rows), tmp_path / "train.parquet")
    data = load(tmp_path, 8)
    assert data.class_names == ["0", "1", "2"]
    assert [p % 3 for p in pixels(data)] == data.labels.tolist()
    parquet.write_table(pyarrow.table({"n": [7] * 12}), tmp_path / "train.parquet")
    with pytest.raises(BadData, match="no column of images; it has: n"):
        load(tmp_path, 8)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4)])
def test_channels_follow_the_images(tmp_path: Path, mode: str, channels: int) -> None:
    for i in range(5):
        picture(tmp_path / "s" / "a" / f"{i}.png", i, mode)
    assert load(tmp_path / "s").shape == (channels, 16, 16, 1)
    assert load(tmp_path / "s", channels=3).shape.channels == 3


def test_uint8_survives_the_networks_range() -> None:
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(from_uint8(every)), every)


# --- splits -----------------------------------------------------------------------------------------------------------

NAMES = ["a", "b", "c"]
KNOWN = np.array([0] * 20 + [1] * 20 + [2] * 20 + [-1] * 30, dtype=np.int64)


def test_split_is_balanced_and_by_its_own_seed() -> None:
    one, two = (make_split(KNOWN, NAMES, SplitSettings(12, seed, 0.2, 0)) for seed in (0, 1))
    assert np.bincount(one.labels).tolist() == [4, 4, 4]
    assert (KNOWN[one.labelled] == one.labels).all()
    assert one.hash != two.hash
    assert (one.test == two.test).all(), "which images are held out does not depend on split_seed"
    assert one.hash == make_split(KNOWN, NAMES, SplitSettings(12, 0, 0.2, 0)).hash
    assert not set(one.test) & set(one.train)
    assert len(one.train) == 90 - 12
    uneven = np.bincount(make_split(KNOWN, NAMES, SplitSettings(13, 0, 0.0, 0)).labels)
    assert sorted(uneven) == [4, 4, 5]
    assert len(make_split(KNOWN, NAMES, SplitSettings("all", 0, 0.0, 0)).labels) == 60


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (61, "61 labels requested, but only 60 training images have one; use --labels 60"),
        (2, "2 labels are too few for 3 classes; use at least --labels 3"),
    ],
)
def test_labels_that_cannot_be_had(labels: int, said: str) -> None:
    with pytest.raises(BadData, match=said):
        make_split(KNOWN, NAMES, SplitSettings(labels, 0, 0.0, 0))


def test_small_and_empty_classes() -> None:
    with pytest.raises(BadData, match="class 'd' has no labelled training image"):
        make_split(KNOWN, [*NAMES, "d"], SplitSettings("all", 0, 0.0, 0))
    few = np.concatenate([KNOWN, [3, 3]])
    counts = np.bincount(make_split(few, [*NAMES, "d"], SplitSettings(20, 0, 0.0, 0)).labels)
    assert counts.tolist() == [6, 6, 6, 2]


UNEVEN = np.array([0] * 500 + [1] * 50 + [2] * 5)


@pytest.mark.parametrize(
    ("labels", "natural", "expected"),
    [
        (100, False, [48, 47, 5]),
        (100, True, [90, 9, 1]),
        (9, True, [7, 1, 1]),
        (555, True, [500, 50, 5]),
        ("per-class=10", False, [10, 10, 5]),
        ("all", False, [500, 50, 5]),
    ],
)
def test_labels_of_uneven_classes(labels: int | str, natural: bool, expected: list[int]) -> None:
    split = make_split(UNEVEN, NAMES, SplitSettings(labels, 0, 0.0, 0, natural=natural))
    counts = np.bincount(split.labels).tolist()
    assert counts == expected or sorted(counts, reverse=True) == expected
    assert len(set(split.labelled.tolist())) == len(split.labels)


def test_uneven_classes_are_drawn_or_weighted_evenly(tmp_path: Path, cli: Callable[..., Result]) -> None:
    for k, count in enumerate((40, 8, 4)):
        for i in range(count):
            picture(tmp_path / "s" / NAMES[k] / f"{i}.png", 60 * k + i)
    made = batches(load(tmp_path / "s", test_fraction=0, label_sampling="balanced"), label_sampling="balanced")
    drawn = torch.cat([Draw(made, "d", i).labels for i in range(30)])
    assert drawn.bincount().tolist() == [40, 40, 40]
    levels = torch.cat([to_uint8(Draw(made, "d", i).labelled)[:, 0, 0, 0].long() for i in range(30)])
    assert torch.equal(levels // 60, drawn)
    assert len(levels.unique()) == 52
    assert made.class_weights is None
    weighted = batches(load(tmp_path / "s", test_fraction=0), class_weights="balanced")
    assert torch.allclose(weighted.class_weights, torch.tensor([52 / 120, 52 / 24, 52 / 12]))  # type: ignore[arg-type]
    sets = ["data.class_weights=balanced", "data.label_sampling=balanced", "data.labels=per-class=4"]
    words = [word for key in sets for word in ("--set", key)]
    done = cli(
        "train", "--data", "s", *words, "--gen", "mlp", "--disc", "mlp", "--steps", 2, "--size", 16, "--out", "r"
    )
    assert done.exit_code == 0, done.output
    assert "classes  a 4 · b 4 · c 3" in done.output


def test_split_file_round_trip_and_damage(tmp_path: Path) -> None:
    split = make_split(KNOWN, NAMES, SplitSettings(12, 0, 0.2, 0))
    (tmp_path / "s").write_bytes(split.stored.to_bytes())
    assert SavedSplit.of(tmp_path / "s").match(split.keys, split.keys).hash == split.hash
    (tmp_path / "s").write_bytes(b"nonsense")
    with pytest.raises(CorruptFile, match="safetensors"):
        SavedSplit.load(tmp_path / "s")


def test_no_label_outside_the_split_is_left(folder: Path) -> None:
    data = load(folder, labels=4)
    assert len(data.labels) == len(data.labelled) == 4
    held = [t for t in vars(data).values() if isinstance(t, torch.Tensor) and t.dtype == torch.int64]
    assert {len(t) for t in held} == {0, 4, 16}  # no validation; labelled, labels, unlabelled positions, test labels
    assert sorted(data.unlabelled.tolist()) == list(range(16))
    without = load(folder, labels=4, labelled_in_unlabelled=False)
    assert set(without.unlabelled.tolist()) == set(range(16)) - set(without.labelled.tolist())


# --- what is wrong with bad data ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("memory", "cache"), [(2**31, True), (2**31, False), (1, False)])
def test_corrupt_image_is_named_or_skipped(folder: Path, memory: int, cache: bool) -> None:
    (folder / "cat" / "3.png").write_bytes((folder / "cat" / "4.png").read_bytes()[:40])
    (folder / "dog" / "5.png").write_text("not an image")
    data = load(folder, skip_corrupt=True, memory=memory, cache=cache)
    assert [Path(c).parts[-2:] for c in data.corrupt] == [("cat", "3.png"), ("dog", "5.png")]
    assert len(data.train) + len(data.test) == 18
    with pytest.raises(BadData, match=r"cat/3.png cannot be read .*--skip-corrupt"):
        load(folder)


def test_missing_and_empty(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"there is no folder or file digitz, and no dataset.*did you mean 'digits'"):
        load("digitz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadData, match="has no images; expected"):
        load(tmp_path / "empty")
    picture(tmp_path / "one" / "a" / "0.png", 1)
    (tmp_path / "one" / "b").mkdir()
    with pytest.raises(BadData, match="class 'b' has no image"):
        load(tmp_path / "one")
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(BadData, match="is a file"):
        load(tmp_path / "file.txt")


def test_named_sets_that_cannot_be_fetched_say_so(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"MNIST is not in .* and cannot be downloaded"):
        load("mnist", options={"root": str(tmp_path), "download": False})


# --- batches ----------------------------------------------------------------------------------------------------------


def batches(data: Dataset, rank: int = 0, world: int = 1, **values: object) -> Batches:
    sizes = {"batch_size": 8, "labelled_batch_size": 4}
    config = configure(values={f"data.{k}": v for k, v in values.items()} | sizes)
    return Batches(data, config, Processes(rank, world))  # type: ignore[arg-type]


@dataclass
class Processes:
    """What batches need of a backend."""

    rank: int = 0
    world: int = 1
    device: torch.device = CPU
    channels_last: bool = False


def test_stream_is_concatenated_permutations_whatever_the_start(folder: Path) -> None:
    data = load(folder)
    stream = Stream(data.train, torch.arange(16), 6, ("key",), 0, 1)
    drawn = torch.cat([stream.at(i)[0] for i in range(8)])
    assert all(sorted(epoch.tolist()) == list(range(16)) for epoch in drawn.split(16))
    assert drawn[:16].tolist() != drawn[16:32].tolist()
    later = Stream(data.train, torch.arange(16), 6, ("key",), 0, 1)
    assert torch.equal(later.at(5)[0], drawn[30:36])
    assert not torch.equal(Stream(data.train, torch.arange(16), 6, ("other",), 0, 1).at(0)[0], drawn[:6])


def test_ranks_share_a_batch(folder: Path) -> None:
    data = load(folder)
    whole = Stream(data.train, torch.arange(16), 8, ("key",), 0, 1)
    parts = [Stream(data.train, torch.arange(16), 8, ("key",), rank, 2) for rank in (0, 1)]
    for i in (0, 1, 5):
        assert torch.equal(torch.cat([p.at(i)[0] for p in parts]), whole.at(i)[0])


def test_players_draw_independently_and_views_share_images(folder: Path) -> None:
    made = batches(load(folder))
    d, g = Draw(made, "discriminator", 0), Draw(made, "generator", 0)
    assert not torch.equal(d.view("weak"), g.view("weak"))
    assert torch.equal(d.view("weak"), d.view("plain"))
    assert torch.equal(Draw(made, "discriminator", 0).view("weak"), d.view("weak"))
    assert d.labelled.shape == (4, 1, 16, 16)
    levels = to_uint8(d.labelled)[:, 0, 0, 0].long()
    assert torch.equal(levels // 100, d.labels)


def test_streamed_batches_equal_those_in_memory(folder: Path) -> None:
    held, streamed = batches(load(folder)), batches(load(folder, memory=1, cache=False, workers=1))
    for i in (0, 1, 2, 7):
        assert torch.equal(Draw(held, "d", i).view("weak"), Draw(streamed, "d", i).view("weak"))


def test_shift_and_flip_move_whole_images(folder: Path) -> None:
    torch.manual_seed(0)
    x = torch.arange(36.0).reshape(1, 1, 6, 6).repeat(300, 1, 1, 1)
    moved = shift(x, 1)
    assert {int(m[0, 2, 2]) for m in moved} == {14 + 6 * r + c for r in (-1, 0, 1) for c in (-1, 0, 1)}
    made = batches(load(folder), flip=True)
    ramp = torch.arange(16, dtype=torch.uint8).repeat(200, 1, 16, 1)
    flipped = to_uint8(made.augmented(ramp, "weak"))
    turned = (flipped[:, 0, 0, 0] == 15).sum()
    assert 60 < int(turned) < 140
    assert torch.equal(flipped.sort(3).values, ramp)


def test_every_layout_has_the_same_split_for_its_seed(folder: Path) -> None:
    assert load(folder, labels=4, split_seed=1).split.hash == load(folder, labels=4, split_seed=1).split.hash
    assert load(folder, labels=4, split_seed=1).split.hash != load(folder, labels=4, split_seed=2).split.hash


def test_real_mnist(shared_data: Path) -> None:
    config = DataConfig(source=str(shared_data / "mnist"))
    source = open_source(config, installed())
    assert (len(source.train), len(source.test or ()), len(source.class_names)) == (60_000, 10_000, 10)
    assert (inspect_images(source, False).channels, inspect_images(source, False).side) == (1, 28)
    assert np.bincount(source.train.labels)[:3].tolist() == [5923, 6742, 5958]


def test_a_zip_with_backslashes_is_read(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, "\\".join(path.relative_to(folder).parts))
    assert all("\\" in name for name in zipfile.ZipFile(tmp_path / "w.zip").namelist())
    zipped, whole = load(tmp_path / "w.zip"), load(folder)
    assert zipped.class_names == whole.class_names
    assert pixels(zipped) == pixels(whole)
    streamed = load(tmp_path / "w.zip", memory=1, cache=False, workers=0)
    assert next(streamed.train.batches(iter([torch.arange(3)])))[:, 0, 0, 0].tolist() == pixels(whole)[:3]
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.write(next(folder.rglob("*.png")), "..\\evil.png")
    with pytest.raises(BadData, match="points outside of it"):
        load(tmp_path / "evil.zip")


def test_a_class_is_the_same_in_either_unicode_form(tmp_path: Path) -> None:
    for part, form, first in (("train", "NFC", 0), ("test", "NFD", 4)):
        for i in range(first, first + 4):
            picture(tmp_path / "s" / part / unicodedata.normalize(form, "Café") / f"{i}.png", i)
            picture(tmp_path / "s" / part / "tea" / f"{i}.png", 100 + i)
    data = load(tmp_path / "s")
    assert data.class_names == [unicodedata.normalize("NFC", "Café"), "tea"]
    assert (len(data.train), len(data.test)) == (8, 8)
    assert sorted(data.test_labels.tolist()) == [0] * 4 + [1] * 4


@pytest.mark.parametrize(
    ("train", "test", "unlabelled"),
    [
        ("Training", "Testing", "Unlabeled"),
        ("train_data", "test_data", "unsup"),
        ("Train", "Test", "unlabelled-images"),
        ("seg_train", "seg_test", "UNLABELED"),
        ("TrainSet", "ValidationSet", "unlabeled_set"),
    ],
)
def test_parts_in_common_spellings(folder: Path, tmp_path: Path, train: str, test: str, unlabelled: str) -> None:
    for part in (train, test):
        for k in range(2):
            picture(tmp_path / "s" / part / "ab"[k] / "0.png", 100 * k + (part == test))
    picture(tmp_path / "s" / unlabelled / "0.png", 7)
    data = load(tmp_path / "s")
    assert data.class_names == ["a", "b"]
    assert (len(data.train), len(data.test)) == (3, 2)
    assert open_source(DataConfig(source=str(tmp_path / "s")), installed()).train.labels.tolist() == [0, 1, -1]
    picture(tmp_path / "s" / "other" / "0.png", 7)
    with pytest.raises(BadData, match=f"beside .*{train} there may be .* not .*other"):
        load(tmp_path / "s")


def test_training_beside_other_activities_is_a_class(tmp_path: Path) -> None:
    for name in ("jumping", "running", "training"):
        picture(tmp_path / "s" / name / "0.png", 1)
    assert load(tmp_path / "s").class_names == ["jumping", "running", "training"]


@pytest.mark.parametrize("zipped", [False, True])
def test_system_folders_are_ignored_and_named(folder: Path, tmp_path: Path, zipped: bool) -> None:
    expected = load(folder)
    count = len(expected.train)
    classes = expected.class_names
    for name in (f"{classes[0]}/@eaDir/x.png", "$RECYCLE.BIN", "__MACOSX/a", ".hidden"):
        picture(folder / name / "thumb.png", 3)
    (folder / "Thumbs.db").write_bytes(b"x")
    root = folder
    if zipped:
        root = tmp_path / "s.zip"
        with zipfile.ZipFile(root, "w") as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder.parent).as_posix())
    data = load(root)
    assert data.notes[0] == "passed over system folders ($RECYCLE.BIN, @eaDir, __MACOSX)"
    assert (data.class_names, len(data.train)) == (classes, count)


def test_every_image_that_can_be_opened_is_read_and_other_files_are_named(tmp_path: Path) -> None:
    for i, suffix in enumerate((".png", ".jfif", ".JPE", ".avif", ".jp2", ".tga", ".pbm")):
        path = tmp_path / "s" / "ab"[i % 2] / f"{i}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("L", (16, 16), 30 * i)
        image.save(path, None if suffix != ".JPE" else "JPEG")
    for i, kind in enumerate(("PNG", "JPEG", "GIF", "WEBP", "TIFF")):
        Image.new("L", (16, 16), i).save(tmp_path / "s" / "a" / f"nameless-{i}", kind)
    (tmp_path / "s" / "labels.csv").write_text("name,label\n")
    (tmp_path / "s" / "Python").write_text("P5 is no picture")
    (tmp_path / "s" / "nowhere").symlink_to(tmp_path / "absent")
    os.mkfifo(tmp_path / "s" / "pipe")
    data = load(tmp_path / "s")
    assert data.notes[:2] == [
        "passed over 3 files that are not images: Python, nowhere, pipe",
        "label file labels.csv is not used: none of its columns names an image that is there: it has none",
    ]
    assert len(data.train) + len(data.test) == 12


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "cat" / "pipe.png")
    with pytest.raises(BadData, match=r"cat/pipe.png cannot be read \(not a regular file\)"):
        load(folder)
    assert load(folder, skip_corrupt=True).corrupt == [f"{folder}/cat/pipe.png"]

"""Labels from files: tables, exports of annotation tools, folders at several depths."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from ganzoo.config.schema import DataConfig
from ganzoo.data import open_source
from ganzoo.data.source import Source
from ganzoo.errors import BadData, GanzooError
from ganzoo.registry.discovery import installed
from tests.data.test_data import load, picture

Cli = Callable[..., Result]
NAMES = ["cat", "dog", "cat", "dog", "dog", None]


def opened(root: Path, /, **options: object) -> Source:
    level = options.pop("level", None)
    return open_source(DataConfig(source=str(root), level=level, options=options), installed())  # type: ignore[arg-type]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for i in range(6):
        picture(tmp_path / "s" / "images" / f"img {i}.png", 10 * i)
    return tmp_path / "s"


def pairs(suffix: str = ".png", folder: str = "images/") -> list[tuple[str, str]]:
    return [(f"{folder}img {i}{suffix}", name or "") for i, name in enumerate(NAMES)]


def csv(*rows: tuple[str, ...], by: str = ",") -> str:
    return "".join(by.join(row) + "\n" for row in rows)


STUDIO = [
    {
        "data": {"image": f"/data/upload/1/abc123-{path.rpartition('/')[2]}"},
        "annotations": [{"result": [{"type": "choices", "value": {"choices": [name]}}]}] if name else [],
    }
    for path, name in pairs()
]
COCO = {
    "images": [{"id": i, "file_name": path} for i, (path, _) in enumerate(pairs())],
    "annotations": [
        {"image_id": i, "category_id": "xcatdog".index(name)} for i, (_, name) in enumerate(pairs()) if name
    ],
    "categories": [{"id": "xcatdog".index(name), "name": name} for name in ("cat", "dog")],
}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.csv", csv(("path", "label"), *pairs())),
        ("labels.csv", "\ufeff" + csv(("Filename", "Class"), *pairs()).replace("\n", "\r\n")),
        ("labels.csv", csv(("file", "species"), *pairs(), by=";")),
        ("labels.csv", csv(*pairs())),
        ("labels.tsv", csv(("image", "label"), *pairs("", ""), by="\t")),
        ("labels.csv", csv(("id", "label"), *(("C:\\data\\images\\" + path[7:], name) for path, name in pairs()))),
        ("metadata.csv", csv(("file_name", "label"), *pairs())),
        ("metadata.jsonl", "".join(json.dumps({"file_name": p, "label": n or None}) + "\n" for p, n in pairs())),
        ("labels.json", json.dumps([{"path": p, "label": n or None} for p, n in pairs()])),
        ("labels.json", json.dumps(dict(pairs()))),
        ("dataset.json", json.dumps({"labels": [[p, n or None] for p, n in pairs()]})),
        ("annotations.json", json.dumps(COCO)),
        ("project.json", json.dumps(STUDIO)),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_labels_from_a_file(images: Path, tmp_path: Path, name: str, content: str, zipped: bool) -> None:
    (images / name).write_text(content, encoding="utf-8")
    root = images
    if zipped:
        root = tmp_path / "s.zip"
        with zipfile.ZipFile(root, "w") as archive:
            for path in sorted(images.rglob("*.*")):
                archive.write(path, path.relative_to(images).as_posix())
    source = opened(root)
    assert source.class_names == ["cat", "dog"]
    assert source.train.labels.tolist() == [0, 1, 0, 1, 1, -1]
    assert f"{name}, columns" in source.notes[0]
    assert "labels of 5 of 6 images" in source.notes[0]
    if not zipped:
        assert opened(images / name).train.labels.tolist() == [0, 1, 0, 1, 1, -1]


def test_labels_from_parquet_and_numbers_in_their_order(images: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = {"path": [path for path, _ in pairs()], "label": [10.0, 2.0, None, 2.0, 1.0, 10.0]}
    parquet.write_table(pa.table(rows), images / "labels.parquet")
    source = opened(images)
    assert source.class_names == ["1", "2", "10"]
    assert source.train.labels.tolist() == [2, 1, -1, 1, 0, 2]


def test_a_column_of_parts_and_metadata_in_parts(images: Path, tmp_path: Path) -> None:
    rows = [(path, name or "", "test" if i > 3 else "train") for i, (path, name) in enumerate(pairs())]
    (images / "labels.csv").write_text(csv(("path", "label", "split"), *rows))
    source = opened(images)
    assert (source.train.labels.tolist(), source.test and source.test.labels.tolist()) == ([0, 1, 0, 1], [1, -1])
    for part in ("train", "test"):
        shutil.copytree(images / "images", tmp_path / "t" / part)
        (tmp_path / "t" / part / "metadata.csv").write_text(csv(("file_name", "label"), *pairs(folder="")))
    source = opened(tmp_path / "t")
    assert source.train.labels.tolist() == [0, 1, 0, 1, 1, -1]
    assert source.test
    assert source.test.labels.tolist() == [0, 1, 0, 1, 1, -1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (csv(("path", "label"), *pairs(), (pairs()[0][0], "dog")), "gives the labels 'cat' and 'dog' to images/img 0"),
        (csv(("path", "a", "b"), *((*pair, "x") for pair in pairs())), "say which has the labels: .*options.label=a"),
    ],
)
def test_tables_that_contradict_themselves(images: Path, content: str, said: str) -> None:
    (images / "labels.csv").write_text(content)
    with pytest.raises(BadData, match=said):
        opened(images)


@pytest.mark.parametrize("kinds", [("train", "val", "test"), ("test", "test", "test")])
def test_parts_of_a_table_that_are_not_clear(images: Path, kinds: tuple[str, ...]) -> None:
    rows = [(path, name, kinds[i % 3]) for i, (path, name) in enumerate(pairs())]
    (images / "labels.csv").write_text(csv(("path", "label", "split"), *rows))
    with pytest.raises(BadData, match=r"the table of .* has the parts .*there may be train, one of test, val"):
        opened(images)


def test_messages_stay_short_whatever_a_table_holds(images: Path) -> None:
    (images / "labels.csv").write_text("x" * 100_000 + ",label\na,b\n")
    (images / "more.csv").write_text(csv(("path", "label"), *((path, "y" * 5000) for path, _ in pairs())))
    notes = opened(images).notes
    assert any("has a label of 5,000 characters" in note for note in notes)
    assert max(map(len, notes)) < 400


def test_what_is_not_used_is_said(images: Path) -> None:
    (images / "labels.csv").write_text(csv(("path", "label"), *pairs()[:1]))
    (images / "notes.json").write_text('{"a": [1, 2]}')
    (images / "broken.csv").write_text("path,label\nimages/img 0.png\n")
    (images / "readme.txt").write_text("x")
    notes = opened(images).notes
    assert "passed over 1 file that is not images: readme.txt" in notes
    assert "label file labels.csv is not used: it names 1 of 6 images" in notes
    assert any("broken.csv, line 2 has 1 cells instead of 2" in note for note in notes)
    assert any("notes.json is not a list of objects" in note for note in notes)
    assert opened(images, labels_file="labels.csv").train.labels.tolist() == [0, -1, -1, -1, -1, -1]
    with pytest.raises(BadData, match=r"has no file 'label.csv'; did you mean 'labels.csv'"):
        opened(images, labels_file="label.csv")
    with pytest.raises(BadData, match=r"broken.csv, line 2 has 1 cells"):
        opened(images, labels_file="broken.csv")


def test_two_label_files_are_told_apart(images: Path) -> None:
    (images / "a.csv").write_text(csv(("path", "label"), *pairs()))
    (images / "b.csv").write_text(csv(("path", "other"), *((path, "x") for path, _ in pairs())))
    with pytest.raises(BadData, match=r"a.csv and .*b.csv both have labels; .*labels_file=a.csv"):
        opened(images)
    assert opened(images, labels_file="b.csv").class_names == ["x"]
    assert opened(images, labels_file="a.csv", path="path", label="label").class_names == ["cat", "dog"]


def test_class_folders_at_another_level(tmp_path: Path, cli: Cli) -> None:
    for i, name in enumerate(("animals/birds", "animals/cats", "plants/trees")):
        for k in range(4):
            picture(tmp_path / "s" / name / f"{k}.png", 20 * i + k)
    source = opened(tmp_path / "s")
    assert source.class_names == ["animals", "plants"]
    assert source.notes == ("classes are the folders at level 1 (2); data.level=2 gives 3, such as animals/birds",)
    deep = opened(tmp_path / "s", level=2)
    assert (deep.class_names, deep.notes) == (["animals/birds", "animals/cats", "plants/trees"], ())
    (tmp_path / "t").mkdir()
    (tmp_path / "s").rename(tmp_path / "t" / "archive")
    assert opened(tmp_path / "t").class_names == ["animals", "plants"]
    dry = cli("train", "--data", "t", "--size", 16, "--ssl", "none", "--set", "data.level=1", "--dry-run")
    assert "classes  archive" in dry.output


def test_numbered_classes_are_in_natural_order(tmp_path: Path) -> None:
    for k in range(1, 13):
        picture(tmp_path / "s" / str(k) / "0.png", k)
    assert opened(tmp_path / "s").class_names == [str(k) for k in range(1, 13)]


def test_folders_of_runs_are_no_classes(tmp_path: Path, cli: Cli, small: list[str]) -> None:
    for i in range(20):
        picture(tmp_path / "ab"[i % 2] / f"{i}.png", 10 * i)
    words = ["train", *small, "--data", "."]
    first, second = cli(*words), cli(*words)
    assert (first.exit_code, second.exit_code) == (0, 0), second.output
    assert "classes  a 8 · b 8" in second.output
    assert "passed over folders of runs (runs/" in second.output


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    for i in range(10):
        picture(tmp_path / "s" / "ab"[i % 2] / f"{i}.png", 10 * i)
    (tmp_path / "s/a/0.png").rename(os.fsdecode(os.fsencode(tmp_path / "s/a/") + b"caf\xe9.png"))
    (tmp_path / "s" / "labels.csv").write_text("path,label\nx,y\n")
    for cache in (True, False):
        assert len(load(tmp_path / "s", cache=cache).train) == 8
        streamed = load(tmp_path / "s", cache=False, memory=1, workers=0)
        assert len(streamed.train.fingerprint()) == 64


def test_odd_label_files_end_in_a_sentence_or_work(images: Path) -> None:
    rng = np.random.default_rng(0)
    contents = [b"", b"\0" * 50, b"\xff\xfe", b"path,label", b"{", b"[" * 100_000, b'"' * 9, b",,,\n,,\n", b"[1, null]",
                b'{"labels": 3}', b'{"images": 1, "annotations": 2, "categories": 3}', b"path\tlabel\n\t\t\n",
                b'[{"data": 1, "annotations": 2}]', b"path," + b"x" * 200_000,
                *map(rng.bytes, range(1, 400, 40))]  # fmt: skip
    for suffix in ("csv", "tsv", "json", "jsonl", "parquet"):
        for content in contents:
            path = images / f"labels.{suffix}"
            path.write_bytes(content)
            for options in ({}, {"labels_file": path.name}):
                with suppress(GanzooError):
                    opened(images, **options)
            path.unlink()
    os.mkfifo(images / "labels.csv")
    (images / "labels.json").symlink_to(images / "absent")
    assert len(opened(images).train) == 6

"""WebDataset shards."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganzoo.errors import BadData, NoSuchData
from tests.conftest import everything
from tests.data.test_data import load, pixels


def shard(path: Path, numbers: range, kind: str = "cls", mode: str = "w") -> None:
    """Write images whose grey level is their number, of the classes 0 … 2."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:

        def add(name: str, content: bytes) -> None:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))

        for i in numbers:
            Image.new("L", (16, 16), i).save(file := io.BytesIO(), "PNG")
            add(f"a/{i:04}.png", file.getvalue())
            label = str(i % 3) if kind == "cls" else json.dumps({"label": ["ten", "nine", "two"][i % 3]})
            if kind:
                add(f"a/{i:04}.{kind}", label.encode())


@pytest.mark.parametrize("named", ["shards", "shards/train-{000..002}.tar", "shards/train-*.tar"])
def test_shards_are_a_data_set(tmp_path: Path, named: str) -> None:
    for n in range(3):
        shard(tmp_path / "shards" / f"train-{n:03}.tar", range(10 * n, 10 * n + 10))
    data = load(tmp_path / named, test_fraction=0)
    assert (data.class_names, len(data.train), len(data.test)) == (["0", "1", "2"], 30, 0)
    assert pixels(data) == list(range(30))
    assert [level % 3 for level in pixels(data)] == data.labels.tolist()


def test_parts_names_and_images_without_labels(tmp_path: Path) -> None:
    shard(tmp_path / "s" / "train-0.tar", range(12), "json")
    shard(tmp_path / "s" / "unlabeled-0.tar", range(20, 25), "")
    shard(tmp_path / "s" / "test-0.tar", range(30, 36), "json")
    data = load(tmp_path / "s")
    assert data.class_names == ["nine", "ten", "two"]
    assert (len(data.train), len(data.labelled), len(data.test)) == (17, 12, 6)
    assert everything(data.test)[:, 0, 0, 0].tolist() == list(range(30, 36))
    assert data.test_labels.tolist() == [1, 0, 2] * 2


def test_shards_are_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganzoo.data import shards

    shard(tmp_path / "s.tar", range(12))
    first = load(tmp_path / "s.tar")
    monkeypatch.setattr(shards, "index_tar", None)
    assert np.array_equal(load(tmp_path / "s.tar").split.train, first.split.train)


def test_shards_that_cannot_be_read(tmp_path: Path) -> None:
    shard(tmp_path / "s.tar", range(12))
    content = (tmp_path / "s.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(b"x" * 600 + content[:100])
    shard(tmp_path / "packed.tar", range(12), mode="w:gz")
    shard(tmp_path / "bad" / "0.tar", range(2), "json")
    (tmp_path / "bad" / "0.tar").write_bytes((tmp_path / "bad" / "0.tar").read_bytes().replace(b'{"label', b"{'label"))
    (tmp_path / "none").mkdir()
    tarfile.open(tmp_path / "none" / "0.tar", "w").close()
    for name in ("cut.tar", "packed.tar"):
        with pytest.raises(BadData, match=f"{name} cannot be read as a tar file"):
            load(tmp_path / name)
    with pytest.raises(BadData, match=r"0.tar: a/0000.json is not a label"):
        load(tmp_path / "bad")
    with pytest.raises(BadData, match="has no images; expected pairs"):
        load(tmp_path / "none")
    with pytest.raises(NoSuchData, match=r"there is no shard .*s-1.tar"):
        load(tmp_path / "s-{1..2}.tar")

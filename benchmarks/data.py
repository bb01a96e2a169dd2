"""Measure how data are read: 60,000 JPEGs of 64×64, 3,000 photographs, a million images in shards, ten million names.

    python -m benchmarks.data [--folder DIR] [--small 60000] [--photos 3000] [--shards 1000000] [--names 10000000]

The sets are made in DIR (default: a temporary folder; about 10 GB), with a cache of their own. `first` and `second` are
starts of `train`, each in a process of its own: seconds from an assembled configuration to the end of the first step of
a small network, and the largest resident memory; the imports before it are given apart. Images per second are those of
batches of 64 in random order: taken from the map, decoded for each batch by two workers, and held in memory.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.record import record
from ganzoo.config.schema import DataConfig
from ganzoo.data import Dataset, open_source, prepare_data
from ganzoo.data.arrange import arrange, list_files
from ganzoo.data.batches import Stream
from ganzoo.data.files import FileTable
from ganzoo.data.images import Images, InMemory
from ganzoo.data.labels import LabelOptions
from ganzoo.registry.component import ImageShape
from ganzoo.registry.discovery import installed

CLASSES = 10
DISTINCT = 2000
"""Pictures that are encoded; the others are the same with another quantization table."""

START = """
import json, resource, sys, time
began = time.perf_counter()
from ganzoo import configure
from ganzoo.training.assemble import assemble
from ganzoo.training.trainer import Trainer
imported = time.perf_counter()
values = {"gen": "dcgan", "disc": "dcgan", "gen.width": 8, "disc.width": 8, "data.labels": 100}
values |= {"data.source": sys.argv[1], "data.size": int(sys.argv[2])}
trainer = Trainer(assemble(configure(values=values)))
trainer.train_step()
memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
ready = time.perf_counter()
print(json.dumps({"import": imported - began, "start": ready - imported, "memory in GB": memory / 2**20}))
"""


def pictures(height: int, width: int) -> list[bytes]:
    """Return JPEG files of smooth noise."""
    rng = np.random.default_rng(0)
    files = []
    for _ in range(min(DISTINCT, 40 if height > 500 else DISTINCT)):
        coarse = Image.fromarray(rng.integers(0, 256, (max(height // 8, 4), max(width // 8, 4), 3), dtype=np.uint8))
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(file := io.BytesIO(), "JPEG", quality=85)
        files.append(file.getvalue())
    return files


def variant(files: list[bytes], number: int) -> bytes:
    """Return a file with pixels of its own."""
    content = bytearray(files[number % len(files)])
    change = number // len(files)
    place = content.index(b"\xff\xdb") + 6 + change % 63
    content[place] = content[place] % 100 + 1 + change // 63
    return bytes(content)


def make_folder(root: Path, count: int, height: int, width: int) -> Path:
    """Write a folder of class folders."""
    files = pictures(height, width)
    for k in range(CLASSES):
        (root / f"class{k}").mkdir(parents=True)
    for i in range(count):
        (root / f"class{i % CLASSES}" / f"{i:07}.jpg").write_bytes(variant(files, i))
    return root


def make_shards(root: Path, count: int, size: int) -> Path:
    """Write shards of 10,000 images."""
    root.mkdir(parents=True)
    files = pictures(size, size)
    for first in range(0, count, 10_000):
        with tarfile.open(root / f"train-{first // 10_000:05}.tar", "w") as archive:
            for i in range(first, min(first + 10_000, count)):
                for suffix, content in (
                    ("jpg", files[i % len(files)] + i.to_bytes(4, "big")),
                    ("cls", b"%d" % (i % 10)),
                ):
                    info = tarfile.TarInfo(f"{i:08}.{suffix}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
    return root


def start(data: Path, size: int) -> dict[str, float]:
    """Start a run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", START, str(data), str(size)], capture_output=True, text=True, check=True
    )
    return {name: round(value, 3) for name, value in json.loads(done.stdout.splitlines()[-1]).items()}


def starts(data: Path, size: int) -> dict[str, Any]:
    """Start a run three times: the first decodes the images; of the others, the faster is kept."""
    first = start(data, size)
    return {"first": first, "second": min((start(data, size) for _ in range(2)), key=lambda s: s["start"])}


def load(data: Path, size: int, **more: Any) -> Dataset:
    """Return a data set with all images for training."""
    config = DataConfig(source=str(data), test_fraction=0, **more)
    source = open_source(config, installed())
    return prepare_data(source, config, ImageShape(3, size, size, CLASSES), torch.device("cpu"))


def rate(images: Images, batches: int) -> float:
    """Return images per second of batches of 64 in random order."""
    stream = Stream(images, torch.arange(len(images)), 64, ("benchmark",), 0, 1)
    stream.at(0)
    began = time.perf_counter()
    for draw in range(1, batches + 1):
        stream.at(draw)
    return 64 * batches / (time.perf_counter() - began)


def rates(data: Path, size: int, decoded: int) -> dict[str, float]:
    """Compare images from the map with images in memory, in turns, and with images that are decoded."""
    mapped = load(data, size).train
    held = InMemory(next(mapped.batches(iter([torch.arange(len(mapped))]))))
    turns = [(rate(mapped, 500), rate(held, 500)) for _ in range(5)]
    from_map, in_memory = (float(np.median(values)) for values in zip(*turns, strict=True))
    streamed = rate(load(data, size, cache=False, memory=1).train, decoded)
    return {
        "from the map": round(from_map),
        "in memory": round(in_memory),
        "decoded": round(streamed),
        "map / memory": round(from_map / in_memory, 2),
        "map / decoded": round(from_map / streamed, 1),
    }


class Names:
    """Stands for files that are only named."""

    def __call__(self, name: str) -> bytes:
        """Return nothing."""
        return b""

    def head(self, name: str) -> bytes:
        """Return nothing."""
        return b""

    def signature(self, names: Any) -> str:
        """Return nothing, since there are no files to look at."""
        return ""


def seconds(work: Callable[[], Any]) -> float:
    """Return the wall time of some work."""
    began = time.perf_counter()
    work()
    return round(time.perf_counter() - began, 2)


def list_names(count: int) -> dict[str, float]:
    """Divide generated names into classes and parts."""
    names = [f"{'test' if i % 7 == 0 else 'train'}/class{i % 1000}/{i:08}.jpg" for i in range(count)]

    def work() -> None:
        listing = list_files(names, Names(), Path("/names"))
        arrange(listing, lambda images, labels: FileTable(Names(), "", images, labels), LabelOptions(), None)

    return {"names": count, "seconds": seconds(work)}


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder")
    for name, count in (("small", 60_000), ("photos", 3_000), ("shards", 1_000_000), ("names", 10_000_000)):
        parser.add_argument(f"--{name}", type=int, default=count)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        root = Path(folder)
        os.environ["XDG_CACHE_HOME"] = str(root / "cache")
        small = make_folder(root / "small", chosen.small, 64, 64)
        result: dict[str, Any] = {"sizes": {n: getattr(chosen, n) for n in ("small", "photos", "shards", "names")}}
        result["small images"] = starts(small, 64) | {"images per second": rates(small, 64, 100)}
        photos = make_folder(root / "photos", chosen.photos, 2000, 3000)
        result["photographs"] = starts(photos, 64) | {"images per second": rates(photos, 64, 3)}
        shards = make_shards(root / "shards", chosen.shards, 32)
        result["shards"] = starts(shards, 32)
        result["shards"]["images per second, first start"] = round(chosen.shards / result["shards"]["first"]["start"])
        result["listing"] = list_names(chosen.names)
        record("data", result)


if __name__ == "__main__":
    main()

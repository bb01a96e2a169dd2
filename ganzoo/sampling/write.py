"""Generated images as files: a folder of pictures, or a data set in the Hub's layout."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ganzoo.errors import CannotWrite
from ganzoo.latents import images_of
from ganzoo.model import GAN
from ganzoo.pictures import png, to_pil, to_uint8
from ganzoo.storage import write_file, writing

SHARD = 10_000
PLAIN = re.compile(r"[\w][\w .()+-]{0,99}")

CARD = """---
tags: [synthetic, ganzoo]
---

# {count:,} generated images

Made by a GAN, with ganzoo {version}; none is a photograph of anything. What made them: `{facts}`
"""


def write_pictures(folder: Path, images: Iterable[Tensor]) -> int:
    """Write images `[C, H, W]` in [-1, 1] as `folder/000000.png`, …, and return how many. Raises CannotWrite."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for count, image in enumerate(images, 1):
        write_file(folder / f"{count - 1:06d}.png", png(to_pil(to_uint8(image))))
    return count


def folder_name(k: int, name: str) -> str:
    """Return a class's name if it can be that of a folder everywhere, else one with its number."""
    return name if PLAIN.fullmatch(name) and name.strip(" .") == name else f"class {k}"


def write_dataset(
    gan: GAN, out: Path, n: int, y: int | None = None, seed: int = 0, truncation: float = 1.0, source: str = ""
) -> int:
    """Write n generated images as parquet files in the Hub's layout, which `--data OUT` and `datasets` read.

    Those of a conditional generator have their class as label. Images are made as they are written, so there may be
    more of them than memory holds. source: what the model is called. Returns how many.
    Raises CannotWrite, with nothing written, when `out` exists; Incompatible when the model has no generator.
    """
    import ganzoo

    z, labels = gan.latents(n, seed), gan.labels(n, y)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CannotWrite(f"{out} exists and is not an empty folder; choose another with --out")
    temporary = out.with_name(f".{out.name}.partial")
    images = (tile for some in images_of(gan.network("generator"), z, labels, truncation) for tile in to_uint8(some))
    shards = max(1, -(-n // SHARD))
    facts = {"model": source, "seed": seed, "truncation": truncation, "class": y}
    try:
        with writing(out):
            shutil.rmtree(temporary, ignore_errors=True)
            (temporary / "data").mkdir(parents=True)
            for i in range(shards):
                known = None if labels is None else labels[i * SHARD : (i + 1) * SHARD].tolist()
                rows = [png(to_pil(image)) for image in itertools.islice(images, SHARD)]
                write_shard(temporary / "data" / f"train-{i:05d}-of-{shards:05d}.parquet", rows, known, gan.class_names)
            card = CARD.format(count=n, version=ganzoo.__version__, facts=json.dumps(facts))
            (temporary / "README.md").write_text(card, encoding="utf-8")
            if out.exists():
                out.rmdir()
            temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return n


def write_shard(path: Path, pictures: list[bytes], labels: list[int] | None, names: Sequence[str]) -> None:
    """Write PNG files and their labels as one parquet file, which says what its columns are."""
    import datasets

    datasets.disable_progress_bars()
    features: dict[str, Any] = {"image": datasets.Image()}
    columns: dict[str, Any] = {"image": [{"bytes": content, "path": None} for content in pictures]}
    if labels is not None:
        features["label"], columns["label"] = datasets.ClassLabel(names=list(names)), labels
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    table.to_parquet(str(path))

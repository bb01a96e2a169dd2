"""Scores of what is surely better and surely worse: held-out images, a trained DCGAN, an early checkpoint of it, noise.

    python -m benchmarks.scores --data FOLDER [--name NAME] [--steps 1000] [--number 5000] [--runs FOLDER]

FOLDER holds labelled images with a test part, as MNIST and CIFAR-10 in the Hub's parquet layout; NAME is what they are
called, by default the folder's name. All are compared with the same training images, by the features of the extractor
`classifier`, which is trained on these. The Fréchet and the kernel distance must rise from each row to the next, and
coverage must not: where one does not, that is said, and the exit code is 1. Writes benchmarks/results/scores/NAME.json
and docs/assets/scores/NAME.png. A run that was cut short goes on with the same command.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.record import record
from ganzoo.config import Part
from ganzoo.metrics import Evidence
from ganzoo.metrics.evaluate import fingerprint, first, read, scored
from ganzoo.metrics.evidence import chosen, uint8
from ganzoo.model import GAN
from ganzoo.pictures import from_uint8, grid, png
from ganzoo.registry import installed
from ganzoo.storage import load_weights, read_tensors, write_file

EARLY, SHOWN, CPU = 100, 12, torch.device("cpu")
PICTURES = Path(__file__).parents[1] / "docs" / "assets" / "scores"
METRICS = ("fid", "kid", "is", "prdc")
MUST = {"fid": 1, "kid": 1, "coverage": -1}
"""Values that must rise (1), or must not (-1), from each row to the next."""


def command(steps: int) -> list[str]:
    """Return the command of the training, without its data and its folder."""
    return shlex.split(
        "ganzoo train --gen dcgan --disc dcgan --set gen.width=32 --set disc.width=32 --set disc.norm=spectral "
        f"--ssl none --loss hinge --size 32 --batch 64 --steps {steps} --set checkpoint_every={EARLY} "
        f"--set keep_checkpoints={steps // EARLY + 1}"
    )


def early(run: Path) -> GAN:
    """Return the averaged networks of a run as they were after `EARLY` steps."""
    gan = GAN.from_pretrained(run)
    path = run / "checkpoints" / f"{EARLY:06d}" / "averaged.safetensors"
    load_weights(nn.ModuleDict(gan.networks), read_tensors(path), str(path))
    return gan


def noise(batches: Sequence[Tensor], like: tuple[int, int, int]) -> Iterator[Tensor]:
    """Return images of uniform noise by their numbers."""
    for some in batches:
        rng = torch.Generator().manual_seed(int(some[0]))
        yield torch.randint(0, 256, (len(some), *like), generator=rng, dtype=torch.uint8)


def scores(run: Path, number: int) -> tuple[dict[str, dict[str, float]], dict[str, Any], bytes]:
    """Return the values of each row, the stamp that all have, and a picture with a row of each."""
    registry, warnings = installed(), list[str]()
    gan = GAN.from_pretrained(run)
    data = read(gan, None, run, registry, warnings, CPU, False)
    extractor = first([Part(name="classifier")], data, CPU, registry)
    trained = Evidence(gan, data, lambda: extractor, number, sha256=fingerprint(data))
    shape = (data.shape.channels, data.shape.size, data.shape.size)
    rows = {
        "held-out images": (lambda some: uint8(data.test, some), chosen(len(data.test), number, 0)),
        "trained DCGAN": (trained.generated, torch.arange(number)),
        f"the same after {EARLY} steps": (replace(trained, gan=early(run)).generated, torch.arange(number)),
        "noise": (lambda some: noise(some, shape), torch.arange(number)),
    }
    values, stamps, shown = {}, [], []
    for name, (images, numbers) in rows.items():
        shown += [next(iter(images([numbers[:SHOWN]])))]
        fake = trained.extract(images, numbers)
        judged = [
            scored(metric, {}, replace(trained.anew(warnings), kept={**trained.kept, "fake": fake}), registry)
            for metric in METRICS
        ]
        trained.kept |= {"train": trained.train}
        values[name] = {value: number for score in judged for value, number in score.values.items()}
        stamps.append(judged[0].stamp)
        print(name, json.dumps(values[name]), *judged[0].warnings, flush=True)
    assert all(stamp == stamps[0] for stamp in stamps), stamps
    return values, asdict(stamps[0]), png(grid(from_uint8(torch.cat(shown)), SHOWN))


def ordered(values: Mapping[str, Mapping[str, float]]) -> dict[str, bool]:
    """Return, for each value that must, whether it is ordered as the rows are."""
    found = {name: [row[name] for row in values.values()] for name in MUST}
    return {
        name: all(b > a if MUST[name] > 0 else b <= a for a, b in itertools.pairwise(own))
        for name, own in found.items()
    }


def main() -> None:
    """Train, score, check and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FOLDER", required=True)
    parser.add_argument("--name")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--number", type=int, default=5000)
    parser.add_argument("--runs", type=Path, default=Path("runs/scores"))
    asked = parser.parse_args()
    name = asked.name or Path(asked.data).resolve().name
    run, began = asked.runs / name, time.monotonic()
    words = [*command(asked.steps)[1:], "--data", asked.data, "--out", str(run)]
    subprocess.run([sys.executable, "-m", "ganzoo", *words], check=True)
    trained = time.monotonic()
    values, stamp, picture = scores(run, asked.number)
    said = ordered(values)
    PICTURES.mkdir(parents=True, exist_ok=True)
    write_file(PICTURES / f"{name}.png", picture)
    shown = shlex.join([*command(asked.steps), "--data", name])
    seconds = {"training": round(trained - began), "scores": round(time.monotonic() - trained)}
    result = {"data": name, "command": shown, "number": asked.number, "seconds": seconds, "stamp": stamp}
    record(f"scores/{name}", {**result, "rows": values, "ordered": said})
    for value, right in said.items():
        print(f"{value}: {'ordered as it must be' if right else 'NOT ordered as it must be'}")
    if not all(said.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

"""Check that scores order held-out images, a trained DCGAN, an early checkpoint of it, and noise.

    python -m benchmarks.scores --data FOLDER [--name NAME] [--steps 1000] [--number 5000] [--runs FOLDER]

FOLDER holds labelled images with a test split, as MNIST and CIFAR-10 in the Hub's parquet layout; NAME is the name of
the results, by default that of the folder. All four are compared with the same training images, by the features of the
extractor `classifier`, which is trained on these. The Fréchet and the kernel distance must rise from each row to the
next, and coverage must not rise; otherwise the exit code is 1. Writes benchmarks/results/scores/NAME.json and
docs/assets/scores/NAME.png. The same command continues a run that was interrupted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from benchmarks.record import record
from ganzoo.base.pictures import from_uint8, grid, png
from ganzoo.base.storage import load_weights, read_tensors, write_file
from ganzoo.config.schema import ComponentConfig
from ganzoo.metrics import Evidence
from ganzoo.metrics.evaluate import compute_score, fingerprint, first_extractor, read_images
from ganzoo.metrics.evidence import choose_indices, read_batches
from ganzoo.model.gan import GAN
from ganzoo.registry.discovery import installed

EARLY, COLUMNS, CPU = 100, 12, torch.device("cpu")
PICTURES = Path(__file__).parents[1] / "docs" / "assets" / "scores"
METRICS = ("fid", "kid", "is", "prdc")
ImagesOf: TypeAlias = Callable[[Sequence[Tensor]], Iterator[Tensor]]
"""Maps batches of numbers `[B]` to uint8 images `[B, C, H, W]`."""
MUST = {"fid": 1, "kid": 1, "coverage": -1}
"""Values that must rise (1), or must not rise (-1), from each row to the next."""


def command(steps: int) -> list[str]:
    """Return the training command, without data and run folder."""
    return shlex.split(
        "ganzoo train --gen dcgan --disc dcgan --set gen.width=32 --set disc.width=32 --set disc.norm=spectral "
        f"--ssl none --loss hinge --size 32 --batch-size 64 --steps {steps} --set checkpoint_every={EARLY} "
        f"--set keep_checkpoints={steps // EARLY + 1}"
    )


def early(run: Path) -> GAN:
    """Return the averaged networks of a run after its first `EARLY` steps."""
    gan = GAN.from_pretrained(run)
    path = run / "checkpoints" / f"{EARLY:06d}" / "averaged.safetensors"
    load_weights(nn.ModuleDict(gan.networks), read_tensors(path), str(path))
    return gan


def noise(batches: Sequence[Tensor], shape: tuple[int, int, int]) -> Iterator[Tensor]:
    """Yield images of uniform noise `[B, C, H, W]`, which depend on their numbers `[B]` alone."""
    for batch in batches:
        rng = torch.Generator().manual_seed(int(batch[0]))
        yield torch.randint(0, 256, (len(batch), *shape), generator=rng, dtype=torch.uint8)


def scores(run: Path, number: int) -> tuple[dict[str, dict[str, float]], dict[str, Any], bytes]:
    """Return the values of each row, the common stamp, and a picture with images of each row."""
    registry, warnings = installed(), list[str]()
    gan = GAN.from_pretrained(run)
    data = read_images(gan, None, run, registry, warnings)
    extractor = first_extractor([ComponentConfig(name="classifier")], data, CPU, registry)
    trained = Evidence(gan, data, lambda: extractor, number, sha256=fingerprint(data))
    rows: dict[str, tuple[ImagesOf, Tensor]] = {
        "held-out images": (
            lambda batches: read_batches(data.test, batches),
            choose_indices(len(data.test), number, 0),
        ),
        "trained DCGAN": (trained.generated, torch.arange(number)),
        f"the same after {EARLY} steps": (replace(trained, gan=early(run)).generated, torch.arange(number)),
        "noise": (lambda batches: noise(batches, data.shape.dimensions), torch.arange(number)),
    }
    values, stamps, shown, train = {}, [], [], trained.train
    for name, (images, numbers) in rows.items():
        shown += [next(iter(images([numbers[:COLUMNS]])))]
        fake = trained.extract(images, numbers)
        evidence = replace(trained, cache={"train": train, "fake": fake})
        found = [compute_score(metric, {}, evidence.fresh(warnings), registry) for metric in METRICS]
        values[name] = {value: number for score in found for value, number in score.values.items()}
        stamps.append(found[0].stamp)
        print(name, json.dumps(values[name]), *found[0].warnings, flush=True)
    assert all(stamp == stamps[0] for stamp in stamps), stamps
    return values, asdict(stamps[0]), png(grid(from_uint8(torch.cat(shown)), COLUMNS))


def ordered(values: Mapping[str, Mapping[str, float]]) -> dict[str, bool]:
    """Return whether each value of `MUST` changes from row to row as it must."""
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
    orders = ordered(values)
    PICTURES.mkdir(parents=True, exist_ok=True)
    write_file(PICTURES / f"{name}.png", picture)
    shown = shlex.join([*command(asked.steps), "--data", name])
    seconds = {"training": round(trained - began), "scores": round(time.monotonic() - trained)}
    result = {"data": name, "command": shown, "number": asked.number, "seconds": seconds, "stamp": stamp}
    record(f"scores/{name}", {**result, "rows": values, "ordered": orders})
    for value, right in orders.items():
        print(f"{value}: {'in the right order' if right else 'in the WRONG order'}")
    if not all(orders.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

"""Train two steps of every combination: generator × discriminator × loss × strategy × channels × conditional.

    python -m benchmarks.matrix [--part I/N] [--ssl NAME]

Each combination either trains, is refused with a reason, or fails, and none may fail. Prints and records the counts,
and how often each reason was given. With --part, only every N-th combination is tried, starting with number I (from 0),
and the result is recorded in a file of its own: the shares can be tried one after the other, or on several machines.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

import ganzoo
from benchmarks.record import RESULTS, record
from ganzoo import configure
from ganzoo.errors import Incompatible
from ganzoo.registry.discovery import installed
from ganzoo.registry.options import options_of
from ganzoo.training.assemble import assemble
from ganzoo.training.trainer import Trainer

KINDS = ("generator", "discriminator", "loss", "ssl")
NAMES = {
    kind: [f"{r.qualified}/test_resnet" if r.component.family else r.qualified for r in ganzoo.list_components(kind)]
    for kind in KINDS
}
SIZE = 16
TINY: dict[str, Any] = {"width": 4, "hidden": 8, "z_dim": 8, "w_dim": 8, "z_chunk": 4, "embedding": 8}


@dataclass(frozen=True)
class Combination:
    """Components by their qualified names, the channels of the images, and whether the generator is conditional."""

    generator: str
    discriminator: str
    loss: str
    ssl: str
    channels: int
    conditional: bool

    @property
    def name(self) -> str:
        """The combination in one word."""
        names = (getattr(self, kind).rpartition("/")[2] for kind in KINDS)
        return "-".join([*names, str(self.channels), *["conditional"] * self.conditional])


def every() -> list[Combination]:
    """Return all combinations, without unconditional generators for a strategy that needs a conditional one."""
    names = itertools.product(*(NAMES[kind] for kind in KINDS))
    found = (
        Combination(generator, discriminator, loss, ssl, channels, conditional)
        for generator, discriminator, loss, ssl in names
        for channels in (1, 3, 4)
        for conditional in (False, True)
    )
    return [c for c in found if c.conditional or not needs_conditional(c.ssl)]


def needs_conditional(ssl: str) -> bool:
    """Return whether a strategy refuses an unconditional generator."""
    return bool(installed().get("ssl", ssl).component.load().needs_conditional)


def tiny(kind: str, name: str) -> dict[str, Any]:
    """Return options that make a network tiny; none for other kinds of component."""
    if kind not in ("generator", "discriminator"):
        return {}
    known = {o.name for o in options_of(installed().get(kind, name).component.load())}
    small = TINY | ({"hidden": [8, 8]} if kind == "discriminator" else {})
    return {option: value for option, value in small.items() if option in known}


def trains(c: Combination, **more: Any) -> str:
    """Return "" after two steps, or the reason for which the components are refused."""
    values: dict[str, Any] = {kind: getattr(c, kind) for kind in KINDS}
    for kind in ("generator", "discriminator"):
        values |= {f"{kind}.{option}": value for option, value in tiny(kind, values[kind]).items()}
    values |= {"data.size": SIZE, "data.channels": c.channels, "data.test_fraction": 0.9, "data.labels": 20}
    values |= {"generator.conditional": c.conditional, "batch_size": 4, "steps": 2, "precision": "fp32"}
    try:
        trainer = Trainer(assemble(configure(values=values | more)))
    except Incompatible as refusal:
        return str(refusal)
    trainer.train_step()
    trainer.train_step()
    terms = [float(value) for player in trainer.players for value in player.terms.values()]
    if not terms or not all(map(math.isfinite, terms)):
        raise AssertionError(f"the terms are {terms}")
    return ""


def pictures(folder: Path) -> dict[str, Any]:
    """Write a data set so small that reading it takes no time, and return the settings that use it."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 4, SIZE, SIZE, 4), dtype=np.uint8)
    for label, images in enumerate(noise):
        (folder / str(label)).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / str(label) / f"{number}.png")
    return {"data.source": str(folder), "data.test_fraction": 0.25}


def main() -> None:
    """Try the combinations, and record the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default="0/1", metavar="I/N")
    parser.add_argument("--ssl", metavar="NAME", help="only this strategy")
    chosen = parser.parse_args()
    first, _, steps = chosen.part.partition("/")
    torch.set_num_threads(1)  # the networks are tiny
    if chosen.ssl is None and (RESULTS / "matrix" / f"{first}-of-{steps}.json").is_file():
        print(f"share {chosen.part} is recorded already")
        return
    counts, reasons, failed = Counter[str](), Counter[str](), []
    combinations = [c for c in every() if chosen.ssl in (None, c.ssl, c.ssl.rpartition("/")[2])][
        int(first) :: int(steps)
    ]
    with TemporaryDirectory() as folder:
        data = pictures(Path(folder))
        for number, c in enumerate(combinations):
            try:
                reason = trains(c, **data)
            except Exception as error:
                failed.append(f"{c.name}: {error!r:.200}")
                print("FAILED", failed[-1], flush=True)
                counts["failed"] += 1
                continue
            counts["refused" if reason else "trained"] += 1
            reasons[reason] += bool(reason)
            if number % 500 == 0:
                print(f"{number}/{len(combinations)} {dict(counts)}", flush=True)
    given = {reason: n for reason, n in reasons.most_common() if n}
    counts = Counter({"trained": 0, "refused": 0, "failed": 0}) + counts
    total = {name: counts[name] for name in ("trained", "refused", "failed")}
    sizes = {kind: len(names) for kind, names in NAMES.items()}
    name = f"matrix/{first}-of-{steps}" if chosen.ssl is None else f"matrix/{chosen.ssl}"
    record(name, {**total, "of": {**sizes, "channels": 3}, "reasons": given, "failures": failed})


if __name__ == "__main__":
    main()

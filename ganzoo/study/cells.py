"""The cells of a study: what each runs, and what became of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganzoo.config import Config
from ganzoo.errors import BadConfig
from ganzoo.recipes import configure, parse_setting

DECIDED = {"ssl", "ssl.name", "seed", "data.labels", "data.split", "data.split_seed"}


@dataclass(frozen=True)
class Cell:
    """One run of a study: a strategy as it was written, a number of labels, a seed, and the whole configuration."""

    strategy: str
    labels: int | str
    seed: int
    config: Config

    @property
    def name(self) -> str:
        """What its run folder is called."""
        safe = re.sub(r"[^a-z0-9.=_-]+", "_", self.strategy)
        if safe != self.strategy:  # two strategies may be one with these characters replaced
            safe += f"-{hashlib.sha256(self.strategy.encode()).hexdigest()[:6]}"
        return f"{safe}-{self.labels}-{self.seed}"


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: its held-out error in [0, 1] and the hash of its split, or why it failed."""

    error: float | None = None
    split: str | None = None
    failed: str | None = None


def plan(
    strategies: Sequence[str], labels: Sequence[int | str], seeds: Sequence[int], values: Mapping[str, Any], **more: Any
) -> list[Cell]:
    """Return the cells of a study.

    strategies: `name`, or `name:key=value:…` with settings of its own, as in `kplus1:ssl.gan=off`.
    labels: how many, or "all". seeds: of weights and batches, and of the split.
    values: what every cell has in common, by dotted keys. more: `preset`, `file`, `registry`, as for `configure`.
    Raises what `configure` raises, and BadConfig for a cell that is named twice or says what the study decides.
    """
    cells = []
    for strategy in strategies:
        name, *settings = re.split(r":(?=[\w.]+=)", strategy)
        own = {"ssl": name, **dict(map(parse_setting, settings))}
        if said := sorted(DECIDED & (own.keys() | values.keys()) - {"ssl"}) or sorted({"ssl"} & values.keys()):
            raise BadConfig(f"a study decides {said[0]} itself: leave it out of its settings")
        for number in labels:
            for seed in seeds:
                cell = {"data.labels": number, "data.split_seed": seed, "seed": seed}
                cells.append(Cell(strategy, number, seed, configure(values={**values, **own, **cell}, **more)))
    names = [cell.name for cell in cells]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise BadConfig(f"the study has two cells called '{twice[0]}'; say each strategy, number and seed once")
    return cells

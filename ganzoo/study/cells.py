"""The cells of a study: their configurations and outcomes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganzoo.config.resolve import configure, parse_setting
from ganzoo.config.schema import Config
from ganzoo.errors import BadConfig
from ganzoo.run.rows import BALANCED_ERROR, ERROR, MACRO_F1

RESERVED = {"ssl", "ssl.name", "seed", "data.labels", "data.split", "data.split_seed"}
"""Configuration keys that the study sets."""


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        strategy: The strategy as the user wrote it, with its settings.
        labels: Number of labels, or "all".
        seed: Seed of weights, batches and split.
        config: The whole configuration.
    """

    strategy: str
    labels: int | str
    seed: int
    config: Config

    @property
    def name(self) -> str:
        """Name of the run folder."""
        safe = re.sub(r"[^a-z0-9.=_-]+", "_", self.strategy)
        if safe != self.strategy:  # two strategies may differ only in the replaced characters
            safe += f"-{hashlib.sha256(self.strategy.encode()).hexdigest()[:6]}"
        return f"{safe}-{self.labels}-{self.seed}"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a cell.

    Attributes:
        error: Held-out error in [0, 1]; None if it was not measured.
        split: Hash of the split.
        failed: Why the cell failed; None if it did not.
        balanced_error: Balanced error of the held-out images in [0, 1]; None if it was not measured.
        macro_f1: Macro F1 of the held-out images in [0, 1]; None if it was not measured.
    """

    error: float | None = None
    split: str | None = None
    failed: str | None = None
    balanced_error: float | None = None
    macro_f1: float | None = None

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Outcome:
        """Return the outcome of a run that has ended.

        Args:
            metadata: Metadata of its model.
        """
        measures = {name: metadata["metrics"].get(name) for name in (ERROR, BALANCED_ERROR, MACRO_F1)}
        return cls(split=metadata["split"], **measures)


def plan(
    strategies: Sequence[str], labels: Sequence[int | str], seeds: Sequence[int], values: Mapping[str, Any], **more: Any
) -> list[Cell]:
    """Plan the cells of a study.

    Args:
        strategies: Strategies as `name`, or as `name:key=value:…` with settings of their own, for example
            `kplus1:ssl.gan=off`.
        labels: Numbers of labels, or "all".
        seeds: Seeds of weights, batches and split.
        values: Configuration values of every cell, by dotted key.
        more: `preset`, `file` and `registry`, as for `ganzoo.config.resolve.configure`.

    Returns:
        A cell for each strategy, number of labels and seed.

    Raises:
        BadConfig: A cell occurs twice, a value is set that the study sets itself, or a configuration is invalid.
    """
    cells = []
    for strategy in strategies:
        name, *settings = re.split(r":(?=[\w.]+=)", strategy)
        own = {"ssl": name, **dict(map(parse_setting, settings))}
        reserved = sorted(RESERVED & (own.keys() | values.keys()) - {"ssl"}) or sorted({"ssl"} & values.keys())
        if reserved:
            raise BadConfig(f"a study sets {reserved[0]} itself; remove it from the settings")
        for number in labels:
            for seed in seeds:
                cell = {"data.labels": number, "data.split_seed": seed, "seed": seed}
                cells.append(Cell(strategy, number, seed, configure(values={**values, **own, **cell}, **more)))
    names = [cell.name for cell in cells]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise BadConfig(f"the study has two cells called '{twice[0]}'; give each strategy, number and seed only once")
    return cells

"""Formats of stored configurations: what keys were called in earlier ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganzoo.errors import BadConfig

FORMAT = 2
"""The format in which configurations, run folders and model folders are written. Format 1: until version 0.1."""
RENAMED = {
    "batch": "batch_size",
    "labelled_batch": "labelled_batch_size",
    "accumulate": "gradient_accumulation_steps",
    "start": "init_from",
    "best": "best_metric",
    "features": "extractor",
    "best_images": "best_metric_images",
    "optimizer.hold": "optimizer.decay_start",
    "optimizer.until": "optimizer.decay_end",
    "optimizer.final": "optimizer.final_lr_ratio",
    "optimizer.beta2_final": "optimizer.final_beta2",
    "optimizer.moves": "optimizer.updates_per_step",
}
"""Keys of format 1 by their dotted names, and what they are called in format 2."""


def renamed_key(key: str) -> str | None:
    """Return the present name of a key of an earlier format, or None.

    Args:
        key: A dotted key; those of `players.NAME` are called as those of `optimizer`.
    """
    owner, _, last = key.rpartition(".")
    if owner.startswith("players."):
        new = RENAMED.get(f"optimizer.{last}")
        return new and f"{owner}.{new.rpartition('.')[2]}"
    return RENAMED.get(key)


def migrate_values(values: Mapping[str, Any], found: object) -> dict[str, Any]:
    """Return values of an earlier format as the present format has them.

    Args:
        values: Nested configuration values.
        found: Their format.

    Raises:
        BadConfig: The format is of a later version of the library.
    """
    if found not in (1, FORMAT):
        raise BadConfig(
            f"the configuration has format {found!r}, and this version of ganzoo reads up to {FORMAT}; "
            "install a newer one: pip install --upgrade torch-ganzoo"
        )
    return dict(values) if found == FORMAT else _renamed(values, "")


def _renamed(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    renamed = {}
    for key, value in values.items():
        full = f"{prefix}{key}"
        if isinstance(value, Mapping) and (full in ("optimizer", "players") or full.startswith("players.")):
            value = _renamed(value, f"{full}.")
        renamed[(renamed_key(full) or key).rpartition(".")[2]] = value
    return renamed

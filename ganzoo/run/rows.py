"""Names in the rows of a run's metrics, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ERROR, BALANCED_ERROR, MACRO_F1 = "error", "balanced_error", "macro_f1"
RAW = "_raw"
"""Ending of a name if the live networks are measured, and not the averaged ones."""
RECALL = "recall/"
"""Beginning of the name of a class's recall."""
VISIBLE = 0.005
"""Difference of two fractions that is worth showing: half a percentage point."""


def is_term(name: str) -> bool:
    """Return whether a value is a term of a player, as `player/term`."""
    return "/" in name and not name.startswith(RECALL)


def balance_matters(rows: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether balanced errors differ visibly from errors; they do not where classes are even.

    Args:
        rows: Mappings with `error` and `balanced_error` in [0, 1]; others are left out.
    """
    pairs = [(row.get(ERROR), row.get(BALANCED_ERROR)) for row in rows]
    return any(abs(a - b) > VISIBLE for a, b in pairs if a is not None and b is not None)

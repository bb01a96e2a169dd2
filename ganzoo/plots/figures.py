"""Curves of a run, of several runs and of a study, as pictures. matplotlib is imported when one is drawn."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ganzoo.errors import BadData
from ganzoo.run.rows import BALANCED_ERROR, ERROR, RAW, balance_matters, is_term

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]
ERROR_LABEL = "held-out error (%)"
LABELS = {ERROR: ERROR_LABEL, BALANCED_ERROR: "balanced held-out error (%)"}
ERRORS = {ERROR: "averaged weights", ERROR + RAW: "raw weights"}
BALANCED = {BALANCED_ERROR: "balanced, averaged weights"}


def run_curves(rows: Rows) -> bytes:
    """Draw the terms of the players and, if it was measured, the held-out error of a run.

    Args:
        rows: Rows of metrics.

    Returns:
        The content of a PNG file.
    """
    names = [*dict.fromkeys(name for row in rows for name in row if is_term(name))]
    measured, errors = any(ERROR in row for row in rows), ERRORS | (BALANCED if balance_matters(rows) else {})
    figure = _figure(7, 5 if measured else 3)
    axes = figure.subplots(1 + measured, 1, sharex=True, squeeze=False)[:, 0]
    axes[0].set_yscale("symlog", linthresh=1)  # terms of a hundred and of a hundredth are both visible
    for name in names:
        axes[0].plot(*_points(rows, name), label=name, lw=1)
    for name, label in errors.items() if measured else ():
        axes[1].plot(*_points(rows, name, 100), ".-", label=label)
        axes[1].set_ylabel(ERROR_LABEL)
    for axis in axes:
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend(fontsize=7)
    axes[-1].set_xlabel("step")
    return _encoded(figure)


def compare_curves(runs: Mapping[str, Rows]) -> bytes:
    """Draw a panel for each term and each held-out error, with a line for each run.

    Args:
        runs: Rows of metrics by the name of the run.

    Returns:
        The content of a PNG file.

    Raises:
        BadData: No run has metrics.
    """
    labels = LABELS if balance_matters(row for rows in runs.values() for row in rows) else {ERROR: LABELS[ERROR]}
    names = [*dict.fromkeys(n for rows in runs.values() for row in rows for n in row if is_term(n) or n in labels)]
    if not names:
        raise BadData("none of these runs has curves: metrics.jsonl is missing or empty; train a run first")
    columns = min(3, len(names))
    lines = math.ceil(len(names) / columns)
    figure = _figure(4 * columns, 0.4 + 2.4 * lines)
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    for name, panel in zip(names, panels, strict=False):
        for number, (run, rows) in enumerate(runs.items()):
            steps, values = _points(rows, name, 100 if name in labels else 1)
            if steps:
                panel.plot(steps, values, label=run, lw=1, marker="." * (len(steps) == 1), color=f"C{number}")
        panel.set_title(labels.get(name, name), fontsize=9)
        panel.grid(alpha=0.3)
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    legend = {label: line for panel in panels for line, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend([*legend.values()], [*legend], loc="outside upper left", fontsize=8, ncols=columns)
    return _encoded(figure, dpi=120)


def label_efficiency(table: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """Draw the held-out error against the number of labels: mean, standard deviation and every value.

    Args:
        table: Rows of a study's summary: `strategy`, `labels`, `mean`, `std` and `errors`, as fractions.

    Returns:
        The contents of a PNG and an SVG file, by suffix.
    """
    numbers = list(dict.fromkeys(t["labels"] for t in table))
    table = [t for t in table if t["mean"] is not None]
    strategies = list(dict.fromkeys(t["strategy"] for t in table))
    figure = _figure(6.4, 3.8 + 0.2 * len(strategies))
    axes = figure.subplots()
    most = max((n for n in numbers if isinstance(n, int)), default=1)
    position = {n: n if isinstance(n, int) else 10 * most for n in numbers}
    for number, strategy in enumerate(strategies):
        offset = 1.02 ** (number - (len(strategies) - 1) / 2)  # equal values must not hide each other
        rows = sorted((t for t in table if t["strategy"] == strategy), key=lambda t: position[t["labels"]])
        x = [offset * position[t["labels"]] for t in rows]
        mean, std = [100 * t["mean"] for t in rows], [100 * (t["std"] or 0) for t in rows]
        line = axes.errorbar(x, mean, std, label=strategy, marker="o", capsize=3)
        for center, t in zip(x, rows, strict=True):
            values = [100 * e for e in t["errors"]]
            axes.plot([center] * len(values), values, ".", color=line[0].get_color(), alpha=0.4)
    scale = "log" if table and min(e for t in table for e in t["errors"]) > 0 else "linear"
    axes.set(xscale="log", yscale=scale, xlabel="labels", ylabel=ERROR_LABEL)
    axes.set_xticks(list(position.values()), [str(n) for n in position])
    _round_ticks(axes, scale)
    axes.grid(alpha=0.3)
    if table:
        figure.legend(loc="outside upper left", fontsize="small")  # inside the axes, it would hide values
    return {
        "png": _encoded(figure, "png", 150, {"Software": None}),
        "svg": _encoded(figure, "svg", 150, {"Date": None}),
    }


def _round_ticks(axes: Axes, scale: str) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    low, high = axes.get_ylim()
    fine = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    if scale == "log":
        axes.yaxis.set_major_locator(LogLocator(subs=fine if high < 5 * low else (1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())


def _points(rows: Rows, name: str, factor: float = 1) -> tuple[list[float], list[float]]:
    """Return the steps and values of a metric."""
    present = [row for row in rows if name in row]
    return [row["step"] for row in present], [factor * row[name] for row in present]


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _encoded(figure: Figure, suffix: str = "png", dpi: int = 100, metadata: dict[str, Any] | None = None) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "ganzoo"}):  # makes the file reproducible
        figure.savefig(buffer, format=suffix, dpi=dpi, metadata=metadata)
    return buffer.getvalue()

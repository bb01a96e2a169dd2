"""What came of the cells of a study: as a table in three forms, and as a curve in two."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ganzoo.storage import to_json
from ganzoo.study.cells import Cell, Outcome

RESULTS, TABLE = "results.json", "table.md"


def files(cells: Sequence[Cell], found: Mapping[str, Outcome]) -> dict[str, bytes]:
    """Return what a study folder says of its cells, by file name. found: outcomes by cell name, of those that ended."""
    rows = [
        {
            "strategy": c.strategy,
            "labels": c.labels,
            "seed": c.seed,
            "error": o.error if o else None,
            "split": o.split if o else None,
            "failed": o.failed if o else None,
            "steps": c.config.steps,
        }
        for c in cells
        for o in [found.get(c.name)]
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return {
        RESULTS: to_json({"cells": rows, "table": summary(rows)}),
        TABLE: markdown(rows).encode(),
        "table.csv": text.getvalue().encode(),
        **{f"curve.{suffix}": content for suffix, content in curve(rows).items()},
    }


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return mean, sample standard deviation and median of the errors for each strategy and number of labels."""
    table = []
    for strategy, labels in dict.fromkeys((r["strategy"], r["labels"]) for r in rows):
        same = [r for r in rows if (r["strategy"], r["labels"]) == (strategy, labels)]
        errors = [r["error"] for r in same if r["error"] is not None]
        table.append(
            {
                "strategy": strategy,
                "labels": labels,
                "runs": len(errors),
                "failed": sum(r["failed"] is not None for r in same),
                "mean": statistics.fmean(errors) if errors else None,
                "std": statistics.stdev(errors) if len(errors) > 1 else None,
                "median": statistics.median(errors) if errors else None,
                "errors": errors,
            }
        )
    return table


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table as Markdown: held-out error in %, mean ± sample standard deviation, and every value below."""
    table = summary(rows)
    labels = list(dict.fromkeys(r["labels"] for r in rows))
    cells = {(t["strategy"], t["labels"]): t for t in table}
    lines = [
        "Held-out error in %, mean ± sample standard deviation (runs).",
        "",
        f"| strategy | {' | '.join(f'{n} labels' for n in labels)} |",
        f"| --- |{' --- |' * len(labels)}",
    ]
    for strategy in dict.fromkeys(r["strategy"] for r in rows):
        shown = [short(cells[strategy, n]) if (strategy, n) in cells else "" for n in labels]
        lines.append(f"| {strategy} | {' | '.join(shown)} |")
    lines += ["", "Every value:", ""]
    lines += [
        f"- {t['strategy']}, {t['labels']} labels: {', '.join(f'{100 * e:.2f}' for e in t['errors']) or 'none'}"
        for t in table
    ]
    failed = [r for r in rows if r["failed"]]
    lines += ["", "Failed:", ""] if failed else []
    lines += [f"- {r['strategy']}, {r['labels']} labels, seed {r['seed']}: {r['failed']}" for r in failed]
    return "\n".join(lines) + "\n"


def short(cell: Mapping[str, Any]) -> str:
    """Return a cell of the table."""
    if cell["mean"] is None:
        return "failed" if cell["failed"] else "–"
    spread = "" if cell["std"] is None else f" ± {100 * cell['std']:.2f}"
    lost = f", {cell['failed']} failed" if cell["failed"] else ""
    return f"{100 * cell['mean']:.2f}{spread} ({cell['runs']}{lost})"


def curve(rows: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """Return the label-efficiency curve as PNG and SVG: error against labels, mean, spread and every value."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator, NullLocator

    pyplot.rcParams["svg.hashsalt"] = "ganzoo"  # the same file for the same values
    table = [t for t in summary(rows) if t["mean"] is not None]
    strategies = list(dict.fromkeys(t["strategy"] for t in table))
    figure, axes = pyplot.subplots(figsize=(6.4, 3.8 + 0.2 * len(strategies)), layout="constrained")
    places = {n: n if isinstance(n, int) else None for n in dict.fromkeys(r["labels"] for r in rows)}
    most = max((p for p in places.values() if p), default=1)
    where = {n: p or 10 * most for n, p in places.items()}
    for number, strategy in enumerate(strategies):
        aside = 1.02 ** (number - (len(strategies) - 1) / 2)  # so that equal values do not hide each other
        own = sorted((t for t in table if t["strategy"] == strategy), key=lambda t: where[t["labels"]])
        x = [aside * where[t["labels"]] for t in own]
        mean, std = [100 * t["mean"] for t in own], [100 * (t["std"] or 0) for t in own]
        line = axes.errorbar(x, mean, std, label=strategy, marker="o", capsize=3)
        for place, t in zip(x, own, strict=True):
            values = [100 * e for e in t["errors"]]
            axes.plot([place] * len(values), values, ".", color=line[0].get_color(), alpha=0.4)
    scale = "log" if table and min(e for t in table for e in t["errors"]) > 0 else "linear"
    axes.set(xscale="log", yscale=scale, xlabel="labels", ylabel="held-out error in %")
    axes.set_xticks(list(where.values()), [str(n) for n in where])
    low, high = axes.get_ylim()
    fine = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    if scale == "log":
        axes.yaxis.set_major_locator(LogLocator(subs=fine if high < 5 * low else (1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3)
    if table:
        figure.legend(loc="outside upper left", fontsize="small")  # within the axes it hides values
    made = {}
    for suffix, facts in (("png", {"Software": None}), ("svg", {"Date": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, dpi=150, metadata=facts)
        made[suffix] = buffer.getvalue()
    pyplot.close(figure)
    return made

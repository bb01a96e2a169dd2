"""The results of a study: a table as JSON, Markdown and CSV, and a curve as PNG and SVG."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ganzoo.base.storage import to_json
from ganzoo.plots.figures import label_efficiency
from ganzoo.run.rows import BALANCED_ERROR, ERROR, MACRO_F1, balance_matters
from ganzoo.study.cells import Cell, Outcome

RESULTS, TABLE = "results.json", "table.md"


def files(cells: Sequence[Cell], outcomes: Mapping[str, Outcome]) -> dict[str, bytes]:
    """Return the result files of a study.

    Args:
        cells: The cells.
        outcomes: Outcomes by name, of the cells that have ended.

    Returns:
        Contents by file name.
    """
    rows = [
        {
            "strategy": c.strategy,
            "labels": c.labels,
            "seed": c.seed,
            "error": o.error if o else None,
            "split": o.split if o else None,
            "failed": o.failed if o else None,
            "steps": c.config.steps,
            BALANCED_ERROR: o.balanced_error if o else None,
            MACRO_F1: o.macro_f1 if o else None,
        }
        for c in cells
        for o in [outcomes.get(c.name)]
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return {
        RESULTS: to_json({"cells": rows, "table": summary(rows), "balanced_table": summary(rows, BALANCED_ERROR)}),
        TABLE: markdown(rows).encode(),
        "table.csv": text.getvalue().encode(),
        **{f"curve.{suffix}": content for suffix, content in label_efficiency(summary(rows)).items()},
    }


def summary(rows: Sequence[Mapping[str, Any]], measure: str = ERROR) -> list[dict[str, Any]]:
    """Summarise the errors for each strategy and number of labels.

    Args:
        rows: A row for each cell: `strategy`, `labels`, `failed`, and the measure in [0, 1] or None.
        measure: "error" or "balanced_error".

    Returns:
        Rows with `strategy`, `labels`, number of `runs`, number of `failed` ones, `mean`, sample standard deviation
        `std`, `median` and all `errors`.
    """
    table = []
    for strategy, labels in dict.fromkeys((r["strategy"], r["labels"]) for r in rows):
        group = [r for r in rows if (r["strategy"], r["labels"]) == (strategy, labels)]
        errors = [r[measure] for r in group if r.get(measure) is not None]
        table.append(
            {
                "strategy": strategy,
                "labels": labels,
                "runs": len(errors),
                "failed": sum(r["failed"] is not None for r in group),
                "mean": statistics.fmean(errors) if errors else None,
                "std": statistics.stdev(errors) if len(errors) > 1 else None,
                "median": statistics.median(errors) if errors else None,
                "errors": errors,
            }
        )
    return table


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the results as Markdown: the held-out errors, the balanced ones where these differ, and the failures.

    Args:
        rows: A row for each cell, as for `summary`; failed ones with their `seed`.
    """
    lines = _table(summary(rows), "Held-out error")
    if balance_matters(rows):
        lines += ["", *_table(summary(rows, BALANCED_ERROR), "Balanced held-out error")]
    failed = [r for r in rows if r["failed"]]
    lines += ["", "Failed:", ""] if failed else []
    lines += [f"- {r['strategy']}, {r['labels']} labels, seed {r['seed']}: {r['failed']}" for r in failed]
    return "\n".join(lines) + "\n"


def _table(table: Sequence[Mapping[str, Any]], title: str) -> list[str]:
    """Return the lines of a summary: mean ± sample standard deviation in %, and all values below."""
    labels = list(dict.fromkeys(t["labels"] for t in table))
    cells = {(t["strategy"], t["labels"]): t for t in table}
    lines = [
        f"{title} in %, mean ± sample standard deviation (runs).",
        "",
        f"| strategy | {' | '.join(f'{n} labels' for n in labels)} |",
        f"| --- |{' --- |' * len(labels)}",
    ]
    for strategy in dict.fromkeys(t["strategy"] for t in table):
        columns = [short(cells[strategy, n]) if (strategy, n) in cells else "" for n in labels]
        lines.append(f"| {strategy} | {' | '.join(columns)} |")
    lines += ["", "Every value:", ""]
    return lines + [
        f"- {t['strategy']}, {t['labels']} labels: {', '.join(f'{100 * e:.2f}' for e in t['errors']) or 'none'}"
        for t in table
    ]


def short(cell: Mapping[str, Any]) -> str:
    """Format a row of the summary as a cell of the table: `mean ± std (runs)` in %."""
    if cell["mean"] is None:
        return "failed" if cell["failed"] else "–"
    spread = "" if cell["std"] is None else f" ± {100 * cell['std']:.2f}"
    failures = f", {cell['failed']} failed" if cell["failed"] else ""
    return f"{100 * cell['mean']:.2f}{spread} ({cell['runs']}{failures})"

"""`ganzoo compare`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ganzoo.errors import BadData

if TYPE_CHECKING:
    from ganzoo.metrics import Score


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(runs: tuple[str, ...], as_json: bool) -> None:
    """Compare the scores of runs, side by side, best first where their stamps are equal.

    Scores with different stamps are shown, and not ranked: what differs is said. Make them with ganzoo evaluate.
    """
    found = {run: scores_of(run) for run in runs}
    if len(found) < 2:
        raise BadData("give two runs or more to compare")
    rows: list[Any] = [
        compared(metric, found) for metric in dict.fromkeys(m for scores in found.values() for m in scores)
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    width = max(map(len, runs))
    for row in rows:
        click.secho(f"{row['value']} ({row['metric']})", bold=True)
        for run, value in row["runs"]:
            click.echo(f"  {run:{width}}  {value:.6g}")
        for why in row["differ"]:
            click.echo(f"  not ranked: {why}")


def scores_of(run: str) -> dict[str, Score]:
    """Return the newest score of a run by each metric. Raises BadData when it has none."""
    from pathlib import Path

    from ganzoo.metrics.evaluate import kept

    scores = kept(Path(run))
    if not scores:
        raise BadData(f"{run} has no scores; make some: ganzoo evaluate {run}")
    return {score.stamp.metric: score for score in scores}


def compared(metric: str, found: dict[str, dict[str, Score]]) -> dict[str, Any]:
    """Return the runs that have a score, by the first value of a metric: best first, or with what keeps them apart."""
    from ganzoo.errors import Incompatible
    from ganzoo.metrics.score import rank
    from ganzoo.registry import installed

    scores = {run: own[metric] for run, own in found.items() if metric in own}
    value = next(iter(next(iter(scores.values())).values))
    smaller = bool(installed().get("metric", metric).component.load().smaller_is_better)
    order, differ = [*scores], []
    try:
        order = rank(scores, value, smaller)
    except Incompatible as error:
        differ = [str(error)]
    return {"metric": metric, "value": value, "runs": [(r, scores[r].values[value]) for r in order], "differ": differ}

"""`ganzoo compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganzoo.cli.paths import UserPath
from ganzoo.errors import BadData

if TYPE_CHECKING:
    from ganzoo.report.compare import Comparison


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
@click.option("--out", type=UserPath(), help="Write samples.png and curves.png into this folder.")
@click.option("--device", default="cpu", show_default=True, help="Device to compute the samples on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(runs: tuple[str, ...], out: Path | None, device: str, as_json: bool) -> None:
    """Compare the scores, curves and samples of runs.

    Scores with equal stamps are ranked, best first. Scores with different stamps are listed without a rank, followed by
    the differences. Use `ganzoo evaluate` to compute scores. Samples are made from the same latents.
    """
    from ganzoo.report.compare import compare_scores

    names = [*dict.fromkeys(runs)]
    if len(names) < 2:
        raise BadData("give at least two different runs to compare")
    rows = compare_scores(names)
    unscored = [name for name in names if all(name not in row.scores for row in rows)]
    messages = [f"{name} has no scores; compute them with: ganzoo evaluate {name}" for name in unscored]
    if unscored and not out:
        raise BadData(messages[0])
    pictures: dict[str, str] = {}
    if out:
        pictures, more = write_pictures(names, out, device)
        messages += more
    if as_json:
        report = {"scores": [to_json(row) for row in rows], "pictures": pictures, "warnings": messages}
        click.echo(json.dumps(report, indent=2))
        return
    for row in rows:
        print_comparison(row, max(map(len, names)))
    for name, path in pictures.items():
        click.echo(f"{name:8} {path}")
    for message in messages:
        click.echo(f"warning: {message}", err=True)


def write_pictures(runs: list[str], out: Path, device: str) -> tuple[dict[str, str], list[str]]:
    """Write `samples.png` and `curves.png`.

    Args:
        runs: Run folders.
        out: Folder to write to.
        device: Device to compute the samples on.

    Returns:
        The paths of the pictures by name, and warnings about them.
    """
    from ganzoo.base.device import make_backend
    from ganzoo.base.storage import write_file, writing
    from ganzoo.plots.figures import compare_curves
    from ganzoo.report.compare import samples
    from ganzoo.run.folder import Run

    sheet, messages = samples(runs, str(make_backend(device, "fp32").device))
    contents = {"samples": sheet, "curves": compare_curves({run: Run(Path(run)).metrics() for run in runs})}
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_file(out / f"{name}.png", content)
    return {name: str(out / f"{name}.png") for name in contents}, messages


def to_json(row: Comparison) -> dict[str, object]:
    """Convert a comparison to plain JSON values. Ranked runs are listed best first."""
    runs = [{"run": run, **score.to_dict()} for run, score in row.scores.items()]
    return {
        "metric": row.metric,
        "value": row.value,
        "ranked": not row.differences,
        "differences": [*row.differences],
        "runs": runs,
    }


def print_comparison(row: Comparison, width: int) -> None:
    """Print a comparison: the protocol, then the values of each run on a line.

    Args:
        row: The comparison.
        width: Length of the longest run name.
    """
    from ganzoo.cli.evaluate import describe_protocol

    first = next(iter(row.scores.values()))
    click.secho(row.metric if row.differences else f"{row.metric}: {describe_protocol(first.stamp)}", bold=True)
    names = dict.fromkeys(name for score in row.scores.values() for name in score.values if "/" not in name)
    values = {name: max(12, len(name)) for name in names}
    click.echo(f"  {'':{width}}  {'  '.join(f'{name:>{n}}' for name, n in values.items())}")
    for run, score in row.scores.items():
        cells = {name: f"{score.values[name]:.6g}" if name in score.values else "–" for name in values}
        columns = [f"{cells[name]:>{n}}" for name, n in values.items()]
        click.echo(f"  {run:{width}}  {'  '.join(columns)}")
    for difference in row.differences:
        click.echo(f"  not ranked: {difference}")
    click.echo()

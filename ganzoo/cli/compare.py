"""`ganzoo compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganzoo.errors import BadData

if TYPE_CHECKING:
    from ganzoo.metrics.compare import Comparison


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
@click.option("--out", type=click.Path(path_type=Path), help="Write samples.png and curves.png into this folder.")
@click.option("--device", default="cpu", show_default=True, help="Where to compute samples.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(runs: tuple[str, ...], out: Path | None, device: str, as_json: bool) -> None:
    """Compare runs: scores, curves, samples of the same latents.

    Scores come best first where their stamps are equal. Others are shown, and not ranked: what differs is said. Make
    them with ganzoo evaluate.
    """
    from ganzoo.metrics.compare import compare_scores

    names = [*dict.fromkeys(runs)]
    if len(names) < 2:
        raise BadData("give two runs or more to compare")
    rows = compare_scores(names)
    without = [name for name in names if all(name not in row.scores for row in rows)]
    if without and not out:
        raise BadData(f"{without[0]} has no scores; make some: ganzoo evaluate {without[0]}")
    said = [f"{name} has no scores; make some: ganzoo evaluate {name}" for name in without]
    pictures: dict[str, str] = {}
    if out:
        pictures, more = pictured(names, out, device)
        said += more
    if as_json:
        click.echo(json.dumps({"scores": [plain(row) for row in rows], "pictures": pictures, "minded": said}, indent=2))
        return
    for row in rows:
        show(row, max(map(len, names)))
    for name, path in pictures.items():
        click.echo(f"{name:8} {path}")
    for sentence in said:
        click.echo(f"warning: {sentence}", err=True)


def pictured(runs: list[str], out: Path, device: str) -> tuple[dict[str, str], list[str]]:
    """Write the pictures. Returns their paths, and what is to be minded about them."""
    from ganzoo.backend import make_backend
    from ganzoo.metrics.compare import curves, samples
    from ganzoo.storage import write_file, writing

    drawn, said = samples(runs, str(make_backend(device, "fp32").device))
    contents = {"samples": drawn, "curves": curves(runs)}
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_file(out / f"{name}.png", content)
    return {name: str(out / f"{name}.png") for name in contents}, said


def plain(row: Comparison) -> dict[str, object]:
    """Return a comparison as plain JSON values; runs that are ranked are best first."""
    runs = [{"run": run, **score.to_dict()} for run, score in row.scores.items()]
    return {"metric": row.metric, "value": row.value, "ranked": not row.differ, "differ": [*row.differ], "runs": runs}


def show(row: Comparison, width: int) -> None:
    """Print a comparison: what it is about, and a line of values for each run."""
    from ganzoo.cli.evaluate import about

    first = next(iter(row.scores.values()))
    click.secho(row.metric if row.differ else f"{row.metric}: {about(first.stamp)}", bold=True)
    values = [value for value in first.values if "/" not in value]
    click.echo(f"  {'':{width}}  {'  '.join(f'{value:>12}' for value in values)}")
    for run, score in row.scores.items():
        found = [f"{score.values[value]:12.6g}" if value in score.values else f"{'–':>12}" for value in values]
        click.echo(f"  {run:{width}}  {'  '.join(found)}")
    for why in row.differ:
        click.echo(f"  not ranked: {why}")
    click.echo()

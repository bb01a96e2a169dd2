"""`ganzoo study`."""

from __future__ import annotations

import multiprocessing
import re
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli.numbers import NumberRange
from ganzoo.cli.paths import UserPath
from ganzoo.cli.settings import TrainingCommand, collect_values, training_options
from ganzoo.errors import BadConfig, Interrupted
from ganzoo.registry.discovery import installed

if TYPE_CHECKING:
    from ganzoo.study import Cell, Outcome


@click.command("study", cls=TrainingCommand)
@click.option(
    "--ssl", required=True, metavar="NAME,…", help="Strategies, with settings of their own as in kplus1:ssl.gan=off."
)
@click.option("--labels", required=True, metavar="N,…", help="Numbers of labels; all for every label.")
@click.option(
    "--seeds", type=NumberRange(), default="5", show_default=True, help="Number of seeds, or a range of seeds, as 5-9."
)
@training_options
@click.option("--out", type=UserPath(), required=True, help="Study folder; an existing study is continued.")
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Number of processes that run cells."
)
@click.option("--ray", metavar="ADDRESS", help="Run the cells on a Ray cluster: auto, an address, or local.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON and no progress.")
def command(
    ssl: str,
    labels: str,
    seeds: range,
    preset: str | None,
    file: str | None,
    settings: tuple[str, ...],
    penalty: tuple[str, ...],
    out: Path,
    workers: int,
    ray: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Compare strategies over numbers of labels and seeds.

    Everything else is the same in all cells of the study. A seed determines the weights, the batches and which labels
    are used. Every cell has its own run folder in --out. To continue a study that was stopped, repeat the command;
    failed cells are run again. Writes table.md, table.csv, results.json, curve.png and curve.svg.
    """
    from ganzoo import study

    if ray and workers > 1:
        raise BadConfig("--workers and --ray are alternatives: a Ray cluster has its own workers; choose one")
    values = collect_values(flags, penalty, settings)
    cells = study.plan(
        _list(ssl), [_number(n) for n in _list(labels)], seeds, values, preset=preset, file=file, registry=installed()
    )
    engine = study.ray(ray) if ray else study.processes(workers) if workers > 1 else study.sequential
    signal.signal(signal.SIGTERM, _stop)  # after Ray, which has a handler of its own
    try:
        outcomes = study.study(cells, out, engine, report=(lambda *_: None) if as_json else _print_outcome)
    except (Interrupted, KeyboardInterrupt) as stop:
        raise Interrupted("stopped; finished cells are kept, and the same command continues the study") from stop
    click.echo((out / (study.RESULTS if as_json else study.TABLE)).read_text(encoding="utf-8").rstrip())
    if failed := [name for name, outcome in outcomes.items() if outcome.failed]:
        reason = outcomes[failed[0]].failed
        raise BadConfig(f"{len(failed)} of {len(outcomes)} cells failed, {failed[0]} first: {reason}")
    if not as_json:
        click.echo(f"\nwritten to {out}: table.md, table.csv, results.json, curve.png, curve.svg")


def _print_outcome(cell: Cell, outcome: Outcome, left: int) -> None:
    result = f"failed: {outcome.failed}" if outcome.failed else "no held-out label"
    if outcome.error is not None:
        result = f"{100 * outcome.error:.2f} %"
    click.echo(f"{cell.strategy} · {cell.labels} labels · seed {cell.seed} · {result} · {left} left")


def _stop(number: int, frame: FrameType | None) -> None:
    for worker in multiprocessing.active_children():
        worker.terminate()  # the worker saves its run and exits
    raise KeyboardInterrupt


def _list(text: str) -> list[str]:
    """Split at commas outside brackets, as in `a:disc.hidden=[8, 8],b`."""
    return [word.strip() for word in re.split(r",(?![^\[\]{}]*[\]}])", text) if word.strip()]


def _number(text: str) -> int | str:
    if text == "all" or text.isdecimal():
        return text if text == "all" else int(text)
    raise BadConfig(f"--labels {text}: give numbers and 'all', as in --labels 20,100,all")

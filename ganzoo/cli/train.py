"""`ganzoo train`."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli.settings import shared, values_of
from ganzoo.config import Config
from ganzoo.errors import Interrupted
from ganzoo.recipes import configure
from ganzoo.registry import installed

if TYPE_CHECKING:
    from ganzoo.assemble import Experiment


@click.command("train")
@click.option("--ssl", metavar="NAME", help="Semi-supervised strategy.")
@click.option("--labels", metavar="N|all", help="How many training images keep their label.")
@click.option("--seed", type=int, help="Seed of weights, latents and batches.")
@click.option("--split-seed", type=int, help="Seed of which labels are kept.")
@click.option("--split", metavar="RUN|FILE", help="Use held-out images and labels of another run, or of a split file.")
@click.option("--from", "start", metavar="MODEL", help="Start from the weights of a run, a model folder or org/name.")
@click.option("--best", metavar="NAME", help="Keep the best weights too, by a metric as fid; of training images.")
@click.option("--features", metavar="NAME", help="Extractor that --best judges with (see: ganzoo list extractors).")
@shared
@click.option("--out", type=click.Path(), help="Run folder; an existing one is continued. Default: a new one in runs/.")
@click.option("--dry-run", is_flag=True, help="Show configuration, sizes and estimated time; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and no progress.")
def command(
    preset: str | None,
    file: str | None,
    settings: tuple[str, ...],
    penalty: tuple[str, ...],
    out: str | None,
    dry_run: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train a GAN, or continue a run.

    Every option has a default: `ganzoo train` alone trains on digits that come with the package. The same command
    with the same --out continues a run that was stopped; `ganzoo train --out DIR` alone does too.
    """
    if str(flags.get("labels", "")).isdecimal():
        flags["labels"] = int(flags["labels"])
    values = values_of(flags, penalty, settings)
    if "start" in values:
        from ganzoo.api import starting

        values = starting(values, out)
    told = bool(values or preset or file)
    config = (None if told or not out else Config.of_run(out)) or configure(preset, file, values, installed())
    if dry_run:
        _dry_run(config, as_json)
    else:
        _train(config, out, as_json)


def _train(config: Config, out: str | None, as_json: bool) -> None:
    from ganzoo.api import train
    from ganzoo.backend import leave
    from ganzoo.cli.progress import Display

    display = Display(quiet=as_json)
    try:
        with display:
            gan = train(config, out, report=display.report, started=display.started)
    except Interrupted as stop:
        if not display.main:
            raise SystemExit(stop.exit_code) from stop
        judged = f"Report so far: ganzoo report {shlex.quote(display.folder)}"
        raise Interrupted(f"{stop}. Continue: {display.command} · {judged}") from stop
    if display.world > 1:
        leave()
    if not display.main:
        return
    folder = Path(gan.facts["run_folder"])
    pictures = sorted((folder / "samples").glob("*.png"))
    metrics, best = gan.facts["metrics"], best_of(folder)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "run": str(folder),
                    "model": str(folder / "model"),
                    "step": gan.facts["step"],
                    **metrics,
                    "best": best,
                    "picture": str(pictures[-1]) if pictures else None,
                    "report": gan.facts["report"] or None,
                    "split": gan.facts["split"],
                },
                indent=2,
            )
        )
        return
    nexts = []
    if metrics:
        click.echo(
            f"error    {100 * metrics['error']:.2f} % of {metrics['held_out']:,} held-out images (averaged weights)"
        )
        nexts.append(f"ganzoo classify {shlex.quote(str(folder))} image.png")
    elif display.unmeasured:
        click.echo("error    none: no labelled image is held out")
    if pictures:
        click.echo(f"pictures {pictures[-1]}")
        nexts.insert(0, f"ganzoo sample {shlex.quote(str(folder))}")
    if gan.facts["report"]:
        click.echo(f"report   {gan.facts['report']}")
    click.echo(f"model    {folder / 'model'}")
    if best:
        click.echo(
            f"best     {best['model']} · {best['value']} {best['score']:.4g} at step {best['step']}"
            + (f", of {best['images']}" if best["images"] else "")
        )
    click.echo(f"next     {' · '.join(nexts or ['ganzoo --help'])}")


def best_of(folder: Path) -> dict[str, Any] | None:
    """Return where the best weights of a run are, their step, and the value that says so; None where none are kept."""
    from ganzoo.run import BEST, Run

    facts = Run(folder).best()
    if facts is None:
        return None
    value, score = next(iter(facts["best"]["values"].items()))
    images = facts["best"]["stamp"]["real"]
    return {"model": str(folder / BEST), "step": facts["step"], "value": value, "score": score, "images": images}


def _dry_run(config: Config, as_json: bool) -> None:
    from ganzoo.assemble import assemble
    from ganzoo.cli.progress import headline
    from ganzoo.model import parameters
    from ganzoo.trainer import Trainer

    experiment: Experiment = assemble(config)
    trainer = Trainer(experiment)
    trainer.iterate()
    began = time.monotonic()
    for _ in range(3):
        trainer.iterate()
    seconds = (time.monotonic() - began) / 3 * config.steps
    if as_json:
        counts = {name: parameters(network) for name, network in experiment.gan.networks.items()}
        click.echo(
            json.dumps(
                {
                    "config": config.to_dict(),
                    "parameters": counts,
                    "steps": config.steps,
                    "estimated_seconds": round(seconds),
                    "split": experiment.data.split.hash,
                },
                indent=2,
            )
        )
        return
    click.echo(config.to_yaml().rstrip() + "\n")
    click.echo(headline(experiment))
    click.echo(f"steps    {config.steps:,} of {config.batch} images, about {duration(seconds)}; nothing was written")


def duration(seconds: float) -> str:
    """Return seconds as `h:mm:ss` or `m:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

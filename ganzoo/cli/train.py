"""`ganzoo train`."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli.paths import UserPath
from ganzoo.cli.settings import TrainingCommand, collect_values, training_options
from ganzoo.config.resolve import configure, extend
from ganzoo.config.schema import Config
from ganzoo.errors import Interrupted
from ganzoo.registry.discovery import installed

if TYPE_CHECKING:
    from ganzoo.model.gan import GAN
    from ganzoo.training.experiment import Experiment

SPREAD = 0.2
"""Difference of the recalls of two classes that is pointed out."""
LOWEST = 3
"""Most classes whose recall is printed."""


@click.command("train", cls=TrainingCommand)
@click.option("--ssl", metavar="NAME", help="Semi-supervised strategy.")
@click.option("--labels", metavar="N|all", help="Number of training images whose labels are used, or all.")
@click.option("--seed", type=int, help="Seed of weights, latents and batches.")
@click.option("--split-seed", type=int, help="Seed of the choice of labels.")
@click.option(
    "--split", metavar="RUN|FILE", help="Reuse the held-out images and labels of another run, or of a split file."
)
@click.option(
    "--from", "init_from", metavar="MODEL", help="Initialise the weights from a run, a model folder or org/name."
)
@click.option("--best-metric", metavar="NAME", help="Also keep the weights that are best by this metric, as fid.")
@click.option("--extractor", metavar="NAME", help="Feature extractor of --best-metric (see: ganzoo list extractors).")
@training_options
@click.option(
    "--out",
    type=UserPath(as_text=True),
    help="Run folder; an existing run is continued. Default: a new folder in runs/.",
)
@click.option(
    "--dry-run", is_flag=True, help="Print the configuration, network sizes and estimated time; write nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and no progress.")
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

    Every option has a default: `ganzoo train` without options trains on the digits that come with the package. To
    continue a run that was stopped, repeat the command with the same --out, or run `ganzoo train --out DIR`.
    """
    if str(flags.get("labels", "")).isdecimal():
        flags["labels"] = int(flags["labels"])
    values = collect_values(flags, penalty, settings)
    if "init_from" in values:
        from ganzoo.api import with_model_defaults

        values = with_model_defaults(values, out)
    begun = Config.of_run(out) if out and not (preset or file) else None
    config = extend(begun, values, installed()) if begun else configure(preset, file, values, installed())
    if dry_run:
        _dry_run(config, as_json)
    else:
        _train(config, out, as_json)


def _train(config: Config, out: str | None, as_json: bool) -> None:
    from ganzoo.api import train
    from ganzoo.base.device import leave
    from ganzoo.cli.progress import Display

    display = Display(quiet=as_json)
    try:
        with display:
            gan = train(config, out, on_start=display.on_start, on_progress=display.on_progress)
    except Interrupted as stop:
        if not display.main:
            raise SystemExit(stop.exit_code) from stop
        report = f"Report so far: ganzoo report {shlex.quote(display.folder)}"
        raise Interrupted(f"{stop}. Continue: {display.command} · {report}") from stop
    if display.world > 1:
        leave()
    if display.main:
        result = summarise(gan)
        if as_json:
            click.echo(json.dumps(result, indent=2))
        else:
            print_result(result, display.unmeasured)


def summarise(gan: GAN) -> dict[str, Any]:
    """Return what `--json` prints of a run that has ended.

    Args:
        gan: The trained GAN.

    Returns:
        Plain JSON values: paths, step, the measures of held-out images if there are any, with `recall` and `support`
        (number of images) by class, best weights if they are kept.
    """
    metadata = gan.metadata
    folder = Path(metadata["run_folder"])
    metrics: dict[str, Any] = dict(metadata["metrics"])
    for name in metrics.keys() & {"recall", "support"}:
        metrics[name] = dict(zip(gan.class_names, metrics[name], strict=True))
    pictures = sorted((folder / "samples").glob("*.png"))
    return {
        "run": str(folder),
        "model": str(folder / "model"),
        "step": metadata["step"],
        **metrics,
        "best": best_of(folder),
        "picture": str(pictures[-1]) if pictures else None,
        "report": metadata["report"] or None,
        "split": metadata["split"],
    }


def print_result(result: Mapping[str, Any], unmeasured: bool) -> None:
    """Print the result of a run and the commands to continue with.

    Args:
        result: What `summarise` returned.
        unmeasured: Whether the run trains a classifier and has no held-out label to measure it with.
    """
    folder, best, commands = shlex.quote(result["run"]), result["best"], []
    if "error" in result:
        error, count = 100 * result["error"], result["held_out"]
        click.echo(f"error    {error:.2f} % of {count:,} held-out images (averaged weights)")
        if "support" in result and differ_by_class(result):
            click.echo(f"balanced {describe_balance(result)}")
        commands.append(f"ganzoo classify {folder} image.png")
    elif unmeasured:
        click.echo("error    not measured: no labelled image is held out")
    if result["picture"]:
        click.echo(f"pictures {result['picture']}")
        commands.insert(0, f"ganzoo sample {folder}")
    if result["report"]:
        click.echo(f"report   {result['report']}")
    click.echo(f"model    {result['model']}")
    if best:
        images = f", compared with {best['images']}" if best["images"] else ""
        click.echo(f"best     {best['model']} · {best['value']} {best['score']:.4g} at step {best['step']}{images}")
    click.echo(f"next     {' · '.join(commands or ['ganzoo --help'])}")


def differ_by_class(result: Mapping[str, Any]) -> bool:
    """Return whether the error alone misleads: held-out classes are uneven, or their recalls differ much.

    Args:
        result: What `summarise` returned, with `recall` and `support`.
    """
    from ganzoo.metrics.classification import uneven

    recalls = [recall for recall in result["recall"].values() if recall is not None]
    return uneven([*result["support"].values()]) or max(recalls) - min(recalls) > SPREAD


def describe_balance(result: Mapping[str, Any]) -> str:
    """Describe how evenly classes are classified: balanced error, macro F1 and the lowest recalls below the accuracy.

    Args:
        result: What `summarise` returned, with `recall` and `support`.
    """
    recalls = {name: recall for name, recall in result["recall"].items() if recall is not None}
    below = [name for name in recalls if recalls[name] < 1 - result["error"]]
    lowest = sorted(below, key=lambda name: recalls[name])[:LOWEST]
    listed = ", ".join(f"{name} {100 * recalls[name]:.0f} % of {result['support'][name]:,}" for name in lowest)
    missing = len(result["recall"]) - len(recalls)
    return " · ".join(
        [
            f"{100 * result['balanced_error']:.2f} % error",
            f"macro F1 {100 * result['macro_f1']:.2f} %",
            *([f"lowest recall: {listed}"] if lowest else []),
            *([f"{missing:,} class{'es have' if missing > 1 else ' has'} no held-out image"] if missing else []),
        ]
    )


def best_of(folder: Path) -> dict[str, Any] | None:
    """Describe the best weights of a run.

    Args:
        folder: The run folder.

    Returns:
        Model folder, step, name and value of the score, and the images it compares with; None if the run keeps no best
        weights.
    """
    from ganzoo.run.folder import BEST, Run

    metadata = Run(folder).best()
    if metadata is None:
        return None
    value, score = next(iter(metadata["best"]["values"].items()))
    images = metadata["best"]["stamp"]["real"]
    return {"model": str(folder / BEST), "step": metadata["step"], "value": value, "score": score, "images": images}


def _dry_run(config: Config, as_json: bool) -> None:
    from ganzoo.cli.progress import duration, headline
    from ganzoo.model.build import count_parameters
    from ganzoo.training.assemble import assemble
    from ganzoo.training.trainer import Trainer

    experiment: Experiment = assemble(config)
    trainer = Trainer(experiment)
    trainer.train_step()
    began = time.monotonic()
    for _ in range(3):
        trainer.train_step()
    seconds = (time.monotonic() - began) / 3 * config.steps
    if as_json:
        result = {
            "config": config.to_dict(),
            "parameters": {name: count_parameters(network) for name, network in experiment.gan.networks.items()},
            "steps": config.steps,
            "estimated_seconds": round(seconds),
            "split": experiment.data.split.hash,
        }
        click.echo(json.dumps(result, indent=2))
        return
    click.echo(config.to_yaml().rstrip() + "\n")
    click.echo(headline(experiment))
    time_needed = f"about {duration(seconds)}; nothing was written"
    click.echo(f"steps    {config.steps:,} of {config.batch_size} images, {time_needed}")

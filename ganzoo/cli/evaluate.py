"""`ganzoo evaluate`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli.model import model_argument
from ganzoo.cli.numbers import SEED
from ganzoo.cli.settings import TrainingCommand
from ganzoo.errors import BadOption

if TYPE_CHECKING:
    from ganzoo.metrics import Score, Stamp

EXTRACTOR = "extractor"


@click.command("evaluate", cls=TrainingCommand)
@model_argument
@click.option("--data", metavar="DATA", help="Images to compare with; default: the data of the run.")
@click.option(
    "--metrics",
    metavar="NAME,…",
    help="Metrics (see: ganzoo list metrics); default: the default ones that apply to the model.",
)
@click.option(
    "--extractor",
    metavar="NAME",
    help="Feature extractor (see: ganzoo list extractors); default: one trained on the data.",
)
@click.option(
    "-n", "--number", type=click.IntRange(min=2), default=10_000, show_default=True, help="Number of generated images."
)
@click.option(
    "--real",
    type=click.Choice(["train", "test"]),
    default="train",
    show_default=True,
    help="Real images to compare with.",
)
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    help="Seed of the latents and of the choice of real images.",
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="Set an option of a metric or of the extractor, as in prdc.k=3 or extractor.steps=500.",
)
@click.option("--skip-corrupt", is_flag=True, help="Leave out images that cannot be read, and list them.")
@click.option("--device", default="auto", show_default=True, help="Device to compute on.")
@click.option("--json", "as_json", is_flag=True, help="Print the scores with their stamps as JSON.")
def command(
    model: str,
    data: str | None,
    metrics: str | None,
    extractor: str | None,
    number: int,
    real: str,
    seed: int,
    settings: tuple[str, ...],
    skip_corrupt: bool,
    device: str,
    as_json: bool,
) -> None:
    """Evaluate a model with metrics.

    Metrics score the images of the generator and the accuracy of the classifier. Every score carries a stamp that
    records the protocol: the feature extractor, the data, the numbers of images and the weights. Scores are comparable
    if their stamps are equal. The scores of a run are saved in its scores.json.
    """
    from ganzoo.base.device import first_process, leave
    from ganzoo.config.resolve import parse_setting
    from ganzoo.config.schema import ComponentConfig, DataConfig
    from ganzoo.metrics.evaluate import EvaluationSettings, evaluate

    options: dict[str, dict[str, Any]] = {}
    for setting in settings:
        key, value = parse_setting(setting)
        owner, dot, option = key.partition(".")
        if not dot:
            raise BadOption(f"--set {setting}: write METRIC.OPTION=VALUE or extractor.OPTION=VALUE")
        options.setdefault(owner, {})[option] = value
    extractor_options = options.pop(EXTRACTOR, {})
    if extractor_options and not extractor:
        raise BadOption("--set extractor.… needs --extractor, which names the extractor that has the option")
    names = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    if unknown := sorted(set(options) - set(names or [])):
        raise BadOption(f"--set {unknown[0]}.… needs --metrics {unknown[0]}")
    scores = evaluate(
        model,
        DataConfig(source=data) if data else None,
        None if names is None else {name: options.get(name, {}) for name in names},
        ComponentConfig(**{"name": extractor, **extractor_options}) if extractor else None,
        EvaluationSettings(number, real, seed, device, skip_corrupt),  # type: ignore[arg-type]
    )
    prints = first_process()
    leave()
    if prints:
        print_scores(scores, as_json)


def print_scores(scores: Mapping[str, Score], as_json: bool) -> None:
    """Print scores, their protocols and their warnings.

    Args:
        scores: Scores by metric.
        as_json: Print JSON.
    """
    if as_json:
        click.echo(json.dumps({name: score.to_dict() for name, score in scores.items()}, indent=2))
        return
    width = max((len(name) for score in scores.values() for name in score.values), default=0)
    for score in scores.values():
        for name, value in score.values.items():
            click.echo(f"{name:{width}}  {value:.6g}")
    for protocol in dict.fromkeys(describe_protocol(score.stamp) for score in scores.values()):
        click.echo(f"\n{protocol}")
    for warning in dict.fromkeys(w for score in scores.values() for w in score.warnings):
        click.echo(f"warning: {warning}", err=True)


def describe_protocol(stamp: Stamp) -> str:
    """Describe the protocol of a score: feature extractor, generated images, real images."""
    features = f"features {stamp.extractor} {stamp.extractor_sha256[:8]}" if stamp.extractor else ""
    fake = f"{stamp.fake_count:,} generated images" if stamp.fake_count else ""
    real = f"{stamp.real_count:,} of {stamp.real}" if stamp.real else ""
    return ", ".join(filter(None, [features, fake, real]))

"""`ganzoo evaluate`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli.model import model_argument
from ganzoo.errors import BadOption

if TYPE_CHECKING:
    from ganzoo.metrics import Score, Stamp

EXTRACTOR = "features"


@click.command("evaluate")
@model_argument
@click.option("--data", metavar="DATA", help="Images to compare with; default: those of the run.")
@click.option(
    "--metrics", metavar="NAME,…", help="Which (see: ganzoo list metrics); default: those that fit the model."
)
@click.option("--features", metavar="NAME", help="Extractor (see: ganzoo list extractors); default: one trained here.")
@click.option("-n", "--number", type=click.IntRange(min=2), default=10_000, show_default=True, help="Generated images.")
@click.option("--real", type=click.Choice(["train", "test"]), default="train", show_default=True, help="Compared with.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of latents and real images.")
@click.option(
    "--set", "settings", metavar="KEY=VALUE", multiple=True, help="An option, as prdc.k=3 or features.steps=500."
)
@click.option("--skip-corrupt", is_flag=True, help="Leave out images that cannot be read, and say which.")
@click.option("--device", default="auto", show_default=True, help="Where to compute.")
@click.option("--json", "as_json", is_flag=True, help="Print scores with their stamps as JSON.")
def command(
    model: str,
    data: str | None,
    metrics: str | None,
    features: str | None,
    number: int,
    real: str,
    seed: int,
    settings: tuple[str, ...],
    skip_corrupt: bool,
    device: str,
    as_json: bool,
) -> None:
    """Score a model with metrics: its images, and its classifier.

    Every score carries a stamp: which features, how many images of which part, which weights. Scores are comparable
    when their stamps are equal. Those of a run are kept in its scores.json.
    """
    from ganzoo.backend import first_process, leave
    from ganzoo.config import DataConfig, Part
    from ganzoo.metrics.evaluate import evaluate
    from ganzoo.recipes import parse_setting

    options: dict[str, dict[str, Any]] = {}
    for setting in settings:
        key, value = parse_setting(setting)
        owner, dot, option = key.partition(".")
        if not dot:
            raise BadOption(f"--set {setting}: write METRIC.OPTION=VALUE, or features.OPTION=VALUE")
        options.setdefault(owner, {})[option] = value
    extractor_options = options.pop(EXTRACTOR, {})
    if extractor_options and not features:
        raise BadOption("--set features.… wants --features, which says whose option it is")
    wanted = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    if unknown := sorted(set(options) - set(wanted or [])):
        raise BadOption(f"--set {unknown[0]}.…: name that metric with --metrics too")
    scores = evaluate(
        model,
        DataConfig(source=data) if data else None,
        None if wanted is None else {name: options.get(name, {}) for name in wanted},
        Part(**{"name": features, **extractor_options}) if features else None,
        number,
        real,
        seed,
        device,
        skip_corrupt,
    )
    speaks = first_process()
    leave()
    if speaks:
        show(scores, as_json)


def show(scores: Mapping[str, Score], as_json: bool) -> None:
    """Print scores, what they are about, and what is to be minded."""
    if as_json:
        click.echo(json.dumps({name: score.to_dict() for name, score in scores.items()}, indent=2))
        return
    width = max((len(value) for score in scores.values() for value in score.values), default=0)
    for score in scores.values():
        for value, found in score.values.items():
            click.echo(f"{value:{width}}  {found:.6g}")
    for stamp in dict.fromkeys(about(score.stamp) for score in scores.values()):
        click.echo(f"\n{stamp}")
    for warning in dict.fromkeys(w for score in scores.values() for w in score.warnings):
        click.echo(f"warning: {warning}", err=True)


def about(stamp: Stamp) -> str:
    """Return in words what a score compares."""
    features = f"features {stamp.extractor} {stamp.extractor_sha256[:8]}" if stamp.extractor else ""
    fake = f"{stamp.fake_count:,} generated images" if stamp.fake_count else ""
    real = f"{stamp.real_count:,} of {stamp.real}" if stamp.real else ""
    return ", ".join(filter(None, [features, fake, real]))

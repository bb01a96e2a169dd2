"""`ganzoo classify`."""

from __future__ import annotations

import json

import click

from ganzoo.cli.model import images_argument, load_model, model_argument


@click.command("classify")
@model_argument
@images_argument
@click.option("--device", default="cpu", show_default=True, help="Device to compute on.")
@click.option("--json", "as_json", is_flag=True, help="Print the probability of every class as JSON.")
def command(model: str, images: tuple[str, ...], device: str, as_json: bool) -> None:
    """Classify images.

    Prints the most probable class of each image and its probability.
    """
    gan = load_model(model, device)
    probabilities = gan.classify(images)
    if as_json:
        rows = [
            {"image": i, "probabilities": dict(zip(gan.class_names, p.tolist(), strict=True))}
            for i, p in zip(images, probabilities, strict=True)
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for image, p in zip(images, probabilities, strict=True):
        click.echo(f"{image}  {gan.class_names[int(p.argmax())]}  {100 * p.max():.1f} %")

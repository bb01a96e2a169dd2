"""`ganzoo score`."""

from __future__ import annotations

import json

import click

from ganzoo.cli.model import images_argument, load_model, model_argument


@click.command("score")
@model_argument
@images_argument
@click.option("--device", default="cpu", show_default=True, help="Device to compute on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(model: str, images: tuple[str, ...], device: str, as_json: bool) -> None:
    """Print the discriminator's score of images.

    A larger score means that an image looks more like the training images.
    """
    scores = load_model(model, device).score(images).tolist()
    if as_json:
        click.echo(json.dumps([{"image": i, "score": s} for i, s in zip(images, scores, strict=True)], indent=2))
        return
    for image, score in zip(images, scores, strict=True):
        click.echo(f"{image}  {score:+.3f}")

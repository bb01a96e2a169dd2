"""`ganzoo card`."""

from __future__ import annotations

import click

from ganzoo.cli.model import model_argument


@click.command("card")
@model_argument
def command(model: str) -> None:
    """Show the card of a model, as it is or would be published: Markdown.

    A run's card is the file model/README.md in its folder. Edit it before `ganzoo publish` if you like.
    """
    from ganzoo.errors import shown
    from ganzoo.model import GAN

    click.echo(shown(GAN.inspect(model).card, keep="\n\t").rstrip() or "this model has no card")

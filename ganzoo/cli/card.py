"""`ganzoo card`."""

from __future__ import annotations

import click

from ganzoo.cli.model import model_argument


@click.command("card")
@model_argument
def command(model: str) -> None:
    """Show the card of a model.

    The card is the Markdown page that is published with the model. For a run it is the file model/README.md in the run
    folder; you can edit it before `ganzoo publish`.
    """
    from ganzoo.errors import printable
    from ganzoo.model.gan import GAN

    click.echo(printable(GAN.inspect(model).card, keep="\n\t").rstrip() or "This model has no card.")

"""The command line. A new command is a file with a function `command`, and a line in `COMMANDS`.

Every command is imported only when it runs.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from ganzoo.errors import GanzooError, Interrupted, Notice, nearest, printable

COMMANDS = {
    "train": "Train a GAN, or continue a run.",
    "prepare": "Decode a data set into a folder, once for all runs.",
    "cache": "List or clear the images that earlier runs decoded.",
    "study": "Compare strategies over numbers of labels and seeds.",
    "sample": "Write generated images.",
    "project": "Find the latents whose images are nearest to given images.",
    "directions": "Find the latent directions along which images change most.",
    "demo": "Explore a model on an interactive web page.",
    "classify": "Classify images.",
    "score": "Print the discriminator's score of images.",
    "evaluate": "Evaluate a model with metrics.",
    "compare": "Compare the scores, curves and samples of runs.",
    "report": "Write the report of a run.",
    "reconstruct": "Restore damaged images.",
    "card": "Show the card of a model.",
    "publish": "Publish a model on the Hugging Face Hub.",
    "pull": "Download a model from the Hugging Face Hub.",
    "list": "List components: generators, losses, strategies, …",
    "info": "Explain a component and its options.",
    "plugins": "List the installed plugins and their errors.",
    "doctor": "Check the installation and this machine.",
}


class Failure(click.ClickException):
    """Report a GanzooError as one line on standard error, with the exit code of the error.

    Args:
        error: The error.
    """

    def __init__(self, error: GanzooError) -> None:
        super().__init__(printable(str(error), keep="\n\t"))
        vars(self)["exit_code"] = error.exit_code

    def show(self, file: Any = None) -> None:
        """Print the message to standard error."""
        click.echo(f"error: {self.message}", err=True)


class LazyGroup(click.Group):
    """A group that imports a command only when it runs, which keeps `ganzoo --help` and `ganzoo list` fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order in which they are typically used."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import and return a command.

        Raises:
            click.UsageError: There is no such command.
        """
        if name not in COMMANDS:
            raise click.UsageError(f"no command is called '{name}'{nearest(name, COMMANDS)}", ctx)
        command: click.Command = importlib.import_module(f"ganzoo.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command and report a GanzooError as one line.

        With `GANZOO_TRACEBACK=1` in the environment, the error is raised with its traceback instead.
        """
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a terminal or file that cannot show every character
                stream.reconfigure(errors="replace")
        try:
            with warnings.catch_warnings():
                warnings.showwarning = partial(_show_warning, warnings.showwarning)
                return super().invoke(ctx)
        except GanzooError as error:
            if os.environ.get("GANZOO_TRACEBACK"):
                raise
            raise Failure(error) from error
        except KeyboardInterrupt as error:
            message = "interrupted; everything saved so far is kept, and the same command continues from there"
            raise Failure(Interrupted(message)) from error


def _show_warning(
    show_other: Callable[..., None], message: Warning | str, category: type[Warning], *location: Any
) -> None:
    """Print a Notice as one line, and pass the warnings of other libraries on to `show_other`."""
    if issubclass(category, Notice):
        click.echo(f"warning: {printable(str(message))}", err=True)
    else:
        show_other(message, category, *location)


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"ganzoo {version('torch-ganzoo')}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def main() -> None:
    """Train and use GANs and semi-supervised classifiers that are assembled from plugins.

    `ganzoo train` without options trains a small GAN in a few minutes. Set GANZOO_TRACEBACK=1 to see the traceback of
    an error.
    """

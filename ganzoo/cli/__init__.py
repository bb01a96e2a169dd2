"""The command line: a lazy group, one short file a command."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from ganzoo.errors import GanzooError, Interrupted, Notice, nearest, shown

COMMANDS = {
    "train": "Train a GAN, or continue a run.",
    "study": "Compare strategies over numbers of labels and seeds.",
    "sample": "Write generated images.",
    "project": "Search for the latents whose images are nearest to given ones.",
    "directions": "Find directions of the latent space along which images change most.",
    "demo": "Play with a model on a page.",
    "classify": "Say which class images are of.",
    "score": "Say how real images look to the discriminator.",
    "evaluate": "Score a model with metrics.",
    "compare": "Compare runs: scores, curves, samples.",
    "report": "Write the report of a run.",
    "reconstruct": "Restore damaged images.",
    "card": "Show the card of a model.",
    "publish": "Publish the model of a run on the Hugging Face Hub.",
    "pull": "Fetch a model of the Hugging Face Hub into a folder.",
    "list": "List components: generators, losses, strategies, …",
    "info": "Explain a component and its options.",
    "plugins": "List plugins, and what is wrong with them.",
    "doctor": "Check this machine and installation.",
}


class Failure(click.ClickException):
    """A GanzooError as the command line shows it."""

    def __init__(self, error: GanzooError) -> None:
        super().__init__(shown(str(error), keep="\n\t"))
        vars(self)["exit_code"] = error.exit_code

    def show(self, file: Any = None) -> None:
        """Print one sentence to standard error."""
        click.echo(f"error: {self.message}", err=True)


class LazyGroup(click.Group):
    """Imports a command when it is run, so that `ganzoo --help` and `ganzoo list` are quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of use."""
        return [*COMMANDS]  # `list` is a command here

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in COMMANDS:
            raise click.UsageError(f"no command is called '{name}'{nearest(name, COMMANDS)}", ctx)
        command: click.Command = importlib.import_module(f"ganzoo.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a GanzooError becomes one sentence and its exit code."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = partial(_say, warnings.showwarning)
                return super().invoke(ctx)
        except GanzooError as error:
            if os.environ.get("GANZOO_TRACEBACK"):
                raise
            raise Failure(error) from error
        except KeyboardInterrupt as error:
            said = "interrupted; what was saved before is kept, and the same command continues it"
            raise Failure(Interrupted(said)) from error


def _say(others: Callable[..., None], message: Warning | str, category: type[Warning], *where: Any) -> None:
    """Print a notice as the sentence that it is, and leave other libraries' warnings to Python."""
    if issubclass(category, Notice):
        click.echo(f"warning: {shown(str(message))}", err=True)
    else:
        others(message, category, *where)


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        import ganzoo

        click.echo(f"ganzoo {ganzoo.__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def main() -> None:
    """Train and use GANs and semi-supervised classifiers made of plugins.

    `ganzoo train` alone trains a small one in minutes. GANZOO_TRACEBACK=1 shows where an error comes from.
    """

"""Options shared by the commands that train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ganzoo.cli.paths import UserPath
from ganzoo.config.resolve import parse_setting

F = TypeVar("F", bound=Callable[..., Any])

KEYS = {
    "gen": "generator",
    "disc": "discriminator",
    "loss": "loss",
    "ssl": "ssl",
    "augment": "augment",
    "data": "data.source",
    "labels": "data.labels",
    "size": "data.size",
    "split_seed": "data.split_seed",
    "split": "data.split",
    "skip_corrupt": "data.skip_corrupt",
    "steps": "steps",
    "batch_size": "batch_size",
    "seed": "seed",
    "init_from": "init_from",
    "best_metric": "best_metric",
    "extractor": "extractor",
    "precision": "precision",
    "device": "device",
}
"""Configuration keys that the flags set."""

PRECISIONS = ["auto", "fp32", "bf16", "fp16"]
SHARED = (
    click.option("--gen", metavar="NAME", help="Generator (see: ganzoo list generators)."),
    click.option("--disc", metavar="NAME", help="Discriminator."),
    click.option("--loss", metavar="NAME", help="Adversarial loss."),
    click.option("--penalty", metavar="NAME", multiple=True, help="Additional term, as r1 or vat; may be repeated."),
    click.option("--augment", metavar="NAME", help="Augmentation of the images that the discriminator sees."),
    click.option("--data", metavar="DATA", help="Folder of images, zip file, hf:<name>, or the name of a data set."),
    click.option("--size", metavar="N|HxW", help="Image size in pixels, as 64 or 64x96; default: as the images."),
    click.option("--steps", type=int, help="Number of training steps."),
    click.option("--batch-size", type=int, help="Images of each kind (real, generated, …) in a step."),
    click.option("--precision", type=click.Choice(PRECISIONS), help="Precision of the networks' arithmetic."),
    click.option("--device", help="Device to train on: auto, cpu, cuda, cuda:1 or mps."),
    click.option("--skip-corrupt", is_flag=True, default=None, help="Skip images that cannot be read, and list them."),
    click.option("--preset", metavar="NAME", help="Start from a recipe (see: ganzoo list presets)."),
    click.option("--config", "file", type=UserPath(as_text=True), help="JSON or YAML file of configuration values."),
    click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Set a value, as --set gen.width=64."),
)  # fmt: skip


FORMER_FLAGS = {"--batch": "--batch-size", "--best": "--best-metric", "--features": "--extractor"}
"""Present names of flags that earlier versions called otherwise."""


class TrainingCommand(click.Command):
    """A command whose error for a flag of an earlier version names the present flag."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments.

        Raises:
            click.UsageError: A flag of an earlier version is given.
        """
        for word in args:
            flag = word.partition("=")[0]
            if flag in FORMER_FLAGS and not any(flag in parameter.opts for parameter in self.params):
                raise click.UsageError(f"{flag} is now called {FORMER_FLAGS[flag]}", ctx)
        return super().parse_args(ctx, args)


def training_options(command: F) -> F:
    """Decorate a command with the options that configure training."""
    for option in reversed(SHARED):
        command = option(command)
    return command


def collect_values(flags: dict[str, Any], penalty: tuple[str, ...], settings: tuple[str, ...]) -> dict[str, Any]:
    """Collect the configuration values of a command line.

    Args:
        flags: Values of the flags in `KEYS`; None where a flag is not given.
        penalty: Names given by `--penalty`.
        settings: `KEY=VALUE` pairs given by `--set`.

    Returns:
        Values by dotted key. `--set` has precedence.

    Raises:
        BadConfig: A setting is not of the form `KEY=VALUE`.
    """
    values: dict[str, Any] = {KEYS[flag]: value for flag, value in flags.items() if value is not None}
    if penalty:
        values["penalties"] = {name: {} for name in penalty}
    return values | dict(map(parse_setting, settings))

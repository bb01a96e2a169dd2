"""What the commands that train share: options that say what to train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ganzoo.recipes import parse_setting

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
    "batch": "batch",
    "seed": "seed",
    "start": "start",
    "best": "best",
    "features": "features",
    "precision": "precision",
    "device": "device",
}
"""Flags, and the configuration keys that they set."""

PRECISIONS = ["auto", "fp32", "bf16", "fp16"]
SHARED = (
    click.option("--gen", metavar="NAME", help="Generator (see: ganzoo list generators)."),
    click.option("--disc", metavar="NAME", help="Discriminator."),
    click.option("--loss", metavar="NAME", help="Adversarial loss."),
    click.option("--penalty", metavar="NAME", multiple=True, help="Further term, as r1 or vat; may be repeated."),
    click.option("--augment", metavar="NAME", help="Augmentation of what the discriminator sees."),
    click.option("--data", metavar="DATA", help="Folder of images, zip file, hf:<name> or a data set's name."),
    click.option("--size", type=int, help="Image size in pixels; default: what fits the images."),
    click.option("--steps", type=int, help="Iterations."),
    click.option("--batch", type=int, help="Images of each sort in an iteration."),
    click.option("--precision", type=click.Choice(PRECISIONS), help="Arithmetic of the networks."),
    click.option("--device", help="auto, cpu, cuda, cuda:1 or mps."),
    click.option("--skip-corrupt", is_flag=True, default=None, help="Leave out unreadable images, and list them."),
    click.option("--preset", metavar="NAME", help="Start from a recipe (see: ganzoo list presets)."),
    click.option("--config", "file", type=click.Path(), help="JSON or YAML file of configuration values."),
    click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Any value, as in --set gen.width=64."),
)  # fmt: skip


def shared(command: F) -> F:
    """Give a command the options that say what to train."""
    for option in reversed(SHARED):
        command = option(command)
    return command


def values_of(flags: dict[str, Any], penalty: tuple[str, ...], settings: tuple[str, ...]) -> dict[str, Any]:
    """Return what flags, `--penalty` and `--set` say, by dotted keys."""
    values: dict[str, Any] = {KEYS[flag]: value for flag, value in flags.items() if value is not None}
    if penalty:
        values["penalties"] = {name: {} for name in penalty}
    return values | dict(map(parse_setting, settings))

"""Arguments and helpers shared by the commands that use a trained model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ganzoo.model.gan import GAN

model_argument: Callable[[Any], Any] = click.argument("model", metavar="MODEL")
"""A run folder, a model folder, or `org/name` on the Hub."""
images_argument: Callable[[Any], Any] = click.argument("images", nargs=-1, required=True, metavar="IMAGE…")
"""Paths of one or more image files."""


def load_model(model: str, device: str) -> GAN:
    """Load a model onto a device.

    Args:
        model: Run folder, model folder, or `org/name` on the Hub.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".

    Returns:
        The model.
    """
    from ganzoo.base.device import make_backend
    from ganzoo.model.gan import GAN

    return GAN.from_pretrained(model, device=make_backend(device, "fp32").device)


def class_number(gan: GAN, name: str) -> int:
    """Return the number of a class.

    Args:
        gan: The model.
        name: Name or number of the class.

    Returns:
        A number in 0 … classes - 1.

    Raises:
        Incompatible: The model has no such class.
    """
    from ganzoo.model.classes import class_number as number_of

    if name not in gan.class_names and name.isdecimal() and int(name) < gan.shape.classes:
        return int(name)
    return number_of(name, gan.class_names)

"""What the commands that use a trained model share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ganzoo.errors import Incompatible, nearest

if TYPE_CHECKING:
    from ganzoo.model import GAN

# A run folder, a model folder, or org/name of the Hub.
model_argument: Callable[[Any], Any] = click.argument("model", metavar="MODEL")
images_argument: Callable[[Any], Any] = click.argument("images", nargs=-1, required=True, metavar="IMAGE…")


def load_model(model: str, device: str) -> GAN:
    """Load a run folder, a model folder, or a model of the Hub onto a device."""
    from ganzoo.backend import make_backend
    from ganzoo.model import GAN

    return GAN.from_pretrained(model, device=make_backend(device, "fp32").device)


def class_number(gan: GAN, wanted: str) -> int:
    """Return the number of a class given by name or number. Raises Incompatible."""
    names = list(gan.class_names)
    if wanted in names:
        return names.index(wanted)
    if wanted.isdigit() and int(wanted) < gan.shape.classes:
        return int(wanted)
    raise Incompatible(
        f"no class is called '{wanted}'{nearest(wanted, names)} The classes: {', '.join(names) or 'none'}"
    )

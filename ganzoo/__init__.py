"""Generators, discriminators, losses and semi-supervised strategies as plugins, and one trainer for any of them.

Importing this package imports no torch; that happens when a component is created.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ganzoo.registry.component import Component, ImageShape
from ganzoo.registry.discovery import create, installed
from ganzoo.registry.hookspecs import hookimpl

if TYPE_CHECKING:
    from ganzoo.api import train
    from ganzoo.config.resolve import configure
    from ganzoo.config.schema import Config
    from ganzoo.model.gan import GAN
    from ganzoo.registry.discovery import Registered

_LAZY = {
    "Config": "ganzoo.config.schema",
    "GAN": "ganzoo.model.gan",
    "configure": "ganzoo.config.resolve",
    "train": "ganzoo.api",
}

__all__ = ["GAN", "Component", "Config", "ImageShape", "configure", "create", "hookimpl", "list_components", "train"]


def list_components(kind: str | None = None) -> list[Registered]:
    """Return the installed components of a kind, or all of them.

    Args:
        kind: As `ganzoo list` has it: "generators", "ssl", …; the singular works too.

    Returns:
        Components with `.kind`, `.qualified` (`plugin/name`), `.plugin` and `.component` (name, summary, paper, …).

    Raises:
        UnknownComponent: There is no such kind.
    """
    return installed().list(kind)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("torch-ganzoo")
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'ganzoo' has no attribute '{name}'")

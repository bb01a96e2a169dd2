"""Generators, discriminators, losses and semi-supervised strategies as plugins, and one trainer for any of them.

Importing this package imports no torch; that happens when a part is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ganzoo.component import Component, ImageShape

if TYPE_CHECKING:
    from ganzoo.api import train
    from ganzoo.config import Config
    from ganzoo.hookspecs import hookimpl
    from ganzoo.model import GAN
    from ganzoo.recipes import configure
    from ganzoo.registry import Registered, create

_LAZY = {
    "Config": "ganzoo.config",
    "GAN": "ganzoo.model",
    "configure": "ganzoo.recipes",
    "create": "ganzoo.registry",
    "hookimpl": "ganzoo.hookspecs",
    "train": "ganzoo.api",
}

__all__ = ["GAN", "Component", "Config", "ImageShape", "configure", "create", "hookimpl", "list_components", "train"]


def list_components(kind: str | None = None) -> list[Registered]:
    """Return the installed components of a kind (`"ssl"`, `"generators"`, …), or all of them.

    Each has `.kind`, `.qualified` (`plugin/name`), `.plugin` and `.component` (name, summary, paper, …).
    Raises UnknownComponent for a kind that does not exist.
    """
    from ganzoo.registry import installed

    return installed().list(kind)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("torch-ganzoo")
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'ganzoo' has no attribute '{name}'")

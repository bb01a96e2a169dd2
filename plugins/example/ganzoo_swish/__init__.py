"""An example plugin: everything that ganzoo needs to know."""

from ganzoo import Component, hookimpl


@hookimpl
def ganzoo_generators() -> list[Component]:
    """One generator."""
    return [Component("swishgan", "ganzoo_swish.net:Generator", "two layers and swish", "arXiv:1710.05941")]

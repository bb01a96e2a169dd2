"""An example plugin: the description of its only component."""

from ganzoo import Component, hookimpl


@hookimpl
def ganzoo_generators() -> list[Component]:
    """Describe the generator."""
    return [Component("swishgan", "ganzoo_swish.net:Generator", "two linear layers with swish", "arXiv:1710.05941")]

"""BadGAN as a plugin of ganzoo."""

from ganzoo import Component, hookimpl


@hookimpl
def ganzoo_ssl() -> list[Component]:
    """The strategy."""
    return [
        Component(
            "badgan",
            "ganzoo_badgan.strategy:BadGAN",
            "K+1 whose generator complements the data: its entropy is raised, that of the classes lowered",
            "Dai et al. 2017, arXiv:1705.09783",
            "terms and weights compared with the authors' code; without the PixelCNN's low-density term",
        )
    ]

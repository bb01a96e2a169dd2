"""Triple-GAN as a plugin of ganzoo."""

from ganzoo import Component, hookimpl


@hookimpl
def ganzoo_ssl() -> list[Component]:
    """The strategy."""
    return [
        Component(
            "triplegan",
            "ganzoo_triplegan.strategy:TripleGAN",
            "generator and classifier both make image-label pairs, which a discriminator tells from true ones",
            "Li et al. 2017, arXiv:1703.02291",
            "losses and weights compared with the authors' code; the label enters by projection, not by concatenation",
        )
    ]

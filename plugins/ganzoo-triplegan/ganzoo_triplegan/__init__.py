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


@hookimpl
def ganzoo_presets() -> list[Component]:
    """The paper's recipe."""
    return [
        Component(
            "triplegan-mnist",
            "ganzoo_triplegan.presets:MNIST",
            "100 labels, fully connected; the paper has 0.91 ± 0.58 % test error with convolutions; here not yet run",
            "Li et al. 2017, arXiv:1703.02291, table 1",
            "weights and rates of the authors' code; fully connected networks, and no pre-trained classifier",
        )
    ]

"""Triple-GAN as a plugin of ganzoo."""

from ganzoo import Component, hookimpl


@hookimpl
def ganzoo_ssl() -> list[Component]:
    """Describe the strategy."""
    return [
        Component(
            "triplegan",
            "ganzoo_triplegan.strategy:TripleGAN",
            "generator and classifier make image-label pairs, and a discriminator detects them",
            "Li et al. 2017, arXiv:1703.02291",
            "losses and weights compared with the authors' code; labels enter by projection instead of concatenation",
        )
    ]


@hookimpl
def ganzoo_presets() -> list[Component]:
    """Describe the paper's recipe."""
    return [
        Component(
            "triplegan-mnist",
            "ganzoo_triplegan.presets:MNIST",
            "100 labels, fully connected; the paper has 0.91 ± 0.58 % test error with convolutions; here not yet run",
            "Li et al. 2017, arXiv:1703.02291, table 1",
            "weights and rates of the authors' code; fully connected networks, and no pre-trained classifier",
        )
    ]

"""BadGAN as a plugin of ganzoo."""

from ganzoo import Component, hookimpl


@hookimpl
def ganzoo_ssl() -> list[Component]:
    """Describe the strategy."""
    return [
        Component(
            "badgan",
            "ganzoo_badgan.strategy:BadGAN",
            "K+1 with a complement generator, which generates images in low-density regions",
            "Dai et al. 2017, arXiv:1705.09783",
            "terms and weights compared with the authors' code; without the low-density term, which needs a PixelCNN",
        )
    ]


@hookimpl
def ganzoo_presets() -> list[Component]:
    """Describe the paper's recipe."""
    return [
        Component(
            "badgan-cifar10",
            "ganzoo_badgan.presets:CIFAR10",
            "4000 labels; the paper has 14.41 ± 0.30 % test error; here not yet run",
            "Dai et al. 2017, arXiv:1705.09783, table 2",
            "weights and rates of the authors' code, whose discriminator differs slightly from conv-small",
        )
    ]

from ganzoo import Component, hookimpl


@hookimpl
def ganzoo_ssl() -> list[Component]:
    return [
        Component(
            "kplus1-interpolation",
            "ganzoo_interpolation.strategy:Interpolation",
            "K+1 whose class probabilities are linear between images",
            "after Verma et al. 2019, arXiv:1903.03825",
        )
    ]

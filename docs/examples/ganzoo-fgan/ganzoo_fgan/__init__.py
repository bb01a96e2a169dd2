from ganzoo import Component, hookimpl


@hookimpl
def ganzoo_losses() -> list[Component]:
    return [Component("kl", "ganzoo_fgan.kl:kl", "f-GAN's Kullback-Leibler divergence", "arXiv:1606.00709")]

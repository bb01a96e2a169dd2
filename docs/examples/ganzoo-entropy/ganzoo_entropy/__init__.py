from ganzoo import Component, hookimpl


@hookimpl
def ganzoo_ssl() -> list[Component]:
    return [Component("kplus1-entropy", "ganzoo_entropy.strategy:MinimumEntropy", "K+1 with entropy minimisation")]

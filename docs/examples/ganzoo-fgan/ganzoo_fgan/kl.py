from ganzoo.strategy import AdversarialLoss


def kl() -> AdversarialLoss:
    """L_D = E exp D(G(z)) - E D(x); L_G = -E exp D(G(z)). Nowozin et al. 2016, table 2, with V = D + 1."""
    return AdversarialLoss(lambda real, fake: fake.exp().mean() - real.mean(), lambda real, fake: -fake.exp().mean())

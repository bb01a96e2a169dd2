"""Adversarial losses as pure functions of realness logits, real [B] and fake [B]."""

from __future__ import annotations

import torch.nn.functional as F

from ganzoo.contracts import AdversarialLoss


def nonsaturating() -> AdversarialLoss:
    """L_D = E softplus(-D(x)) + E softplus(D(G(z))); L_G = E softplus(-D(G(z))). Goodfellow et al. 2014, §3."""
    return AdversarialLoss(
        discriminator=lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
        generator=lambda real, fake: F.softplus(-fake).mean(),
    )


def hinge() -> AdversarialLoss:
    """L_D = E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))); L_G = -E D(G(z)). Miyato et al. 2018, eqs. 16 and 17."""
    return AdversarialLoss(
        discriminator=lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        generator=lambda real, fake: -fake.mean(),
    )


def wasserstein() -> AdversarialLoss:
    """L_D = E D(G(z)) - E D(x); L_G = -E D(G(z)). Arjovsky et al. 2017, eq. 2 and algorithm 1."""
    return AdversarialLoss(
        discriminator=lambda real, fake: fake.mean() - real.mean(),
        generator=lambda real, fake: -fake.mean(),
    )

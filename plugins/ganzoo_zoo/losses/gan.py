"""Adversarial losses as pure functions of realness logits, real [B] and fake [B]."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ganzoo.contracts import AdversarialLoss


def nonsaturating(smooth: float = 0.0) -> AdversarialLoss:
    """L_D = E softplus(-D(x)) + E softplus(D(G(z))); L_G = E softplus(-D(G(z))). Goodfellow et al. 2014, §3.

    Args:
        smooth: one-sided label smoothing: the target of real images is 1 - smooth. Salimans et al. 2016, §3.4; 0.1.
    """
    return AdversarialLoss(
        discriminator=lambda real, fake: said_real(real, smooth) + F.softplus(fake).mean(),
        generator=lambda real, fake: F.softplus(-fake).mean(),
    )


def minimax(smooth: float = 0.0) -> AdversarialLoss:
    """L_D as in `nonsaturating`; L_G = -E softplus(D(G(z))), so that both play for one value. Goodfellow et al. 2014,
    eq. 1.

    Args:
        smooth: one-sided label smoothing: the target of real images is 1 - smooth. Salimans et al. 2016, §3.4; 0.1.
    """
    return nonsaturating(smooth)._replace(generator=lambda real, fake: -F.softplus(fake).mean())


def said_real(adv: Tensor, smooth: float) -> Tensor:
    """Return the cross-entropy of σ(D) with the target 1 - smooth, averaged."""
    return F.softplus(-adv).mean() + smooth * adv.mean()


def lsgan(fake_target: float = 0.0, real_target: float = 1.0, wanted: float = 1.0) -> AdversarialLoss:
    """L_D = ½ E(D(x) - b)² + ½ E(D(G(z)) - a)²; L_G = ½ E(D(G(z)) - c)². Mao et al. 2017, eq. 2.

    Args:
        fake_target: a. The paper's other choice is a = -1, b = 1, c = 0, which minimises a Pearson χ² divergence.
        real_target: b.
        wanted: c, what the generator wants to hear.
    """
    return AdversarialLoss(
        discriminator=lambda real, fake: (
            ((real - real_target).square().mean() + (fake - fake_target).square().mean()) / 2
        ),
        generator=lambda real, fake: (fake - wanted).square().mean() / 2,
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


def relativistic() -> AdversarialLoss:
    """L_D = E softplus(D(G(z)) - D(x)) over pairs of images; L_G = E softplus(D(x) - D(G(z))).

    Jolicoeur-Martineau 2019, eqs. 5 and 6, with the logistic function; Huang et al. 2024 (R3GAN), eq. 2.
    """
    return AdversarialLoss(
        discriminator=lambda real, fake: F.softplus(fake - real).mean(),
        generator=lambda real, fake: F.softplus(real - fake).mean(),
        relativistic=True,
    )


def relativistic_average() -> AdversarialLoss:
    """L_D = E softplus(E D(G(z)) - D(x)) + E softplus(D(G(z)) - E D(x)): each image against the mean of the other sort.

    L_G is the same with real and fake exchanged. Jolicoeur-Martineau 2019, §4.2, eqs. 9 and 10.
    """

    def lead(first: Tensor, second: Tensor) -> Tensor:
        return F.softplus(second.mean() - first).mean() + F.softplus(second - first.mean()).mean()

    return AdversarialLoss(
        discriminator=lambda real, fake: lead(real, fake),
        generator=lambda real, fake: lead(fake, real),
        relativistic=True,
    )


def energy(margin: float = 10.0) -> AdversarialLoss:
    """L_D = E e(x) + E max(0, m - e(G(z))); L_G = E e(G(z)). Zhao et al. 2017 (EBGAN), eqs. 1 and 2.

    There the energy e is an autoencoder's reconstruction error; here it is e = softplus(-D), which is -log σ(D): never
    negative, and near 0 for what looks real.

    Args:
        margin: m, the energy from which on generated images are left alone.
    """
    return AdversarialLoss(
        discriminator=lambda real, fake: F.softplus(-real).mean() + F.relu(margin - F.softplus(-fake)).mean(),
        generator=lambda real, fake: F.softplus(-fake).mean(),
    )

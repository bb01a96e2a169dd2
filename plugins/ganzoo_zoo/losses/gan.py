"""Adversarial losses, as pure functions of adversarial logits (real `[B]`, fake `[B]`)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ganzoo.strategy.step import AdversarialLoss


def nonsaturating(smooth: float = 0.0) -> AdversarialLoss:
    """Return the non-saturating GAN loss. Goodfellow et al. 2014, arXiv:1406.2661, §3.

    L_D = E softplus(-D(x)) + E softplus(D(G(z))); L_G = E softplus(-D(G(z))).

    Args:
        smooth: One-sided label smoothing: the target of real images is 1 - smooth. Salimans et al. 2016,
            arXiv:1606.03498, §3.4, use 0.1.
    """
    return AdversarialLoss(
        discriminator=lambda real, fake: smoothed_cross_entropy(real, smooth) + F.softplus(fake).mean(),
        generator=lambda real, fake: F.softplus(-fake).mean(),
    )


def minimax(smooth: float = 0.0) -> AdversarialLoss:
    """Return the minimax GAN loss. Goodfellow et al. 2014, arXiv:1406.2661, eq. 1.

    L_D is that of `nonsaturating`; L_G = -E softplus(D(G(z))), so that both players play for one value.

    Args:
        smooth: One-sided label smoothing: the target of real images is 1 - smooth. Salimans et al. 2016,
            arXiv:1606.03498, §3.4, use 0.1.
    """
    return nonsaturating(smooth)._replace(generator=lambda real, fake: -F.softplus(fake).mean())


def smoothed_cross_entropy(adv: Tensor, smooth: float) -> Tensor:
    """Return the mean cross-entropy of σ(D) with the target 1 - smooth.

    Args:
        adv: Adversarial logits `[B]` of real images.
        smooth: Amount of label smoothing, in [0, 1].
    """
    return F.softplus(-adv).mean() + smooth * adv.mean()


def lsgan(fake_target: float = 0.0, real_target: float = 1.0, wanted: float = 1.0) -> AdversarialLoss:
    """Return the least-squares GAN loss. Mao et al. 2017, arXiv:1611.04076, eq. 2.

    L_D = ½ E(D(x) - b)² + ½ E(D(G(z)) - a)²; L_G = ½ E(D(G(z)) - c)².

    Args:
        fake_target: Target a of generated images. The paper's other choice is a = -1, b = 1, c = 0, which minimises a
            Pearson χ² divergence.
        real_target: Target b of real images.
        wanted: Target c of generated images in the generator's loss.
    """
    return AdversarialLoss(
        discriminator=lambda real, fake: (
            ((real - real_target).square().mean() + (fake - fake_target).square().mean()) / 2
        ),
        generator=lambda real, fake: (fake - wanted).square().mean() / 2,
    )


def hinge() -> AdversarialLoss:
    """Return the hinge loss. Miyato et al. 2018, arXiv:1802.05957, eqs. 16 and 17.

    L_D = E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))); L_G = -E D(G(z)).
    """
    return AdversarialLoss(
        discriminator=lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        generator=lambda real, fake: -fake.mean(),
    )


def wasserstein() -> AdversarialLoss:
    """Return the Wasserstein loss. Arjovsky et al. 2017, arXiv:1701.07875, eq. 2 and algorithm 1.

    L_D = E D(G(z)) - E D(x); L_G = -E D(G(z)).
    """
    return AdversarialLoss(
        discriminator=lambda real, fake: fake.mean() - real.mean(),
        generator=lambda real, fake: -fake.mean(),
    )


def relativistic() -> AdversarialLoss:
    """Return the relativistic pairing loss, which compares real and generated images in pairs.

    L_D = E softplus(D(G(z)) - D(x)); L_G = E softplus(D(x) - D(G(z))). Jolicoeur-Martineau 2019, arXiv:1807.00734, eqs.
    5 and 6, with the logistic function; Huang et al. 2024 (R3GAN), arXiv:2501.05441, eq. 2.
    """
    return AdversarialLoss(
        discriminator=lambda real, fake: F.softplus(fake - real).mean(),
        generator=lambda real, fake: F.softplus(real - fake).mean(),
        relativistic=True,
    )


def relativistic_average() -> AdversarialLoss:
    """Return the relativistic average loss, which compares each image with the mean logit of the opposite kind.

    L_D = E softplus(E D(G(z)) - D(x)) + E softplus(D(G(z)) - E D(x)); L_G is the same with real and fake exchanged.
    Jolicoeur-Martineau 2019, arXiv:1807.00734, §4.2, eqs. 9 and 10.
    """

    def loss(higher: Tensor, lower: Tensor) -> Tensor:
        return F.softplus(lower.mean() - higher).mean() + F.softplus(lower - higher.mean()).mean()

    return AdversarialLoss(
        discriminator=lambda real, fake: loss(real, fake),
        generator=lambda real, fake: loss(fake, real),
        relativistic=True,
    )


def energy(margin: float = 10.0) -> AdversarialLoss:
    """Return the energy-based GAN loss. Zhao et al. 2017 (EBGAN), arXiv:1609.03126, eqs. 1 and 2.

    L_D = E e(x) + E max(0, m - e(G(z))); L_G = E e(G(z)). In the paper the energy e is the reconstruction error of an
    autoencoder. Here it is e = softplus(-D) = -log σ(D), which is never negative, and near 0 for images classified as
    real.

    Args:
        margin: Margin m: the energy above which generated images no longer contribute to the discriminator's loss.
    """
    return AdversarialLoss(
        discriminator=lambda real, fake: F.softplus(-real).mean() + F.relu(margin - F.softplus(-fake)).mean(),
        generator=lambda real, fake: F.softplus(-fake).mean(),
    )

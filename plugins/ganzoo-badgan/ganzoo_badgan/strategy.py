"""BadGAN. Dai et al. 2017, arXiv:1705.09783, §4."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, cast

from ganzoo_zoo.penalties.classifier import entropy, pull_away
from ganzoo_zoo.ssl.coders import Encoder
from ganzoo_zoo.ssl.heads import logits_of
from ganzoo_zoo.ssl.kplus1 import KPlusOne
from torch import Tensor, nn

from ganzoo.contracts import Generator, Player, Terms
from ganzoo.strategy import Kit, Step


@dataclass
class BadGAN(KPlusOne):
    """K+1 with a generator that should fill the low-density places around the data, not the data's own.

    To feature matching come: the generator's entropy, raised by variational inference (eq. 6: an encoder should find z
    in G(z)) or by pulling features apart (eq. 5), and the entropy of the classes of unlabelled images, lowered (eq. 8).
    Defaults are those of CIFAR-10 in the authors' code; on SVHN it has vi_weight 0, pull_away_weight 0.8 and
    entropy_weight 0.1. Their third term, a PixelCNN's density, is left out: the paper finds its effect small.

    Args:
        adversarial_weight: weight of the generator's adversarial term; 0 in the paper.
        distance: between mean features: l1 for CIFAR-10 and SVHN, l2 for MNIST.
        vi_weight: weight of the variational bound of the generator's negative entropy.
        pull_away_weight: weight of the mean squared cosine of generated images' features.
        entropy_weight: weight of the mean entropy of unlabelled images' classes, in nats.
    """

    adversarial_weight: float = 0.0
    distance: Literal["l1", "l2"] = "l1"
    vi_weight: float = 1e-2
    pull_away_weight: float = 0.0
    entropy_weight: float = 0.0

    @property
    def encodes(self) -> bool:
        """Whether there is an encoder."""
        return self.gan and self.vi_weight > 0

    def networks(self, kit: Kit) -> dict[str, nn.Module]:
        """Return K+1's networks and the encoder."""
        networks = super().networks(kit)
        if self.encodes:
            networks["encoder"] = Encoder(kit.trunk(), 2 * cast(Generator, networks["generator"]).z_dim)
        return networks

    def players(self) -> list[Player]:
        """Return K+1's players; the encoder moves with the generator."""
        players = super().players()
        if self.encodes:
            players[-1] = replace(players[-1], networks=("generator", "encoder"))
        return players

    def discriminator(self, s: Step) -> Terms:
        """Return K+1's terms and the entropy of the classes."""
        if not self.entropy_weight:
            return super().discriminator(s)
        real, *_ = s.see("real", "labelled", *self.fakes)
        return {**super().discriminator(s), "entropy": self.entropy_weight * entropy(logits_of(real))}

    def generator(self, s: Step) -> Terms:
        """Return feature matching and the two terms of the generator's entropy."""
        terms = super().generator(s)
        if self.pull_away_weight:
            terms["pull_away"] = self.pull_away_weight * pull_away(s.see("fake")[0].features)
        if self.vi_weight:
            terms["vi"] = self.vi_weight * negative_entropy_bound(s.network("encoder")(s.images("fake")), s.z)
        return terms


def negative_entropy_bound(code: Tensor, z: Tensor) -> Tensor:
    """Return mean Σ [log σ + (z - μ)² / 2σ²] for codes (μ, log σ) `[B, 2 z_dim]` and latents `[B, z_dim]` (eq. 6).

    But for a constant it is -E log q(z|G(z)), whose minimum over q is the conditional entropy of z given G(z).
    """
    mean, log_deviation = code.chunk(2, dim=1)
    log_deviation = log_deviation.clamp_min(-15)  # else fp32 overflows
    return (log_deviation + 0.5 * ((z - mean) * (-log_deviation).exp()).square()).sum(1).mean()

"""BadGAN. Dai et al. 2017, arXiv:1705.09783, §4."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, cast

from ganzoo_zoo.penalties.classifier import entropy, pull_away
from ganzoo_zoo.ssl.coders import Encoder
from ganzoo_zoo.ssl.heads import logits_of
from ganzoo_zoo.ssl.kplus1 import KPlusOne
from torch import Tensor, nn

from ganzoo.strategy.base import NetworkBuilder
from ganzoo.strategy.networks import Generator
from ganzoo.strategy.players import Player, Terms
from ganzoo.strategy.step import Step


@dataclass
class BadGAN(KPlusOne):
    """K+1 with a complement generator, which generates images in low-density regions around the data.

    In addition to feature matching, the generator's entropy is increased, by variational inference (eq. 6: an encoder
    predicts z from G(z)) or by the pull-away term (eq. 5), and the entropy of the predicted classes of unlabelled
    images is decreased (eq. 8). The defaults are the authors' for CIFAR-10; their code for SVHN has vi_weight 0,
    pull_away_weight 0.8 and entropy_weight 0.1. The low-density term, which needs a PixelCNN, is omitted: the paper
    reports a small effect.

    Args:
        adversarial_weight: Weight of the generator's adversarial term; 0 in the paper.
        distance: Distance of the mean features: "l1" for CIFAR-10 and SVHN, "l2" for MNIST.
        vi_weight: Weight of the variational bound of the generator's negative entropy.
        pull_away_weight: Weight of the mean squared cosine of generated images' features.
        entropy_weight: Weight of the mean entropy of unlabelled images' classes, in nats.
    """

    adversarial_weight: float = 0.0
    distance: Literal["l1", "l2"] = "l1"
    vi_weight: float = 1e-2
    pull_away_weight: float = 0.0
    entropy_weight: float = 0.0

    @property
    def encodes(self) -> bool:
        """Whether an encoder is trained."""
        return self.gan and self.vi_weight > 0

    def networks(self, builder: NetworkBuilder) -> dict[str, nn.Module]:
        """Return K+1's networks and the encoder."""
        networks = super().networks(builder)
        if self.encodes:
            networks["encoder"] = Encoder(builder.trunk(), 2 * cast(Generator, networks["generator"]).z_dim)
        return networks

    def players(self) -> list[Player]:
        """Return K+1's players; the generator also updates the encoder."""
        players = super().players()
        if self.encodes:
            players[-1] = replace(players[-1], networks=("generator", "encoder"))
        return players

    def discriminator(self, s: Step) -> Terms:
        """Return K+1's terms and the entropy of the predicted classes."""
        if not self.entropy_weight:
            return super().discriminator(s)
        real, *_ = s.discriminate("real", "labelled", *self.fakes)
        return {**super().discriminator(s), "entropy": self.entropy_weight * entropy(logits_of(real))}

    def generator(self, s: Step) -> Terms:
        """Return feature matching and the two terms of the generator's entropy."""
        terms = super().generator(s)
        if self.pull_away_weight:
            terms["pull_away"] = self.pull_away_weight * pull_away(s.discriminate("fake")[0].features)
        if self.vi_weight:
            terms["vi"] = self.vi_weight * negative_entropy_bound(s.network("encoder")(s.images("fake")), s.z)
        return terms


def negative_entropy_bound(code: Tensor, z: Tensor) -> Tensor:
    """Return the variational bound of the negative entropy: mean Σ [log σ + (z - μ)² / 2σ²] (eq. 6).

    Up to a constant it is -E log q(z|G(z)), whose minimum over q is the conditional entropy of z given G(z).

    Args:
        code: Codes (μ, log σ) `[B, 2 z_dim]`.
        z: Latents `[B, z_dim]`.
    """
    mean, log_deviation = code.chunk(2, dim=1)
    log_deviation = log_deviation.clamp_min(-15)  # fp32 would overflow below
    return (log_deviation + 0.5 * ((z - mean) * (-log_deviation).exp()).square()).sum(1).mean()

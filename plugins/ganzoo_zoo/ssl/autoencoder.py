"""K+1 with a decoder on the discriminator's features. After Ranzato and Szummer 2008, ICML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo.strategy.base import NetworkBuilder
from ganzoo.strategy.networks import DiscOutput, Networks, Trunk
from ganzoo.strategy.players import Player, Terms
from ganzoo.strategy.step import Step
from ganzoo_zoo.ssl.coders import Decoder
from ganzoo_zoo.ssl.kplus1 import KPlusOne
from ganzoo_zoo.ssl.schedules import linear_ramp


@dataclass
class Autoencoder(KPlusOne):
    """K+1 whose features also reconstruct the unlabelled images: L_total = L_autoencoder + L_GAN.

    L_autoencoder = λ · mean (x - Dec(trunk(x)))², where λ increases linearly to its full value. The decoder is a second
    network of the generator's architecture. With `pretrain`, the autoencoder is trained alone at first (two-stage
    training: Ranzato and Szummer 2008; Bengio et al. 2007).

    Args:
        reconstruction_weight: Full value of λ.
        ramp: Fraction of the run over which λ increases from 0, after any pre-training.
        pretrain: Fraction of the run in which only the autoencoder is trained, with λ = 1.
    """

    reconstruction_weight: float = 1.0
    ramp: float = 0.1
    pretrain: float = 0.0

    def networks(self, builder: NetworkBuilder) -> dict[str, nn.Module]:
        """Return K+1's networks and the decoder."""
        networks = super().networks(builder)
        trunk = cast(Trunk, networks["discriminator"].trunk)
        return {**networks, "decoder": Decoder(builder.generator(), trunk.num_features)}

    def players(self) -> list[Player]:
        """Return K+1's players; the discriminator also updates the decoder."""
        first, *others = super().players()
        return [replace(first, networks=("discriminator", "decoder")), *others]

    def discriminator(self, s: Step) -> Terms:
        """Return K+1's terms and the reconstruction error."""
        if s.progress < self.pretrain:
            return {"reconstruction": self.reconstruction(s)}
        s.discriminate("labelled", "real", *self.fakes)
        weight = self.reconstruction_weight * linear_ramp(s.progress, self.pretrain, self.pretrain + self.ramp)
        return {**super().discriminator(s), "reconstruction": weight * self.reconstruction(s)}

    def generator(self, s: Step) -> Terms:
        """Return K+1's terms, or none during pre-training."""
        return {} if s.progress < self.pretrain else super().generator(s)

    def reconstruction(self, s: Step) -> Tensor:
        """Return the mean squared reconstruction error of the unlabelled images."""
        (real,) = s.discriminate("real")
        return F.mse_loss(s.network("decoder")(real.features, real.logits), s.images("real"))

    def reconstruct(self, networks: Networks, x: Tensor) -> Tensor:
        """Return Dec(trunk(x))."""
        out = cast(DiscOutput, networks["discriminator"](x))
        return cast(Tensor, networks["decoder"](out.features, out.logits))

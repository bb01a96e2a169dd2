"""A discriminator that has to remember what it sees: a decoder on its trunk. After Ranzato and Szummer 2008."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo.contracts import DiscOutput, Networks, Player, Terms, Trunk
from ganzoo.strategy import Kit, Step
from ganzoo_zoo.ssl.coders import Decoder
from ganzoo_zoo.ssl.kplus1 import KPlusOne
from ganzoo_zoo.ssl.schedules import rise


@dataclass
class Autoencoder(KPlusOne):
    """K+1 whose features also reconstruct the unlabelled images: L_total = L_autoencoder + L_GAN.

    L_autoencoder = λ · mean (x - Dec(trunk(x)))², with λ rising linearly to its full value. The decoder is another
    network of the generator's architecture. With pretrain, the autoencoder is trained alone first (the two-stage form:
    Ranzato and Szummer 2008; Bengio et al. 2007).

    Args:
        reconstruction_weight: λ.
        ramp: part of the run over which λ rises from 0, after any pre-training.
        pretrain: part of the run in which the autoencoder is trained alone, with λ = 1.
    """

    reconstruction_weight: float = 1.0
    ramp: float = 0.1
    pretrain: float = 0.0

    def networks(self, kit: Kit) -> dict[str, nn.Module]:
        """Return K+1's networks and the decoder."""
        networks = super().networks(kit)
        trunk = cast(Trunk, networks["discriminator"].trunk)
        return {**networks, "decoder": Decoder(kit.generator(), trunk.num_features)}

    def players(self) -> list[Player]:
        """Return K+1's players; the discriminator moves the decoder too."""
        first, *others = super().players()
        return [replace(first, networks=("discriminator", "decoder")), *others]

    def discriminator(self, s: Step) -> Terms:
        """Return K+1's terms and the reconstruction."""
        if s.progress < self.pretrain:
            return {"reconstruction": self.reconstruction(s)}
        s.see("labelled", "real", *self.fakes)
        weight = self.reconstruction_weight * rise(s.progress, self.pretrain, self.pretrain + self.ramp)
        return {**super().discriminator(s), "reconstruction": weight * self.reconstruction(s)}

    def generator(self, s: Step) -> Terms:
        """Return K+1's terms; none while the autoencoder is trained alone."""
        return {} if s.progress < self.pretrain else super().generator(s)

    def reconstruction(self, s: Step) -> Tensor:
        """Return the mean squared error of the unlabelled images."""
        (real,) = s.see("real")
        return F.mse_loss(s.network("decoder")(real.features, real.logits), s.images("real"))

    def reconstruct(self, networks: Networks, x: Tensor) -> Tensor:
        """Return Dec(trunk(x))."""
        said = cast(DiscOutput, networks["discriminator"](x))
        return cast(Tensor, networks["decoder"](said.features, said.logits))

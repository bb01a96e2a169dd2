"""Mode-regularised GAN, whose encoder maps real images to latents. Che et al. 2017, arXiv:1612.02136, §3.1."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo.strategy.base import NetworkBuilder
from ganzoo.strategy.networks import DiscOutput, Generator, Networks
from ganzoo.strategy.players import Player, Terms
from ganzoo.strategy.step import Step
from ganzoo_zoo.ssl.coders import Encoder, soft_classes
from ganzoo_zoo.ssl.heads import logits_of
from ganzoo_zoo.ssl.kplus1 import KPlusOne


@dataclass
class ModeRegularized(KPlusOne):
    """K+1 with an encoder E, for which the generator serves as the decoder: G(E(x)) ≈ x.

    Besides the generator's own terms, encoder and generator minimise λ₁ ‖x - G(E(x))‖² and λ₂ times the generator's
    adversarial loss of G(E(x)) (eqs. 1 and 2), where ‖·‖² is the mean over pixels. The encoder is a second network with
    the discriminator's trunk architecture. Without the GAN there is no encoder, and it equals `supervised`.

    Args:
        reconstruction_weight: Weight λ₁.
        mode_weight: Weight λ₂.
    """

    reconstruction_weight: float = 1.0
    mode_weight: float = 0.2

    def networks(self, builder: NetworkBuilder) -> dict[str, nn.Module]:
        """Return K+1's networks and the encoder."""
        networks = super().networks(builder)
        if generator := networks.get("generator"):
            networks["encoder"] = Encoder(builder.trunk(), cast(Generator, generator).z_dim)
        return networks

    def players(self) -> list[Player]:
        """Return K+1's players; the generator also updates the encoder."""
        return [
            replace(p, networks=("generator", "encoder")) if p.name == "generator" else p for p in super().players()
        ]

    def generator(self, s: Step) -> Terms:
        """Return K+1's terms, the reconstruction error and the mode regulariser."""
        terms, x = super().generator(s), s.images("real")
        y = soft_classes(s.network("generator"), logits_of(s.discriminate("real")[0]))
        reconstructed = s.generate(s.network("encoder")(x), y)
        terms["reconstruction"] = self.reconstruction_weight * F.mse_loss(reconstructed, x)
        if self.mode_weight:
            terms["mode"] = self.mode_weight * s.generator_loss(s.discriminate_images(reconstructed)[0])
        return terms

    def reconstruct(self, networks: Networks, x: Tensor) -> Tensor | None:
        """Return G(E(x)), or None without the GAN."""
        if not self.gan:
            return None
        y = soft_classes(networks["generator"], cast(DiscOutput, networks["discriminator"](x)).logits)
        return cast(Tensor, networks["generator"](networks["encoder"](x), y)).float()

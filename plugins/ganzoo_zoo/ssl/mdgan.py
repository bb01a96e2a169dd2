"""Mode-regularised GAN: an encoder brings real images to the generator. Che et al. 2017, arXiv:1612.02136, §3.1."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo.contracts import DiscOutput, Generator, Networks, Player, Terms
from ganzoo.strategy import Kit, Step
from ganzoo_zoo.ssl.coders import Encoder, soft_classes
from ganzoo_zoo.ssl.heads import logits_of
from ganzoo_zoo.ssl.kplus1 import KPlusOne


@dataclass
class ModeRegularized(KPlusOne):
    """K+1 whose generator also decodes: E(x) should be a latent from which it makes x again.

    Encoder and generator make λ₁ ‖x - G(E(x))‖² and λ₂ times the generator's adversarial loss of G(E(x)) small
    (eqs. 1 and 2), besides the generator's own terms. The encoder is another trunk of the discriminator's architecture.
    ‖·‖² is the mean over pixels. Without the GAN there is nothing to encode for: it is `supervised`.

    Args:
        reconstruction_weight: λ₁.
        mode_weight: λ₂.
    """

    reconstruction_weight: float = 1.0
    mode_weight: float = 0.2

    def networks(self, kit: Kit) -> dict[str, nn.Module]:
        """Return K+1's networks and the encoder."""
        networks = super().networks(kit)
        if generator := networks.get("generator"):
            networks["encoder"] = Encoder(kit.trunk(), cast(Generator, generator).z_dim)
        return networks

    def players(self) -> list[Player]:
        """Return K+1's players; the encoder moves with the generator."""
        return [
            replace(p, networks=("generator", "encoder")) if p.name == "generator" else p for p in super().players()
        ]

    def generator(self, s: Step) -> Terms:
        """Return K+1's terms, the reconstruction and the mode regulariser."""
        terms, x = super().generator(s), s.images("real")
        y = soft_classes(s.network("generator"), logits_of(s.see("real")[0]))
        again = s.generate(s.network("encoder")(x), y)
        terms["reconstruction"] = self.reconstruction_weight * F.mse_loss(again, x)
        if self.mode_weight:
            terms["mode"] = self.mode_weight * s.generator_loss(s.judge(again)[0])
        return terms

    def reconstruct(self, networks: Networks, x: Tensor) -> Tensor | None:
        """Return G(E(x))."""
        if not self.gan:
            return None
        y = soft_classes(networks["generator"], cast(DiscOutput, networks["discriminator"](x)).logits)
        return cast(Tensor, networks["generator"](networks["encoder"](x), y)).float()

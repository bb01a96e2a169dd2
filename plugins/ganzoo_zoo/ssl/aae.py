"""Semi-supervised adversarial autoencoder. Makhzani et al. 2016, arXiv:1511.05644, §5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo.contracts import Generator, Networks, Player, Terms
from ganzoo.step import latent
from ganzoo.strategy import Kit, SemiSupervised, Step
from ganzoo_zoo.ssl.coders import Encoder

PRIORS = ("class_discriminator", "style_discriminator")


class Codes(NamedTuple):
    """What an encoder says of images: class logits `[B, K]` and style z `[B, z_dim]`."""

    logits: Tensor
    z: Tensor

    @classmethod
    def of(cls, code: Tensor, classes: int) -> Codes:
        """Divide a code `[B, K + z_dim]`."""
        return cls(code[:, :classes], code[:, classes:])


class CodeDiscriminator(nn.Module):
    """Codes to a realness logit: two hidden layers, as in the paper's appendix."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, code: Tensor) -> Tensor:
        """Map codes `[B, N]` to logits `[B]`, fp32."""
        return cast(Tensor, self.layers(code)).float().squeeze(1)


@dataclass
class AdversarialAutoencoder(SemiSupervised):
    """An autoencoder whose code is a class and a style, each held to a prior by a discriminator of its own (§5).

    Players, as the paper's phases: `autoencoder` (encoder and generator make the reconstruction small), `discriminator`
    (tells codes from the priors: Cat(K) and the generator's latent distribution), `encoder` (fools both, and classifies
    the labelled images). The encoder is the configured discriminator's trunk, the decoder the configured generator,
    which has to be class-conditional. Without the GAN the encoder is trained on the labelled images alone.

    Args:
        hidden: units of each hidden layer of the two code discriminators.
        label_weight: weight of the labelled images' cross-entropy.
        adversarial_weight: weight of fooling the two code discriminators.
    """

    hidden: int = 1000
    label_weight: float = 1.0
    adversarial_weight: float = 1.0

    needs_conditional: ClassVar[bool] = True

    def networks(self, kit: Kit) -> dict[str, nn.Module]:
        """Return encoder, generator and the two code discriminators."""
        classes = kit.shape.classes
        if not self.gan:
            return {"encoder": Encoder(kit.trunk(), classes)}
        generator = kit.generator()
        z_dim = cast(Generator, generator).z_dim
        return {
            "generator": generator,
            "encoder": Encoder(kit.trunk(), classes + z_dim),
            "class_discriminator": CodeDiscriminator(classes, self.hidden),
            "style_discriminator": CodeDiscriminator(z_dim, self.hidden),
        }

    def players(self) -> list[Player]:
        """Return the phases of the paper, in its order."""
        encoder = Player("encoder", ("encoder",), self.encoder)
        if not self.gan:
            return [encoder]
        autoencoder = Player("autoencoder", ("encoder", "generator"), self.autoencoder)
        return [autoencoder, Player("discriminator", PRIORS, self.discriminator), encoder]

    def autoencoder(self, s: Step) -> Terms:
        """Return the reconstruction of unlabelled images."""
        x = s.images("real")
        return {"reconstruction": F.mse_loss(decode(s.networks, encode(s.networks, x, s.shape.classes)), x)}

    def discriminator(self, s: Step) -> Terms:
        """Return the adversarial loss of the two priors (real) against the codes of unlabelled images (fake)."""
        with torch.no_grad():
            codes = encode(s.networks, s.images("real"), s.shape.classes)
        return {
            name: s.loss.discriminator(s.network(name)(real), s.network(name)(fake))
            for name, real, fake in zip(PRIORS, prior(s, len(codes.z)), (codes.logits.softmax(1), codes.z), strict=True)
        }

    def encoder(self, s: Step) -> Terms:
        """Return the cross-entropy of the labelled images, and what it takes to fool the two discriminators."""
        label = F.cross_entropy(encode(s.networks, s.images("labelled"), s.shape.classes).logits, s.batch.labels)
        terms = {"label": self.label_weight * label}
        if not self.gan:
            return terms
        codes = encode(s.networks, s.images("real"), s.shape.classes)
        for name, drawn, code in zip(PRIORS, prior(s, len(codes.z)), (codes.logits.softmax(1), codes.z), strict=True):
            fake = s.network(name)(code)
            real = s.network(name)(drawn) if s.loss.relativistic else fake
            terms[name] = self.adversarial_weight * s.loss.generator(real, fake)
        return terms

    def classify(self, networks: Networks, x: Tensor) -> Tensor:
        """Return the encoder's class logits."""
        code = cast(Tensor, networks["encoder"](x))
        return code[:, : self._classes(networks, code)]

    def _classes(self, networks: Networks, code: Tensor) -> int:
        return code.shape[1] - (cast(Generator, networks["generator"]).z_dim if self.gan else 0)

    def reconstruct(self, networks: Networks, x: Tensor) -> Tensor | None:
        """Return the image decoded from class probabilities and style."""
        if not self.gan:
            return None
        code = cast(Tensor, networks["encoder"](x))
        return decode(networks, Codes.of(code, self._classes(networks, code)))


def prior(s: Step, n: int) -> tuple[Tensor, Tensor]:
    """Draw n codes of the priors: one-hot classes `[n, K]`, and the generator's latents `[n, z_dim]`."""
    classes = torch.randint(s.shape.classes, (n,)).to(s.device)
    return F.one_hot(classes, s.shape.classes).float(), latent(s.network("generator"), n).to(s.device)


def encode(networks: Networks, x: Tensor, classes: int) -> Codes:
    """Return the codes of images."""
    return Codes.of(networks["encoder"](x), classes)


def decode(networks: Networks, codes: Codes) -> Tensor:
    """Return the images of codes, fp32."""
    return cast(Tensor, networks["generator"](codes.z, codes.logits.softmax(1))).float()

"""Semi-supervised adversarial autoencoder. Makhzani et al. 2016, arXiv:1511.05644, §5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo.strategy.base import NetworkBuilder, SemiSupervised
from ganzoo.strategy.networks import Generator, Networks, draw_latents
from ganzoo.strategy.players import Player, Terms
from ganzoo.strategy.step import Step
from ganzoo_zoo.ssl.coders import Encoder

PRIORS = ("class_discriminator", "style_discriminator")


class Codes(NamedTuple):
    """The output of the encoder.

    Attributes:
        logits: Class logits `[B, K]`.
        z: Styles `[B, z_dim]`.
    """

    logits: Tensor
    z: Tensor

    @classmethod
    def split(cls, code: Tensor, classes: int) -> Codes:
        """Split codes `[B, K + z_dim]` into class logits and styles.

        Args:
            code: Codes `[B, K + z_dim]`.
            classes: Number of classes K.
        """
        return cls(code[:, :classes], code[:, classes:])


class CodeDiscriminator(nn.Module):
    """Discriminator of codes: two hidden layers, as in the paper's appendix.

    Args:
        inputs: Length N of the codes.
        hidden: Units of each hidden layer.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, code: Tensor) -> Tensor:
        """Map codes `[B, N]` to adversarial logits `[B]`, fp32."""
        return cast(Tensor, self.layers(code)).float().squeeze(1)


@dataclass
class AdversarialAutoencoder(SemiSupervised):
    """Adversarial autoencoder (AAE) whose code consists of a class and a style, each matched to a prior (§5).

    The players are the paper's phases. `autoencoder` updates encoder and generator to minimise the reconstruction
    error. `discriminator` distinguishes codes from the priors: Cat(K), and the generator's latent distribution.
    `encoder` learns to fool both code discriminators and to classify the labelled images. The encoder uses the trunk of
    the configured discriminator. The decoder is the configured generator, which has to be class-conditional. Without
    the GAN, the encoder is trained on the labelled images only.

    Args:
        hidden: Units of each hidden layer of the two code discriminators.
        label_weight: Weight of the labelled images' cross-entropy.
        adversarial_weight: Weight of the encoder's adversarial terms.
    """

    hidden: int = 1000
    label_weight: float = 1.0
    adversarial_weight: float = 1.0

    needs_conditional = True

    def networks(self, builder: NetworkBuilder) -> dict[str, nn.Module]:
        """Return encoder, generator and the two code discriminators."""
        classes = builder.shape.classes
        if not self.gan:
            return {"encoder": Encoder(builder.trunk(), classes)}
        generator = builder.generator()
        z_dim = cast(Generator, generator).z_dim
        return {
            "generator": generator,
            "encoder": Encoder(builder.trunk(), classes + z_dim),
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
        """Return the reconstruction error of unlabelled images."""
        x = s.images("real")
        return {"reconstruction": F.mse_loss(decode(s.networks, encode(s.networks, x, s.shape.classes)), x)}

    def discriminator(self, s: Step) -> Terms:
        """Return the adversarial losses of the two priors (real) and the codes of unlabelled images (fake)."""
        with torch.no_grad():
            codes = encode(s.networks, s.images("real"), s.shape.classes)
        return {
            name: s.loss.discriminator(s.network(name)(real), s.network(name)(fake))
            for name, real, fake in zip(PRIORS, prior(s, len(codes.z)), (codes.logits.softmax(1), codes.z), strict=True)
        }

    def encoder(self, s: Step) -> Terms:
        """Return the cross-entropy of the labelled images and the encoder's adversarial losses."""
        logits = encode(s.networks, s.images("labelled"), s.shape.classes).logits
        label = F.cross_entropy(logits, s.batch.labels, s.batch.class_weights)
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
        """Return the images decoded from class probabilities and style, or None without the GAN."""
        if not self.gan:
            return None
        code = cast(Tensor, networks["encoder"](x))
        return decode(networks, Codes.split(code, self._classes(networks, code)))


def prior(s: Step, n: int) -> tuple[Tensor, Tensor]:
    """Draw n codes from the priors: one-hot classes `[n, K]` and latents of the generator `[n, z_dim]`."""
    classes = torch.randint(s.shape.classes, (n,)).to(s.device)
    return F.one_hot(classes, s.shape.classes).float(), draw_latents(s.network("generator"), n).to(s.device)


def encode(networks: Networks, x: Tensor, classes: int) -> Codes:
    """Return the codes of images.

    Args:
        networks: Networks by name.
        x: Images `[B, C, H, W]`.
        classes: Number of classes.
    """
    return Codes.split(networks["encoder"](x), classes)


def decode(networks: Networks, codes: Codes) -> Tensor:
    """Return the images `[B, C, H, W]`, fp32, of codes."""
    return cast(Tensor, networks["generator"](codes.z, codes.logits.softmax(1))).float()

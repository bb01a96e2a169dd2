"""Encoders and decoders made of the run's own trunk and generator architectures."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ganzoo.strategy.networks import Generator, last_layer


class Encoder(nn.Module):
    """A trunk with a last layer that maps its features to codes.

    Args:
        trunk: See `ganzoo.strategy.Trunk`.
        outputs: Length of the codes.
    """

    def __init__(self, trunk: nn.Module, outputs: int) -> None:
        super().__init__()
        self.trunk, self.code = trunk, last_layer(trunk, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to codes `[B, outputs]`, fp32."""
        features = self.trunk(x)
        with torch.autocast(x.device.type, enabled=False):
            code: Tensor = self.code(features.float())
        return code


class Decoder(nn.Module):
    """A linear layer from features to the latent of a generator, followed by that generator.

    A class-conditional generator also receives the class probabilities.

    Args:
        generator: See `ganzoo.strategy.Generator`.
        num_features: Length F of the features.
    """

    def __init__(self, generator: nn.Module, num_features: int) -> None:
        super().__init__()
        self.to_latent, self.generator = nn.Linear(num_features, cast(Generator, generator).z_dim), generator

    def forward(self, features: Tensor, logits: Tensor | None) -> Tensor:
        """Map features `[B, F]` and class logits `[B, K]`, or None, to images `[B, C, H, W]` in [-1, 1]."""
        x: Tensor = self.generator(self.to_latent(features), soft_classes(self.generator, logits))
        return x.float()


def soft_classes(generator: nn.Module, logits: Tensor | None) -> Tensor | None:
    """Return class probabilities for a generator, without gradient.

    Args:
        generator: See `ganzoo.strategy.Generator`.
        logits: Class logits `[B, K]`, or None.

    Returns:
        `[B, K]`, or None if the generator is unconditional or there are no logits.
    """
    if logits is None or not getattr(generator, "conditional", False):
        return None
    return logits.detach().softmax(1)

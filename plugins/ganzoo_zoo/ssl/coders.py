"""Images to codes and back, made of the run's own architecture: any trunk encodes, any generator decodes."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ganzoo.contracts import Generator
from ganzoo.critic import last_layer


class Encoder(nn.Module):
    """A trunk with a last layer of its own: images → codes `[B, outputs]`, fp32."""

    def __init__(self, trunk: nn.Module, outputs: int) -> None:
        super().__init__()
        self.trunk, self.code = trunk, last_layer(trunk, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to codes."""
        features = self.trunk(x)
        with torch.autocast(x.device.type, enabled=False):
            code: Tensor = self.code(features.float())
        return code


class Decoder(nn.Module):
    """A linear layer to the length of a generator's latent, and that generator: features → images.

    A class-conditional generator is given the class probabilities.
    """

    def __init__(self, generator: nn.Module, num_features: int) -> None:
        super().__init__()
        self.to_latent, self.generator = nn.Linear(num_features, cast(Generator, generator).z_dim), generator

    def forward(self, features: Tensor, logits: Tensor | None) -> Tensor:
        """Map features `[B, F]` and class logits `[B, K]` to images in [-1, 1]."""
        x: Tensor = self.generator(self.to_latent(features), soft_classes(self.generator, logits))
        return x.float()


def soft_classes(generator: nn.Module, logits: Tensor | None) -> Tensor | None:
    """Return class probabilities `[B, K]` for a conditional generator, None for another; no gradient."""
    if logits is None or not getattr(generator, "conditional", False):
        return None
    return logits.detach().softmax(1)

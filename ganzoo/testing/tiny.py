"""Tiny components that are built and trained in milliseconds, to test another component with."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor, nn

from ganzoo.data.source import Source
from ganzoo.registry.component import Component, ImageShape
from ganzoo.registry.discovery import Plugin, Registered, Registry
from ganzoo.strategy.base import Strategy
from ganzoo.strategy.networks import last_layer
from ganzoo.strategy.step import AdversarialLoss

CLASSES = 3


class TinyGenerator(nn.Module):
    """A generator with one linear layer, for images of any shape.

    Args:
        shape: Shape of the images and number of classes.
        conditional: Whether the generator is conditional.
    """

    def __init__(self, shape: ImageShape, conditional: bool = False) -> None:
        super().__init__()
        self.z_dim, self.shape, self.conditional = 4, shape, conditional
        self.label = nn.Embedding(max(shape.classes, 1), 4)
        self.layer = nn.Linear(4, shape.pixels)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Generate images.

        Args:
            z: Latents `[B, 4]`.
            y: Classes `[B]` or their probabilities `[B, K]`, if the generator is conditional.

        Returns:
            Images `[B, C, H, W]` in [-1, 1].
        """
        weights = y if y is None or y.ndim == 2 else nn.functional.one_hot(y, len(self.label.weight)).to(z.dtype)
        x: Tensor = self.layer(z if weights is None else z + weights @ self.label.weight).tanh()
        return x.reshape(-1, *self.shape.dimensions)


class TinyTrunk(nn.Module):
    """A trunk with one linear layer and dropout, for images of any shape.

    Args:
        shape: Shape of the images.

    Attributes:
        num_features: Number of features.
    """

    num_features = 8

    def __init__(self, shape: ImageShape) -> None:
        super().__init__()
        self.layer, self.dropout = nn.Linear(shape.pixels, 8), nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` to features `[B, 8]`."""
        features: Tensor = self.dropout(self.layer(x.flatten(1)).tanh())
        return features


class TinyHead(nn.Module):
    """A head with class logits, whose sum is the adversarial logit.

    Args:
        trunk: The trunk.
        shape: Shape of the images and number of classes.
    """

    def __init__(self, trunk: nn.Module, shape: ImageShape) -> None:
        super().__init__()
        self.classes = last_layer(trunk, shape.classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map features `[B, 8]` to adversarial logits `[B]` and class logits `[B, K]`."""
        logits = self.classes(features)
        return logits.sum(1), logits


class TinyClassifier(Strategy):
    """A strategy whose discriminator has class logits."""

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return a head with class logits."""
        return TinyHead(trunk, shape)


class TinyExtractor:
    """An extractor whose features, and class logits, are the means of the quarters of an image.

    Attributes:
        sha256: Zeros, since there are no weights.
        resize: "none".
    """

    sha256, resize = "0" * 64, "none"

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 images `[B, C, H, W]` to features and class logits, both `[B, 4 C]`."""
        features = nn.functional.adaptive_avg_pool2d(images.float() / 255, 2).flatten(1)
        return features, features


def tiny_loss() -> AdversarialLoss:
    """Return a loss of the mean difference of bounded logits."""
    return AdversarialLoss(
        lambda real, fake: fake.tanh().mean() - real.tanh().mean(), lambda real, fake: -fake.tanh().mean()
    )


class TinyTable:
    """A table of noise images whose brightness depends on their class.

    Args:
        n: Number of images.
        channels: 1, 3 or 4.
        size: Width and height in pixels.
        seed: Seed of the noise.
    """

    def __init__(self, n: int, channels: int, size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.labels = np.arange(n, dtype=np.int64) % CLASSES
        base = self.labels.reshape(-1, 1, 1, 1) * 80
        self.pixels = (base + rng.integers(0, 60, (n, size, size, channels))).astype(np.uint8)

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> Image.Image:
        """Return one image."""
        pixels = self.pixels[index]
        return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)

    def where(self, index: int) -> str:
        """Return the name of one image for messages."""
        return f"tiny {index}"


def tiny_data(channels: int = 1, size: int = 16, n: int = 60) -> Source:
    """Return a data set of three classes that a linear classifier can distinguish.

    Args:
        channels: 1, 3 or 4.
        size: Width and height in pixels.
        n: Number of training images; there are half as many test images.
    """
    return Source(
        "tiny", TinyTable(n, channels, size, 0), TinyTable(n // 2, channels, size, 1), ["dark", "grey", "light"]
    )


TINY: dict[str, Any] = {
    "generator": "tiny/tiny", "discriminator": "tiny/tiny", "loss": "tiny/tiny", "ssl": "tiny/tiny",
    "data": {"source": "tiny/tiny", "labels": 9}, "steps": 2, "batch_size": 6, "ema": 0.9,
    "precision": "fp32", "device": "cpu",
}  # fmt: skip


def registry_with(*registered: Registered) -> Registry:
    """Return a registry of tiny components, a `default` preset of them, and the given components.

    Args:
        registered: Further components.
    """
    plugin = Plugin("tiny", None)
    targets = {"generator": "TinyGenerator", "discriminator": "TinyTrunk", "loss": "tiny_loss", "dataset": "tiny_data"}
    tiny = [Registered(kind, plugin, Component("tiny", f"{__name__}:{target}")) for kind, target in targets.items()]
    tiny.append(Registered("ssl", plugin, Component("tiny", "ganzoo.strategy:Strategy")))
    tiny.append(Registered("ssl", plugin, Component("classifier", f"{__name__}:TinyClassifier")))
    tiny.append(Registered("preset", plugin, Component("default", f"{__name__}:TINY")))
    return Registry([plugin, *{r.plugin.name: r.plugin for r in registered}.values()], [*tiny, *registered])

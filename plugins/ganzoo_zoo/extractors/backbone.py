"""Image models of timm as feature extractors."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganzoo import ImageShape
from ganzoo.base.storage import weights_sha256
from ganzoo.data import Dataset
from ganzoo_zoo.discriminators.backbone import Discriminator, create_model


class Backbone:
    """The pooled features and class logits of a timm model with its published weights.

    Images are resized by an antialiased bicubic filter to the model's input size.

    Args:
        backbone: timm's name of the model.
        pretrained: Load published weights. Otherwise the weights are random, with a fixed seed.

    Raises:
        BadOption: timm has no such model, or its weights cannot be downloaded.
    """

    def __init__(self, backbone: str = "resnet18", pretrained: bool = True) -> None:
        import timm

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model: Any = create_model(backbone, pretrained, ImageShape(3, 224, 224, 0), {})
        self.model: Any = model.eval().requires_grad_(False)
        config = timm.get_pretrained_cfg(backbone)
        self.side = int(config.input_size[-1]) if config else 224
        self.mean, self.std = (
            torch.tensor(getattr(config, k) if config else (0.5, 0.5, 0.5)).view(3, 1, 1) for k in ("mean", "std")
        )
        self.resize = f"bicubic, antialiased, to {self.side}×{self.side}"
        self.sha256 = weights_sha256(self.model)

    members = staticmethod(Discriminator.members)

    def fit(self, data: Dataset, device: torch.device) -> None:
        """Move the model to a device.

        Args:
            data: Not used.
            device: Device to compute features on.
        """
        self.model.to(device)
        self.mean, self.std = self.mean.to(device), self.std.to(device)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Extract features.

        Args:
            images: uint8 images `[B, C, H, W]` with 1, 3 or 4 channels.

        Returns:
            Pooled features `[B, D]`, and class logits `[B, K]` or None if the model has none.
        """
        x = to_rgb(images).to(self.mean.device).float() / 255
        if x.shape[-1] != self.side:
            x = F.interpolate(x, (self.side, self.side), mode="bicubic", antialias=True).clamp(0, 1)
        maps = self.model.forward_features((x - self.mean) / self.std)
        features = self.model.forward_head(maps, pre_logits=True)
        logits = self.model.forward_head(maps)
        return features, logits if logits.shape[1] and logits.shape != features.shape else None


def to_rgb(images: Tensor) -> Tensor:
    """Convert uint8 images with 1, 3 or 4 channels to RGB `[B, 3, H, W]`; transparent pixels are blended with black."""
    if images.shape[1] == 1:
        return images.expand(-1, 3, -1, -1)
    if images.shape[1] == 4:
        return (images[:, :3].float() * images[:, 3:].float() / 255).round().to(torch.uint8)
    return images

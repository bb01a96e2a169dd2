"""Any image model of timm as a feature extractor."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganzoo import ImageShape
from ganzoo.data import Dataset
from ganzoo.storage import weights_sha256
from ganzoo_zoo.discriminators.backbone import Discriminator, make


class Backbone:
    """The pooled features of a timm model, and its class logits; with the weights that timm publishes.

    Images are enlarged or reduced with antialiased bicubic filters to the side that the model was trained at.

    Args:
        backbone: timm's name of the model.
        pretrained: with published weights. Without them features are random, though always the same.
    """

    def __init__(self, backbone: str = "resnet18", pretrained: bool = True) -> None:
        import timm

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            made: Any = make(backbone, pretrained, ImageShape(3, 224, 0), {})
        self.model: Any = made.eval().requires_grad_(False)
        known = timm.get_pretrained_cfg(backbone)
        self.side = int(known.input_size[-1]) if known else 224
        self.mean, self.std = (
            torch.tensor(getattr(known, k) if known else (0.5, 0.5, 0.5)).view(3, 1, 1) for k in ("mean", "std")
        )
        self.resize = f"bicubic, antialiased, to {self.side}×{self.side}"
        self.sha256 = weights_sha256(self.model)

    members = staticmethod(Discriminator.members)

    def fit(self, data: Dataset, device: torch.device) -> None:
        """Move to a device."""
        self.model.to(device)
        self.mean, self.std = self.mean.to(device), self.std.to(device)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map uint8 images `[B, C, H, W]` to pooled features `[B, D]` and class logits, where the model has them."""
        x = colours(images).to(self.mean.device).float() / 255
        if x.shape[-1] != self.side:
            x = F.interpolate(x, (self.side, self.side), mode="bicubic", antialias=True).clamp(0, 1)
        maps = self.model.forward_features((x - self.mean) / self.std)
        features = self.model.forward_head(maps, pre_logits=True)
        logits = self.model.forward_head(maps)
        return features, logits if logits.shape[1] and logits.shape != features.shape else None


def colours(images: Tensor) -> Tensor:
    """Return uint8 images `[B, 3, H, W]`: grey in three channels, transparent ones on black."""
    if images.shape[1] == 1:
        return images.expand(-1, 3, -1, -1)
    if images.shape[1] == 4:
        return (images[:, :3].float() * images[:, 3:].float() / 255).round().to(torch.uint8)
    return images

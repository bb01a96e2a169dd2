"""CNN-13, the classifier of semi-supervised benchmarks. Laine and Aila 2017, arXiv:1610.02242, table 5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_zoo.layers import Noise

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(max(channels // 8, 1), channels),
    "none": lambda channels: nn.Identity(),
}


class Discriminator(nn.Module):
    """CNN-13: nine convolutions in three blocks with max pooling and dropout between them, then global average pooling.

    3×3 w, w, w · pool, dropout · 3×3 2w, 2w, 2w · pool, dropout · 3×3 4w without padding · 1×1 2w, w · mean; leaky ReLU
    0.1. The unpadded convolution is padded for images smaller than 12×12. The paper combines batch norm with mean-only
    weight norm; here the norm is an option.

    Args:
        shape: Shape of the images.
        width: Channels w of the first block; 128 in the paper.
        norm: "batch", "group" (8 channels per group; for penalties of single images) or "none".
        dropout: Probability of dropping a value between the blocks.
        noise: Standard deviation of the Gaussian noise added to the pixels, which are in [-1, 1].
    """

    def __init__(
        self,
        shape: ImageShape,
        width: int = 128,
        norm: Literal["batch", "group", "none"] = "batch",
        dropout: float = 0.5,
        noise: float = 0.15,
    ) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int, kernel: int = 3, padding: int = 1) -> list[nn.Module]:
            convolution = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=norm == "none")
            nn.init.kaiming_normal_(convolution.weight, a=0.1)
            return [convolution, NORMS[norm](outputs), nn.LeakyReLU(0.1)]

        self.layers = nn.Sequential(
            Noise(noise),
            *layer(shape.channels, width),
            *layer(width, width),
            *layer(width, width),
            nn.MaxPool2d(2),
            nn.Dropout(dropout),
            *layer(width, 2 * width),
            *layer(2 * width, 2 * width),
            *layer(2 * width, 2 * width),
            nn.MaxPool2d(2),
            nn.Dropout(dropout),
            *layer(2 * width, 4 * width, padding=int(min(shape.height, shape.width) < 12)),
            *layer(4 * width, 2 * width, kernel=1, padding=0),
            *layer(2 * width, width, kernel=1, padding=0),
        )
        self.num_features = width

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, w]`."""
        maps: Tensor = self.layers(x)
        return maps.mean((2, 3))

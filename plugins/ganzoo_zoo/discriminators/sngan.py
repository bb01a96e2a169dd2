"""SNGAN's residual discriminator, and WGAN-GP's critic. Miyato et al. 2018, arXiv:1802.05957, appendix B.4."""

from __future__ import annotations

import itertools
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo import ImageShape
from ganzoo_zoo.generators.sngan import initialize
from ganzoo_zoo.layers import base_grid

# By image side: channels of each block in halves of the width, and how many of the first blocks halve the side.
BLOCKS = {
    16: ((2, 2, 2, 2), 2),
    32: ((2, 2, 2, 2), 2),
    48: ((1, 2, 4, 8, 16), 4),
    64: ((1, 2, 4, 8, 16), 5),
    128: ((1, 2, 4, 8, 16, 16), 5),
}


class Discriminator(nn.Module):
    """SNGAN's discriminator: residual blocks with spectral norm, then ReLU and global sum pooling.

    32×32 is the paper's CIFAR-10 table (four blocks of 128, two of them halving the side); trunk and last layer have
    1,053,825 parameters for RGB. 48×48 is its STL-10 table (64, 128, 256, 512 halving; 1024), 128×128 its ImageNet
    table (64, 128, 256, 512, 1024 halving; 1024) without the label in the middle, 64×64 the authors' published variant
    (64, 128, 256, 512, 1024, all halving), and 16×16 has the blocks of 32×32.

    With norm "none" and pool "mean" it is the critic of WGAN-GP (Gulrajani et al. 2017, arXiv:1704.00028, appendix),
    which has no batch norm (§4): its penalty is on the gradient of each image's own output, whereas batch norm makes
    the output depend on all images of the batch.

    Args:
        shape: Shape of the images.
        width: Channels of the blocks at 32×32; the channels of the other sizes are scaled in proportion.
        norm: "spectral" (as in the paper) or "none".
        pool: "sum" over the positions (as in the paper) or "mean".
    """

    def __init__(
        self,
        shape: ImageShape,
        width: int = 128,
        norm: Literal["spectral", "none"] = "spectral",
        pool: Literal["sum", "mean"] = "sum",
    ) -> None:
        super().__init__()
        self.norm, self.pool = norm, pool
        _, _, doublings = base_grid(shape)
        halves, halvings = BLOCKS[48 if (shape.height, shape.width) == (48, 48) else 4 << doublings]
        channels = [max(width * n // 2, 1) for n in halves]
        blocks = [Block(shape.channels, channels[0], channels[0], down=True, first=True)]
        for i, (before, after) in enumerate(itertools.pairwise(channels), start=1):
            blocks.append(Block(before, before, after, down=i < halvings))
        self.blocks = nn.Sequential(*blocks).apply(initialize)
        self.num_features = channels[-1]
        if norm == "spectral":
            normalize_spectrally(self)

    def last_layer(self, outputs: int) -> nn.Module:
        """Return a linear layer, spectrally normalised if the other layers are."""
        layer = nn.Linear(self.num_features, outputs)
        initialize(layer)
        return spectral_norm(layer) if self.norm == "spectral" else layer

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        maps: Tensor = F.relu(self.blocks(x))
        return maps.sum((2, 3)) if self.pool == "sum" else maps.mean((2, 3))


class Block(nn.Module):
    """A residual block: ReLU, 3×3, ReLU, 3×3, and 2×2 average pooling if it halves the side.

    The shortcut pools too and has a 1×1 convolution; it is the identity if neither the side nor the channels change.

    Args:
        before: Input channels.
        hidden: Channels between the two convolutions.
        after: Output channels.
        down: Halve the side.
        first: Omit the first ReLU, because the input is the image.
    """

    def __init__(self, before: int, hidden: int, after: int, down: bool, first: bool = False) -> None:
        super().__init__()
        self.down, self.first = down, first
        self.conv1 = nn.Conv2d(before, hidden, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1) if down or before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, before, H, W]` to `[B, after, H, W]`, or to `[B, after, H/2, W/2]` with `down`."""
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        if self.down:
            # Average pooling and a 1×1 convolution commute; this order needs a quarter of the operations.
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        out: Tensor = h + self.shortcut(x)
        return out


def normalize_spectrally(network: nn.Module) -> None:
    """Apply spectral normalisation to every linear and convolutional layer (eq. 8).

    Weights are divided by their largest singular value; each forward pass in training mode makes one step of the power
    iteration that estimates it (algorithm 1).

    Args:
        network: Network to change in place.
    """
    for layer in [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]:
        spectral_norm(layer)

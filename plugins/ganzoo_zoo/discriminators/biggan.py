"""BigGAN's discriminator, and its small form for CIFAR-10. Brock et al. 2019, arXiv:1809.11096, §3 and appendix B."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo import ImageShape
from ganzoo_zoo.discriminators.sngan import Block, normalize_spectrally
from ganzoo_zoo.generators.biggan import Attention, initialize
from ganzoo_zoo.layers import base_grid

# By image side: channels of each block in multiples of the width, and how many of the first blocks halve the side.
BLOCKS = {
    16: ((2, 2, 2, 2), 2),
    32: ((2, 2, 2, 2), 2),
    64: ((1, 2, 4, 8, 16), 4),
    128: ((1, 2, 4, 8, 16, 16), 5),
}


class Discriminator(nn.Module):
    """BigGAN's discriminator: residual blocks with spectral norm and self-attention, then the sum over all positions.

    128×128 is the paper's table 4 (1, 2, 4, 8, 16 widths halving the side; 16), with 87,982,370 parameters for RGB and
    a projection of 1000 classes; 64×64 has one halving block of 16 fewer. 32×32 is the small form commonly trained on
    CIFAR-10 (four blocks of 2 widths, two of them halving), and 16×16 has the same blocks. Self-attention follows the
    first block, at half the side of the image. The blocks are SNGAN's, with as many hidden channels as output channels
    (appendix B). Layers of 32×32 with width 96 and RGB, counted in parameters:

        block 3 → 192, halving           338,112
        attention at 16×16                46,081
        block of 192, halving            700,992
        2 blocks of 192              2 × 663,936
        last layer                           193
        projection of 10 classes           1,920   the head's
        together                       2,415,170   reported as 2.42M

    All convolutions and linear layers are spectrally normalised, and all weights are initialised orthogonally.

    Args:
        shape: Shape of the images.
        width: Base number of channels ("ch"), multiplied by the table of each image size.
    """

    def __init__(self, shape: ImageShape, width: int = 96) -> None:
        super().__init__()
        _, _, doublings = base_grid(shape)
        multiples, halvings = BLOCKS[4 << doublings]
        channels = [width * n for n in multiples]
        blocks: list[nn.Module] = [
            Block(shape.channels, channels[0], channels[0], down=True, first=True),
            Attention(channels[0]),
        ]
        for i, (before, after) in enumerate(itertools.pairwise(channels), start=1):
            blocks.append(Block(before, after, after, down=i < halvings))
        self.blocks = nn.Sequential(*blocks).apply(initialize)
        self.num_features = channels[-1]
        normalize_spectrally(self)

    def last_layer(self, outputs: int) -> nn.Module:
        """Return a spectrally normalised linear layer with this many outputs."""
        layer = nn.Linear(self.num_features, outputs)
        initialize(layer)
        return spectral_norm(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        maps: Tensor = F.relu(self.blocks(x))
        return maps.sum((2, 3))

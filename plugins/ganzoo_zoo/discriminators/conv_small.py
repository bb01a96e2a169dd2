"""The convolutional discriminator of Improved GAN. Salimans et al. 2016, arXiv:1606.03498, §5.2."""

from __future__ import annotations

from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_zoo.layers import WeightNormConv2d, WeightNormLinear


class Discriminator(nn.Module):
    """Improved GAN's convolutional discriminator: nine weight-normalised convolutions with dropout, average pooling.

    dropout .2 · 3×3 w, w, w/2 · dropout .5 · 3×3 2w, 2w, 2w/2 · dropout .5 · 3×3 2w without padding · 1×1 2w, 2w ·
    mean, where /2 is a stride of 2; leaky ReLU 0.2. Weights are drawn from N(0, 0.05²). Their scales are set by the
    first batch and then fixed, except for the last layer's. Both sides of the images are at least 12.

    Args:
        shape: Shape of the images.
        width: Channels w of the first three layers; 96 for CIFAR-10, 64 for SVHN.
        input_dropout: Probability of dropping a pixel.
        dropout: Probability of dropping a value between the blocks.
    """

    def __init__(self, shape: ImageShape, width: int = 96, input_dropout: float = 0.2, dropout: float = 0.5) -> None:
        super().__init__()
        wide = 2 * width
        self.layers = nn.Sequential(
            nn.Dropout(input_dropout),
            *layer(shape.channels, width, padding=1),
            *layer(width, width, padding=1),
            *layer(width, width, padding=1, stride=2),
            nn.Dropout(dropout),
            *layer(width, wide, padding=1),
            *layer(wide, wide, padding=1),
            *layer(wide, wide, padding=1, stride=2),
            nn.Dropout(dropout),
            *layer(wide, wide),
            *layer(wide, wide, kernel=1),
            *layer(wide, wide, kernel=1),
        )
        self.num_features = wide

    def last_layer(self, outputs: int) -> nn.Module:
        """Return the paper's last layer: weight-normalised, with trained scales."""
        return WeightNormLinear(self.num_features, outputs, scale=0.05, deviation=0.1, learn_scale=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, 2w]`."""
        maps: Tensor = self.layers(x)
        return maps.mean((2, 3))


def layer(inputs: int, outputs: int, kernel: int = 3, padding: int = 0, stride: int = 1) -> list[nn.Module]:
    """Return a weight-normalised convolution and its leaky ReLU.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        kernel: Side of the kernel.
        padding: Zeros added at each side.
        stride: Stride.
    """
    return [WeightNormConv2d(inputs, outputs, kernel, stride, padding, scale=0.05), nn.LeakyReLU(0.2)]

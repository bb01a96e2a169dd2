"""The discriminator of progressive growing (ProGAN). Karras et al. 2018, arXiv:1710.10196, §2 to §4 and appendix A."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_zoo.equalized import Convolution, Linear
from ganzoo_zoo.generators.progan import HE, Growth
from ganzoo_zoo.layers import base_grid, channels_at
from ganzoo_zoo.minibatch import MinibatchStd


class Discriminator(nn.Module):
    """ProGAN's discriminator: the mirror of its generator, whose stages are added at the same time.

    A 1×1 convolution makes maps of the image; each stage has two 3×3 convolutions and 2×2 average pooling. At 4×4
    there are minibatch standard deviation (§3), a 3×3 convolution and a 4×4 convolution. Layers have equalised learning
    rate (§4.1) and leaky ReLU with slope 0.2, and there is no norm. With the defaults, at 1024×1024 RGB, the layers of
    table 2, the last one included, have 23,077,137 parameters, and the image layers of the eight earlier stages 10,112
    more.

    Images always have the full size. They are averaged down to the side of the newest stage in use, before which their
    finer details have no effect. While a stage is introduced with weight α, its output is blended with the maps that
    the image layer of the stage before makes of the image averaged once more (figure 2). See `Growth` for the schedule.
    The authors also blend real images with a copy of half the side meanwhile; here only the generator's images are
    blended, because a discriminator is not told which images are real.

    Args:
        shape: Shape of the images.
        width: Maximum number of channels at any side.
        base: Number of channels times side, below the maximum `width`; 16384 in table 2, 8192 for CIFAR-10.
        grow: Fraction of the run after which all stages are in use, in [0, 1]; the generator needs the same value. 0
            trains all stages from the start.
        group: Group size of the minibatch standard deviation; 0 disables it. 4 in the authors' code, the whole batch in
            the paper.
    """

    def __init__(
        self, shape: ImageShape, width: int = 512, base: int = 16384, grow: float = 0.5, group: int = 4
    ) -> None:
        super().__init__()
        rows, columns, halvings = base_grid(shape)
        channels = [channels_at(4 << i, width, base) for i in range(halvings + 1)]
        self.from_image = nn.ModuleList(
            nn.Sequential(Convolution(shape.channels, n, 1, gain=HE), nn.LeakyReLU(0.2)) for n in channels
        )
        self.blocks = nn.ModuleList(Block(b, a) for a, b in itertools.pairwise(channels))
        first = channels[0]
        self.end = nn.Sequential(
            *[MinibatchStd(group)] * (group > 0),
            Convolution(first + (group > 0), first, 3, gain=HE),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            Linear(first * rows * columns, first, gain=HE),
            nn.LeakyReLU(0.2),
        )
        self.num_features = first
        self.growth = Growth(halvings + 1, grow)

    def last_layer(self, outputs: int) -> nn.Module:
        """Return a linear layer with equalised learning rate."""
        return Linear(self.num_features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        alphas = self.growth()
        newest = len(alphas) - 1
        image = shrink(x, 1 << len(self.blocks) - newest)
        maps: Tensor = self.from_image[newest](image)
        for stage in range(newest, 0, -1):
            maps, image = self.blocks[stage - 1](maps), shrink(image, 2)
            maps = torch.lerp(self.from_image[stage - 1](image), maps, alphas[stage])
        features: Tensor = self.end(maps)
        return features


class Block(nn.Sequential):
    """Two 3×3 convolutions with leaky ReLU, and 2×2 average pooling. Table 2.

    Args:
        inputs: Input channels.
        outputs: Output channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        first, second = Convolution(inputs, inputs, 3, gain=HE), Convolution(inputs, outputs, 3, gain=HE)
        super().__init__(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2), nn.AvgPool2d(2))


def shrink(image: Tensor, factor: int) -> Tensor:
    """Return images `[B, C, H, W]` averaged over squares of `factor` pixels a side."""
    return image if factor == 1 else F.avg_pool2d(image, factor)

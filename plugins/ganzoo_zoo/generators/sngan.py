"""SNGAN's residual generator. Miyato et al. 2018, arXiv:1802.05957, appendix B.4."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_zoo.layers import base_grid, class_vectors

# By image side: channels of the linear layer's maps and of each block, in quarters of the width.
CHANNELS = {
    16: (4, 4, 4),
    32: (4, 4, 4, 4),
    48: (8, 4, 2, 1),
    64: (16, 8, 4, 2, 1),
    128: (16, 16, 8, 4, 2, 1),
}


class Generator(nn.Module):
    """SNGAN's generator: residual blocks with batch norm, each of which doubles the side.

    32×32 is the paper's CIFAR-10 table (4×4×256, three blocks of 256), with 4,276,739 parameters for RGB; 48×48 its
    STL-10 table (6×6×512; 256, 128, 64); 128×128 its ImageNet table (4×4×1024; 1024, 512, 256, 128, 64); 64×64 the
    authors' published variant (4×4×1024; 512, 256, 128, 64); 16×16 is the network of 32×32 with one block fewer.

    The side is doubled by nearest-neighbour upsampling. In a conditional generator each batch norm of the blocks has a
    gain and a bias for every class (de Vries et al. 2017, arXiv:1707.00683; Miyato and Koyama 2018, arXiv:1802.05637);
    the last batch norm is unconditional.

    Args:
        shape: Shape of the images.
        width: Channels of the blocks at 32×32; the channels of the other sizes are scaled in proportion. 128 for
            WGAN-GP.
        z_dim: Length of the latent, N(0, 1).
        conditional: Condition on classes, by class-conditional batch norm.
    """

    def __init__(self, shape: ImageShape, width: int = 256, z_dim: int = 128, conditional: bool = False) -> None:
        super().__init__()
        self.z_dim, self.conditional, self.classes = z_dim, conditional, shape.classes
        rows, columns, doublings = base_grid(shape)
        table = CHANNELS[48 if (shape.height, shape.width) == (48, 48) else 4 << doublings]
        channels = [max(width * quarters // 4, 1) for quarters in table]
        norm = partial(Norm, classes=shape.classes * conditional)
        self.start = nn.Sequential(
            nn.Linear(z_dim, channels[0] * rows * columns), nn.Unflatten(1, (channels[0], rows, columns))
        )
        self.blocks = nn.ModuleList(Block(before, after, norm) for before, after in itertools.pairwise(channels))
        last = nn.Conv2d(channels[-1], shape.channels, 3, padding=1)
        self.end = nn.Sequential(nn.BatchNorm2d(channels[-1]), nn.ReLU(), last, nn.Tanh())
        self.apply(initialize)
        nn.init.xavier_uniform_(last.weight)  # a 3×3 convolution outside the residual blocks

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Generate images.

        Args:
            z: Latents `[B, z_dim]`.
            y: Classes, `[B]` int64 or `[B, K]` probabilities, of a conditional generator.

        Returns:
            Images `[B, C, H, W]` in [-1, 1].
        """
        c = None
        if self.conditional:
            assert y is not None, "a conditional generator needs classes"
            c = class_vectors(y, self.classes)
        x: Tensor = self.start(z)
        for block in self.blocks:
            x = block(x, c)
        images: Tensor = self.end(x)
        return images


class Block(nn.Module):
    """A residual block: norm, ReLU, upsampling, 3×3, norm, ReLU, 3×3; the shortcut upsamples and has a 1×1 convolution.

    Args:
        before: Input channels.
        after: Output channels.
        norm: Called with a number of channels; returns a module that is called with maps and conditions.
    """

    def __init__(self, before: int, after: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(before), norm(after)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, c: Tensor | None) -> Tensor:
        """Map `[B, before, H, W]` and the conditions of the norms, `[B, N]` or None, to `[B, after, 2H, 2W]`."""
        h = self.conv1(F.interpolate(F.relu(self.norm1(x, c)), scale_factor=2.0))
        h = self.conv2(F.relu(self.norm2(h, c)))
        # Nearest-neighbour upsampling and a 1×1 convolution commute; this order needs a quarter of the operations.
        out: Tensor = h + F.interpolate(self.shortcut(x), scale_factor=2.0)
        return out


class Norm(nn.Module):
    """Batch norm with a gain and a bias for each class; probabilities mix those of the classes.

    Args:
        channels: Number of channels.
        classes: Number of classes; 0 for ordinary batch norm.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=not classes)
        if classes:
            self.gain = nn.Parameter(torch.ones(classes, channels))
            self.bias = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, x: Tensor, c: Tensor | None) -> Tensor:
        """Map `[B, C, H, W]` and class vectors `[B, K]`, or None without classes, to `[B, C, H, W]`."""
        normal: Tensor = self.norm(x)
        return normal if c is None else modulate(normal, c @ self.gain, c @ self.bias)


def modulate(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """Multiply maps `[B, C, H, W]` by gains `[B, C]` and add biases `[B, C]`."""
    return torch.addcmul(bias[:, :, None, None], x, gain[:, :, None, None])


def initialize(module: nn.Module) -> None:
    """Draw Glorot-uniform weights, with gain √2 for residual 3×3 convolutions and 1 otherwise; biases are 0."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        residual = isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
        nn.init.xavier_uniform_(module.weight, 2**0.5 if residual else 1.0)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

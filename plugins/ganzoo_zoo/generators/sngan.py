"""SNGAN's residual generator. Miyato et al. 2018, arXiv:1802.05957, appendix B.4."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_zoo.layers import class_vectors

# Channels in quarters of the width: of the linear layer's maps, then of each block.
CHANNELS = {
    16: (4, 4, 4),
    32: (4, 4, 4, 4),
    48: (8, 4, 2, 1),
    64: (16, 8, 4, 2, 1),
    128: (16, 16, 8, 4, 2, 1),
}


class Generator(nn.Module):
    """z → linear → small maps → residual blocks, each doubling the side → batch norm, ReLU, 3×3, tanh.

    32×32 is the paper's CIFAR-10 table (4×4×256, three blocks of 256), with 4,276,739 parameters for RGB; 48×48 its
    STL-10 table (6×6×512; 256, 128, 64); 128×128 its ImageNet table (4×4×1024; 1024, 512, 256, 128, 64); 64×64 the
    authors' published variant (4×4×1024; 512, 256, 128, 64); 16×16 the first one with a block fewer.

    The side is doubled by repeating pixels (nearest neighbour). Conditional, each batch norm of the blocks has a gain
    and a bias for every class (de Vries et al. 2017, arXiv:1707.00683; Miyato and Koyama 2018, arXiv:1802.05637); the
    last one has not.

    Args:
        width: channels of the blocks at 32×32; those of the other sizes' tables are scaled alike. 128 is WGAN-GP's.
        z_dim: length of the latent, N(0, 1).
        conditional: generate the class asked for, by class-conditional batch norm.
    """

    def __init__(self, shape: ImageShape, width: int = 256, z_dim: int = 128, conditional: bool = False) -> None:
        super().__init__()
        self.z_dim, self.conditional, self.classes = z_dim, conditional, shape.classes
        channels = [max(width * quarters // 4, 1) for quarters in CHANNELS[shape.size]]
        side = shape.size >> len(channels) - 1
        norm = partial(Norm, classes=shape.classes * conditional)
        self.start = nn.Sequential(nn.Linear(z_dim, channels[0] * side**2), nn.Unflatten(1, (channels[0], side, side)))
        self.blocks = nn.ModuleList(Block(before, after, norm) for before, after in itertools.pairwise(channels))
        last = nn.Conv2d(channels[-1], shape.channels, 3, padding=1)
        self.end = nn.Sequential(nn.BatchNorm2d(channels[-1]), nn.ReLU(), last, nn.Tanh())
        self.apply(initialize)
        nn.init.xavier_uniform_(last.weight)  # its 3×3 is not a residual one

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map z `[B, z_dim]` (and y, `[B]` or `[B, K]`, when conditional) to images in [-1, 1]."""
        c = None
        if self.conditional:
            assert y is not None, "a conditional generator is told classes"
            c = class_vectors(y, self.classes)
        x: Tensor = self.start(z)
        for block in self.blocks:
            x = block(x, c)
        images: Tensor = self.end(x)
        return images


class Block(nn.Module):
    """Norm, ReLU, ×2, 3×3, norm, ReLU, 3×3; beside it a shortcut of ×2 and 1×1.

    norm: makes a module of (maps, conditions) for so many channels.
    """

    def __init__(self, before: int, after: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(before), norm(after)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, c: Tensor | None) -> Tensor:
        """Map `[B, before, H, W]` and what the norms are told, `[B, N]` or None, to `[B, after, 2H, 2W]`."""
        h = self.conv1(F.interpolate(F.relu(self.norm1(x, c)), scale_factor=2.0))
        h = self.conv2(F.relu(self.norm2(h, c)))
        # Repeating pixels and a 1×1 convolution commute; in this order it has a quarter of the work.
        out: Tensor = h + F.interpolate(self.shortcut(x), scale_factor=2.0)
        return out


class Norm(nn.Module):
    """Batch norm; with classes its gain and bias are those of the class, or the mixture of a soft label's."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=not classes)
        if classes:
            self.gain = nn.Parameter(torch.ones(classes, channels))
            self.bias = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, x: Tensor, c: Tensor | None) -> Tensor:
        """Map `[B, C, H, W]` and class vectors `[B, K]` (None without classes) to `[B, C, H, W]`."""
        normal: Tensor = self.norm(x)
        return normal if c is None else modulate(normal, c @ self.gain, c @ self.bias)


def modulate(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """Return maps `[B, C, H, W]`, each times its gain and plus its bias, both `[B, C]`."""
    return torch.addcmul(bias[:, :, None, None], x, gain[:, :, None, None])


def initialize(module: nn.Module) -> None:
    """Draw weights as Glorot and Bengio 2010 do, with gain √2 for residual 3×3 convolutions, 1 for others; biases 0."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        residual = isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
        nn.init.xavier_uniform_(module.weight, 2**0.5 if residual else 1.0)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

"""BigGAN's generator, and its small form for CIFAR-10. Brock et al. 2019, arXiv:1809.11096, §3 and appendix B."""

from __future__ import annotations

import itertools
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_zoo.discriminators.sngan import normalize_spectrally
from ganzoo_zoo.generators.sngan import Block, modulate
from ganzoo_zoo.layers import class_vectors

# Channels in widths: of the linear layer's maps, then of each block.
CHANNELS = {
    16: (4, 4, 4),
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
}


class Generator(nn.Module):
    """First chunk of z → linear → 4×4 → residual blocks, each told its own chunk and the class → image.

    128×128 is the paper's table 4 (blocks of 16, 8, 4, 2, 1 widths), with 70,433,988 parameters for RGB and 1000
    classes; 64×64 is the same without its last block. 32×32 is the small form that others train on CIFAR-10 (three
    blocks of 4 widths), and 16×16 that without its last block. Attention is at half the image's side. Layers of 32×32
    with width 96, RGB and 10 classes, counted in parameters:

        class embedding 10×128             1,280
        linear 20 → 4×4×384              129,024
        3 blocks of 384              3 × 3,030,144   two 3×3, one 1×1, two norms of 2 × 148×384
        attention at 16×16               184,321
        batch norm, 3×3 to RGB            11,139
        together                       9,416,196   reported as 9.42M

    The side is doubled by repeating pixels. All convolutions and linear layers are spectrally normalised, and all
    weights begin orthogonal. Without classes the blocks' norms are told their chunks of z alone, which is the
    self-modulation of Chen et al. 2019, arXiv:1810.01365: the paper has no unconditional form.

    Args:
        width: channels, which the tables multiply ("ch").
        z_chunk: length of one chunk of the latent, N(0, 1); the first layer and every block are given one.
        embedding: length of the vector of a class that all norms share.
        conditional: generate the class asked for, by class-conditional batch norm.
    """

    def __init__(
        self,
        shape: ImageShape,
        width: int = 96,
        z_chunk: int = 20,
        embedding: int = 128,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        self.z_chunk, self.conditional, self.classes = z_chunk, conditional, shape.classes
        channels = [width * n for n in CHANNELS[shape.size]]
        self.z_dim = z_chunk * len(channels)
        norm = partial(Norm, inputs=z_chunk + embedding * conditional)
        if conditional:
            self.embedding = nn.Embedding(shape.classes, embedding)
        self.start = nn.Sequential(nn.Linear(z_chunk, channels[0] * 16), nn.Unflatten(1, (channels[0], 4, 4)))
        self.blocks = nn.ModuleList(Block(before, after, norm) for before, after in itertools.pairwise(channels))
        self.attention = Attention(channels[-2])
        self.end = nn.Sequential(
            nn.BatchNorm2d(channels[-1]), nn.ReLU(), nn.Conv2d(channels[-1], shape.channels, 3, padding=1), nn.Tanh()
        )
        self.apply(initialize)
        normalize_spectrally(self)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map z `[B, z_dim]` (and y, `[B]` or `[B, K]`, when conditional) to images in [-1, 1]."""
        first, *chunks = torch.split(z, self.z_chunk, dim=1)
        if self.conditional:
            assert y is not None, "a conditional generator is told classes"
            vector = class_vectors(y, self.classes) @ self.embedding.weight
            chunks = [torch.cat([vector, chunk], dim=1) for chunk in chunks]
        x: Tensor = self.start(first)
        for block, c in zip(self.blocks, chunks, strict=True):
            if block is self.blocks[-1]:
                x = self.attention(x)
            x = block(x, c)
        images: Tensor = self.end(x)
        return images


class Norm(nn.Module):
    """Batch norm whose gain, 1 + Wc, and bias, Vc, are linear in what it is told. Appendix B, figure 15."""

    def __init__(self, channels: int, inputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Linear(inputs, channels, bias=False)
        self.bias = nn.Linear(inputs, channels, bias=False)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Map `[B, C, H, W]` and conditions `[B, inputs]` to `[B, C, H, W]`."""
        return modulate(self.norm(x), 1 + self.gain(c), self.bias(c))


class Attention(nn.Module):
    """x + γ·o(softmax(θ(x)ᵀ φ(x)) g(x)), γ = 0 at first. Zhang et al. 2019 (SAGAN), arXiv:1805.08318, eqs. 1 to 3.

    All four are 1×1 convolutions without bias. θ and φ have an eighth of the channels, g half of them; φ and g are
    pooled to a quarter of the places, which are what every place attends to.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        eighth, half = max(channels // 8, 1), max(channels // 2, 1)
        self.theta = nn.Conv2d(channels, eighth, 1, bias=False)
        self.phi = nn.Conv2d(channels, eighth, 1, bias=False)
        self.g = nn.Conv2d(channels, half, 1, bias=False)
        self.o = nn.Conv2d(half, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to the same shape."""
        theta = self.theta(x).flatten(2)
        phi = F.max_pool2d(self.phi(x), 2).flatten(2)
        g = F.max_pool2d(self.g(x), 2).flatten(2)
        # Written out, as the fused attention of torch cannot be differentiated twice, which gradient penalties do.
        weights = torch.bmm(theta.mT, phi).softmax(2)  # [B, HW, HW/4]
        seen = torch.bmm(g, weights.mT).reshape(len(x), -1, *x.shape[2:])
        out: Tensor = x + self.gamma * self.o(seen)
        return out


def initialize(module: nn.Module) -> None:
    """Draw orthogonal weights (Saxe et al. 2014, arXiv:1312.6120), as §3 says; biases are 0."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding):
        nn.init.orthogonal_(module.weight)
    if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
        nn.init.zeros_(module.bias)

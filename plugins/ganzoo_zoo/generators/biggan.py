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
from ganzoo_zoo.layers import base_grid, class_vectors

# By image side: channels of the linear layer's maps and of each block, in multiples of the width.
CHANNELS = {
    16: (4, 4, 4),
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
}


class Generator(nn.Module):
    """BigGAN's generator: residual blocks conditioned on chunks of the latent and on the class, with self-attention.

    128×128 is the paper's table 4 (blocks of 16, 8, 4, 2, 1 widths), with 70,433,988 parameters for RGB and 1000
    classes; 64×64 is the same without its last block. 32×32 is the small form commonly trained on CIFAR-10 (three
    blocks of 4 widths), and 16×16 omits its last block. Self-attention is applied at half the side of the image. Layers
    of 32×32 with width 96, RGB and 10 classes, counted in parameters:

        class embedding 10×128             1,280
        linear 20 → 4×4×384              129,024
        3 blocks of 384              3 × 3,030,144   two 3×3, one 1×1, two norms of 2 × 148×384
        attention at 16×16               184,321
        batch norm, 3×3 to RGB            11,139
        together                       9,416,196   reported as 9.42M

    The side is doubled by nearest-neighbour upsampling. All convolutions and linear layers are spectrally normalised,
    and all weights are initialised orthogonally. The paper has no unconditional form; here the norms of an
    unconditional generator are conditioned on the chunks of z only, which is the self-modulation of Chen et al. 2019,
    arXiv:1810.01365.

    Args:
        shape: Shape of the images.
        width: Base number of channels ("ch"), multiplied by the table of each image size.
        z_chunk: Length of one chunk of the latent, N(0, 1); the first layer and every block receive one chunk each.
        embedding: Length of the class embedding shared by all norms.
        conditional: Condition on classes, by class-conditional batch norm.
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
        rows, columns, doublings = base_grid(shape)
        channels = [width * n for n in CHANNELS[4 << doublings]]
        self.z_dim = z_chunk * len(channels)
        norm = partial(Norm, inputs=z_chunk + embedding * conditional)
        if conditional:
            self.embedding = nn.Embedding(shape.classes, embedding)
        self.start = nn.Sequential(
            nn.Linear(z_chunk, channels[0] * rows * columns), nn.Unflatten(1, (channels[0], rows, columns))
        )
        self.blocks = nn.ModuleList(Block(before, after, norm) for before, after in itertools.pairwise(channels))
        self.attention = Attention(channels[-2])
        self.end = nn.Sequential(
            nn.BatchNorm2d(channels[-1]), nn.ReLU(), nn.Conv2d(channels[-1], shape.channels, 3, padding=1), nn.Tanh()
        )
        self.apply(initialize)
        normalize_spectrally(self)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Generate images.

        Args:
            z: Latents `[B, z_dim]`.
            y: Classes, `[B]` int64 or `[B, K]` probabilities, of a conditional generator.

        Returns:
            Images `[B, C, H, W]` in [-1, 1].
        """
        first, *chunks = torch.split(z, self.z_chunk, dim=1)
        if self.conditional:
            assert y is not None, "a conditional generator needs classes"
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
    """Batch norm whose gain, 1 + Wc, and bias, Vc, are linear in a condition c. Appendix B, figure 15.

    Args:
        channels: Number of channels.
        inputs: Length of the condition.
    """

    def __init__(self, channels: int, inputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Linear(inputs, channels, bias=False)
        self.bias = nn.Linear(inputs, channels, bias=False)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Map `[B, C, H, W]` and conditions `[B, inputs]` to `[B, C, H, W]`."""
        return modulate(self.norm(x), 1 + self.gain(c), self.bias(c))


class Attention(nn.Module):
    """Self-attention. Zhang et al. 2019 (SAGAN), arXiv:1805.08318, eqs. 1 to 3.

    Computes x + γ·o(softmax(θ(x)ᵀ φ(x)) g(x)), with γ = 0 at initialisation. All four are 1×1 convolutions without
    bias: θ and φ have an eighth of the channels, g half of them. φ and g are max-pooled to a quarter of the positions.

    Args:
        channels: Number of channels.
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
        # Not torch's fused attention, which has no second derivative; gradient penalties need one.
        weights = torch.bmm(theta.mT, phi).softmax(2)  # [B, HW, HW/4]
        attended = torch.bmm(g, weights.mT).reshape(len(x), -1, *x.shape[2:])
        out: Tensor = x + self.gamma * self.o(attended)
        return out


def initialize(module: nn.Module) -> None:
    """Draw orthogonal weights (Saxe et al. 2014, arXiv:1312.6120), as in §3, and set biases to 0."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding):
        nn.init.orthogonal_(module.weight)
    if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
        nn.init.zeros_(module.bias)

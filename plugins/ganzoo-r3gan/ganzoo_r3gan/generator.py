"""The generator of R3GAN. Huang et al. 2024, arXiv:2501.05441, §3 and appendix.

The network for CIFAR-10, layer by layer (a + b: weights and biases):

    embedding of the class   10 × 64                                                        640
    linear                   (64 + 64) × 768                                             98,304
    4×4 basis                768 × 4 × 4                                                 12,288
    8 blocks, each with
      1×1, and a bias        768 × 1536 + 1536           1,181,184
      3×3 in 96 groups       1536 × 16 × 9 + 1536          222,720
      1×1                    1536 × 768                  1,179,648   =  2,583,552    20,668,416
    1×1 to the image         768 × 3                                                      2,304
                                                                                     20,781,952
"""

from __future__ import annotations

import torch
from ganzoo_zoo.layers import base_grid, class_vectors
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_r3gan.layers import Resample, channels_of, normal, pointwise, stage

EMBEDDING = 64


class Generator(nn.Module):
    """R3GAN's generator: stages of two residual blocks without normalisation, between which the side is doubled.

    A linear layer maps the latent to the coefficients of a learnt 4×4 basis. At 32×32 RGB, conditional with 10 classes,
    it is the paper's CIFAR-10 network, with 20,781,952 parameters.

    Args:
        shape: Shape of the images.
        width: Channels at every side up to 32; halved with each doubling beyond.
        widths: Channels at the sides 4, 8, …, one number for each, instead of `width`.
        cardinality: Groups of the 3×3 convolutions, a divisor of twice every width; default: groups of 16 channels,
            which are 96 groups at width 768.
        z_dim: Length of the latent, N(0, 1).
        conditional: Condition on classes; an embedding of the label is appended to the latent.

    Raises:
        BadOption: `widths` or `cardinality` does not fit.
    """

    def __init__(
        self,
        shape: ImageShape,
        width: int = 768,
        widths: tuple[int, ...] | None = None,
        cardinality: int | None = None,
        z_dim: int = 64,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        self.z_dim, self.conditional, self.classes = z_dim, conditional, shape.classes
        rows, columns, doublings = base_grid(shape)
        channels = channels_of(doublings, width, widths)
        if conditional:
            self.embedding = nn.Parameter(torch.randn(shape.classes, EMBEDDING))  # N(0, 1), as z
        self.linear = normal(nn.Linear(z_dim + EMBEDDING * conditional, channels[0], bias=False))
        self.basis = nn.Parameter(torch.randn(channels[0], rows, columns))
        layers: list[nn.Module] = []
        for i, after in enumerate(channels):
            if i:
                before = channels[i - 1]
                layers += [] if before == after else [pointwise(before, after)]
                layers += [Resample(up=True)]
            layers += stage(after, cardinality, len(channels))
        self.layers = nn.Sequential(*layers, pointwise(channels[-1], shape.channels))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Generate images.

        Args:
            z: Latents `[B, z_dim]`.
            y: Classes, `[B]` int64 or `[B, K]` probabilities, of a conditional generator.

        Returns:
            Images `[B, C, H, W]`, clamped to [-1, 1] in evaluation mode.
        """
        if self.conditional and y is not None:
            z = torch.cat([z, class_vectors(y, self.classes) @ self.embedding], dim=1)
        x: Tensor = self.layers(self.linear(z)[:, :, None, None] * self.basis)
        # The paper's network has no tanh: it learns the range from the discriminator, which therefore has to be given
        # values outside [-1, 1] in training.
        return x if self.training else x.clamp(-1, 1)

"""StyleGAN2's generator. Karras et al. 2020, arXiv:1912.04958, §2 and §4.

The network for CIFAR-10 follows Karras et al. 2020 (ADA), arXiv:2006.06676, appendix D.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_zoo.equalized import EPSILON, Activation, Linear, activate, normalized
from ganzoo_zoo.layers import base_grid, channels_at, class_vectors
from ganzoo_zoo.resample import Resample

W_DECAY = 0.995


class Generator(nn.Module):
    """StyleGAN2's generator: a mapping network, whose output w modulates the convolutions of a synthesis network.

    The synthesis network starts from a learnt 4×4 constant. The side doubles at the first convolution of each block,
    and the image is the sum of the contributions of all sides (§4.1, "skip" connections).

    With the defaults, at 32×32 RGB, it is the CIFAR-10 network, with 19,947,539 parameters; conditional with 10 classes
    it has 20,215,315. Each pixel receives new noise in training mode and constant noise in evaluation mode, so that an
    image depends on z (and y) only.

    Args:
        shape: Shape of the images.
        width: Maximum number of channels at any side; 512 in the papers.
        z_dim: Length of the latent z, N(0, 1).
        w_dim: Length of the mapped code w, which modulates the convolutions.
        mapping: Number of layers from z to w; 2 for CIFAR-10, 8 for larger images.
        base: Number of channels times side, below the maximum `width`; 16384 makes large images cheaper.
        conditional: Condition on classes; an embedding of the label is appended to the latent.
    """

    w_average: Tensor

    def __init__(
        self,
        shape: ImageShape,
        width: int = 512,
        z_dim: int = 512,
        w_dim: int = 512,
        mapping: int = 2,
        base: int = 32768,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        self.z_dim, self.conditional = z_dim, conditional
        self.mapping = Mapping(z_dim, w_dim, mapping, shape.classes if conditional else 0)
        self.register_buffer("w_average", torch.zeros(w_dim))
        rows, columns, doublings = base_grid(shape)
        inputs = channels_at(4, width, base)
        self.constant = nn.Parameter(torch.randn(1, inputs, rows, columns))
        self.blocks = nn.ModuleList()
        for i in range(doublings + 1):
            outputs = channels_at(4 << i, width, base)
            self.blocks.append(Block(inputs, outputs, shape.channels, w_dim, (rows << i, columns << i), first=i == 0))
            inputs = outputs

    def map(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map latents to codes w. In training mode this updates the running average of w.

        Args:
            z: Latents `[B, z_dim]`.
            y: Classes, `[B]` int64 or `[B, K]` probabilities, of a conditional generator.

        Returns:
            Codes `[B, w_dim]`.
        """
        w: Tensor = self.mapping(z, y)
        if self.training:
            with torch.no_grad():
                self.w_average.lerp_(w.mean(0).to(self.w_average.dtype), 1 - W_DECAY)
        return w

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """Move codes towards their average: less variety, better quality.

        Karras et al. 2019, arXiv:1812.04948, appendix B.

        Args:
            w: Codes `[B, w_dim]`.
            psi: ψ: 1 leaves the codes unchanged, 0 returns the average for all of them.
        """
        return torch.lerp(self.w_average, w, psi)

    def synthesize(self, w: Tensor) -> Tensor:
        """Generate images from codes.

        Args:
            w: Codes `[B, w_dim]`.

        Returns:
            Images `[B, C, H, W]`, near [-1, 1] but not clamped.
        """
        x, image = self.constant.expand(len(w), -1, -1, -1), None
        for block in self.blocks:
            x, image = block(x, image, w)
        return cast(Tensor, image)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Generate images.

        Args:
            z: Latents `[B, z_dim]`.
            y: Classes, `[B]` int64 or `[B, K]` probabilities, of a conditional generator.

        Returns:
            Images `[B, C, H, W]`, clamped to [-1, 1] in evaluation mode.
        """
        image = self.synthesize(self.map(z, y))
        # The network has no tanh. Values outside [-1, 1] are kept in training, where the discriminator corrects them;
        # a clamp would have no gradient there.
        return image if self.training else image.clamp(-1, 1)


class Mapping(nn.Module):
    """The mapping network: layers with a hundredth of the learning rate, applied to z and the label embedding.

    Both inputs are normalised to a mean square of 1.

    Args:
        z_dim: Length of z.
        w_dim: Length of w, of the hidden layers and of the label embedding.
        layers: Number of layers.
        classes: Number of classes; 0 for an unconditional generator.
    """

    def __init__(self, z_dim: int, w_dim: int, layers: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.embedding = Linear(classes, w_dim) if classes else None
        inputs = z_dim + w_dim * (classes > 0)
        self.layers = nn.Sequential()
        for i in range(layers):
            self.layers.extend([Linear(w_dim if i else inputs, w_dim, rate=0.01), Activation()])

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Map z `[B, z_dim]` and y (`[B]`, `[B, K]` or None) to w `[B, w_dim]`."""
        x = normalized(z)
        if self.embedding is not None and y is not None:
            label: Tensor = self.embedding(class_vectors(y, self.classes).to(z.dtype))
            x = torch.cat([x, normalized(label)], dim=1)
        w: Tensor = self.layers(x)
        return w


class Block(nn.Module):
    """The convolutions of one side and its contribution to the image. Figure 7b.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        channels: Channels of the image.
        w_dim: Length of w.
        sides: Height and width of the output.
        first: Whether it is the block at 4×4, which has one convolution instead of two and does not upsample.
    """

    def __init__(
        self, inputs: int, outputs: int, channels: int, w_dim: int, sides: tuple[int, int], first: bool
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList([StyledConvolution(outputs, outputs, w_dim, sides)])
        if not first:
            self.layers.insert(0, StyledConvolution(inputs, outputs, w_dim, sides, up=True))
        self.to_image = ToImage(outputs, channels, w_dim)
        self.enlarge = Resample(stride=2, padding=1, transposed=True, gain=4)

    def forward(self, x: Tensor, image: Tensor | None, w: Tensor) -> tuple[Tensor, Tensor]:
        """Map maps `[B, inputs, H', W']`, the image so far and w to the maps and the image of this block's side."""
        for layer in self.layers:
            x = layer(x, w)
        contribution: Tensor = self.to_image(x, w)
        return x, contribution if image is None else self.enlarge(image) + contribution


class StyledConvolution(nn.Module):
    """A 3×3 convolution modulated by w, then noise of learnt strength, bias and leaky ReLU. Figure 2d.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        w_dim: Length of w.
        sides: Height and width of the output.
        up: Double the side.
    """

    noise: Tensor

    def __init__(self, inputs: int, outputs: int, w_dim: int, sides: tuple[int, int], up: bool = False) -> None:
        super().__init__()
        self.style, self.gain = Linear(w_dim, inputs, bias=1.0), 1 / math.sqrt(inputs * 9)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(1, 1, *sides))
        self.blur = Resample(padding=1, gain=4) if up else None

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map `[B, inputs, H', W']` and w `[B, w_dim]` to `[B, outputs, H, W]`."""
        style = self.style(w) * self.gain
        x = modulated_convolution(x, self.weight, style, up=self.blur is not None)
        if self.blur is not None:
            x = self.blur(x)
        noise = torch.randn_like(x[:, :1]) if self.training else self.noise.to(x.dtype)
        return activate(x + self.strength * noise + self.bias.to(x.dtype))


class ToImage(nn.Module):
    """A 1×1 convolution modulated by w, without demodulation, and a bias.

    Args:
        inputs: Input channels.
        channels: Channels of the image.
        w_dim: Length of w.
    """

    def __init__(self, inputs: int, channels: int, w_dim: int) -> None:
        super().__init__()
        self.style, self.gain = Linear(w_dim, inputs, bias=1.0), 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map `[B, inputs, H, W]` and w `[B, w_dim]` to `[B, channels, H, W]`, in fp32 under autocast."""
        return modulated_convolution(x, self.weight, self.style(w) * self.gain, demodulate=False) + self.bias


def modulated_convolution(
    x: Tensor, weight: Tensor, style: Tensor, demodulate: bool = True, up: bool = False, grouped: bool = False
) -> Tensor:
    """Convolve each image with its own weights: s_i w_ijk (eq. 1), scaled to norm 1 for each output (eq. 3).

    Scaling the weights of an input channel equals scaling that channel, so a single convolution of s·x serves all
    images, and its outputs are scaled. With `grouped` the paper's form is used (appendix B): one set of weights for
    each image, as the groups of one convolution. Both agree up to rounding; the first needs less memory and is faster
    on a CPU.

    Args:
        x: Maps `[B, I, H, W]`.
        weight: Weights w `[O, I, k, k]`.
        style: Styles s `[B, I]`.
        demodulate: Scale the outputs (eq. 3).
        up: Use the transposed convolution with stride 2, whose output should be blurred.
        grouped: Use a grouped convolution.

    Returns:
        `[B, O, H, W]`, or `[B, O, 2H + k - 2, 2W + k - 2]` with `up`.
    """
    if grouped:
        own = weight * style[:, None, :, None, None]  # [B, O, I, k, k]
        if demodulate:
            own = own * own.square().sum((2, 3, 4), keepdim=True).add(EPSILON).rsqrt()
        y = convolve(x.flatten(0, 1)[None], own, up)
        return y.reshape(len(x), len(weight), *y.shape[2:])
    y = convolve(x * style[:, :, None, None], weight[None], up)
    if not demodulate:
        return y
    norm = (style.square() @ weight.square().sum((2, 3)).T).add(EPSILON).rsqrt()  # [B, O]
    return y * norm[:, :, None, None].to(y.dtype)


def convolve(x: Tensor, weights: Tensor, up: bool) -> Tensor:
    """Convolve in groups.

    Args:
        x: Maps `[B, G·I, H, W]` of G groups.
        weights: Weights `[G, O, I, k, k]`.
        up: Double the side by a transposed convolution.
    """
    if up:
        return F.conv_transpose2d(x, weights.transpose(1, 2).flatten(0, 1), stride=2, groups=len(weights))
    return F.conv2d(x, weights.flatten(0, 1), padding=weights.shape[-1] // 2, groups=len(weights))

"""StyleGAN2 generator. Karras et al. 2020, arXiv:1912.04958, §2 and §4; for CIFAR-10, Karras et al. 2020 (ADA),
arXiv:2006.06676, appendix D.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo_zoo.layers import class_vectors
from ganzoo_zoo.resample import Resample

W_DECAY = 0.995
EPSILON = 1e-8


class Generator(nn.Module):
    """z → w by a small network; a learnt 4×4 constant → … → image by convolutions that w modulates.

    The side doubles at the first of each two convolutions, and the image is the sum of what every side adds to it
    (§4.1, "skip" connections). Any power of two from 8.

    At 32×32 RGB with the defaults it is the CIFAR-10 network, with 19,947,539 parameters; conditional with 10 classes
    it has 20,215,315. In training each pixel meets new noise; in evaluation always the same, so that z (and y) alone
    decide an image.

    Args:
        width: most channels at any side; 512 in the papers.
        z_dim: length of the latent z, N(0, 1).
        w_dim: length of what it is mapped to, which modulates the convolutions.
        mapping: layers from z to w; 2 for CIFAR-10, 8 for larger images.
        base: channels times side, up to `width` channels; 16384 makes large images cheaper.
        conditional: generate the class asked for; the label, embedded, is appended to the latent.
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
        inputs = channels_at(4, width, base)
        self.constant = nn.Parameter(torch.randn(1, inputs, 4, 4))
        self.blocks = nn.ModuleList()
        for side in (2**i for i in range(2, shape.size.bit_length())):
            outputs = channels_at(side, width, base)
            self.blocks.append(Block(inputs, outputs, shape.channels, w_dim, side))
            inputs = outputs

    def map(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map z `[B, z_dim]` (and y, `[B]` or `[B, K]`, when conditional) to w `[B, w_dim]`.

        In training the running average of w moves towards these.
        """
        w: Tensor = self.mapping(z, y)
        if self.training:
            with torch.no_grad():
                self.w_average.lerp_(w.mean(0).to(self.w_average.dtype), 1 - W_DECAY)
        return w

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """Return w `[B, w_dim]` moved towards their average: ψ = 1 leaves them, 0 makes all the same.

        Less varied images of better quality; Karras et al. 2019, arXiv:1812.04948, appendix B.
        """
        return torch.lerp(self.w_average, w, psi)

    def synthesize(self, w: Tensor) -> Tensor:
        """Map w `[B, w_dim]` to images `[B, C, H, W]` as they are learnt: near [-1, 1], and not cut off there."""
        x, image = self.constant.expand(len(w), -1, -1, -1), None
        for block in self.blocks:
            x, image = block(x, image, w)
        return cast(Tensor, image)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map z `[B, z_dim]` (and y, `[B]` or `[B, K]`, when conditional) to images in [-1, 1]."""
        image = self.synthesize(self.map(z, y))
        # No tanh ends this network. In training a value outside [-1, 1] has to stay there, where the discriminator sees
        # and corrects it: a clamp has no gradient. Whoever uses the images gets what the contract says.
        return image if self.training else image.clamp(-1, 1)


def channels_at(side: int, width: int, base: int) -> int:
    """Return the channels of maps of this side."""
    return max(1, min(width, base // side))


class Mapping(nn.Module):
    """z and the embedded label, each of unit mean square → w, by layers with a hundredth of the learning rate."""

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
    """The convolutions of one side, and what it adds to the image. At 4×4 there is one, later two. Figure 7b."""

    def __init__(self, inputs: int, outputs: int, channels: int, w_dim: int, side: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([StyledConvolution(outputs, outputs, w_dim, side)])
        if side > 4:
            self.layers.insert(0, StyledConvolution(inputs, outputs, w_dim, side, up=True))
        self.to_image = ToImage(outputs, channels, w_dim)
        self.enlarge = Resample(stride=2, padding=1, transposed=True, gain=4)

    def forward(self, x: Tensor, image: Tensor | None, w: Tensor) -> tuple[Tensor, Tensor]:
        """Map maps `[B, inputs, H', W']`, the image so far and w to maps and image of this block's side."""
        for layer in self.layers:
            x = layer(x, w)
        added: Tensor = self.to_image(x, w)
        return x, added if image is None else self.enlarge(image) + added


class StyledConvolution(nn.Module):
    """A 3×3 convolution modulated by w, noise of a learnt strength, bias, leaky ReLU. Figure 2d."""

    noise: Tensor

    def __init__(self, inputs: int, outputs: int, w_dim: int, side: int, up: bool = False) -> None:
        super().__init__()
        self.style, self.gain = Linear(w_dim, inputs, bias=1.0), 1 / math.sqrt(inputs * 9)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(1, 1, side, side))
        self.blur = Resample(padding=1, gain=4) if up else None

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map `[B, inputs, H', W']` and w `[B, w_dim]` to `[B, outputs, side, side]`."""
        style = self.style(w) * self.gain
        x = modulated_convolution(x, self.weight, style, up=self.blur is not None)
        if self.blur is not None:
            x = self.blur(x)
        noise = torch.randn_like(x[:, :1]) if self.training else self.noise.to(x.dtype)
        return activate(x + self.strength * noise + self.bias.to(x.dtype))


class ToImage(nn.Module):
    """A 1×1 convolution modulated by w and not demodulated, and a bias: maps → what they add to the image."""

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
    """Convolve each image with weights of its own: s_i w_ijk (eq. 1), scaled so that each output has norm 1 (eq. 3).

    x `[B, I, H, W]`, weight `[O, I, k, k]`, style s `[B, I]` → `[B, O, H, W]`, or `[B, O, 2H + k - 2, 2W + k - 2]`
    with `up`: the transposed convolution, whose output wants a blur.

    To scale the weights of an input is to scale the input, so one convolution of s·x does for all images, and its
    outputs are scaled. `grouped` has the paper's form (appendix B): a set of weights an image, as groups of one
    convolution. Both are the same to rounding; on a CPU the first is faster, and it needs less memory.
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
    """Convolve x `[B, G·I, H, W]` in G groups with weights `[G, O, I, k, k]`; doubling the side with `up`."""
    if up:
        return F.conv_transpose2d(x, weights.transpose(1, 2).flatten(0, 1), stride=2, groups=len(weights))
    return F.conv2d(x, weights.flatten(0, 1), padding=weights.shape[-1] // 2, groups=len(weights))


class Linear(nn.Module):
    """A linear layer of equalised learning rate: weights ~ N(0, 1) that are scaled by 1/√inputs when used.

    Karras et al. 2018, arXiv:1710.10196, §4.1. `bias` is its value at the start. `rate` multiplies the learning rate:
    the parameters are as many times larger and their use as many times smaller.
    """

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.rate, self.gain = rate, rate / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, inputs]` to `[B, outputs]`."""
        return torch.addmm(self.bias, x, self.weight.T, beta=self.rate, alpha=self.gain)


class Activation(nn.Module):
    """Leaky ReLU 0.2, times √2."""

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor to one of the same shape."""
        return activate(x)


def activate(x: Tensor) -> Tensor:
    """Return leaky ReLU 0.2 of x times √2, which about keeps the mean square of N(0, 1)."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def normalized(x: Tensor) -> Tensor:
    """Return vectors `[B, F]` scaled to a mean square of 1."""
    return x * x.square().mean(1, keepdim=True).add(EPSILON).rsqrt()

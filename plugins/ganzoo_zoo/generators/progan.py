"""The generator of progressive growing (ProGAN). Karras et al. 2018, arXiv:1710.10196, §2, §4 and appendix A."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.errors import Incompatible
from ganzoo_zoo.equalized import Convolution, PixelNorm, normalized
from ganzoo_zoo.layers import base_grid, channels_at, class_vectors

HE = math.sqrt(2)
"""Gain of weights before a leaky ReLU; He's constant is this divided by the square root of the fan-in (§4.1)."""


class Generator(nn.Module):
    """ProGAN's generator: a stage at 4×4, then one for each doubling of the side, which are added during training.

    The stage at 4×4 is a 4×4 convolution of the latent, normalised to a mean square of 1, and a 3×3 convolution. Each
    further stage doubles the side by nearest-neighbour upsampling, followed by two 3×3 convolutions. Layers have
    equalised learning rate (§4.1), leaky ReLU with slope 0.2 and pixelwise feature vector normalisation (§4.2); a 1×1
    convolution makes the image of each stage (table 2). With the defaults, at 1024×1024 RGB, the layers of table 2
    have 23,071,507 parameters, and the image layers of the eight earlier stages 7,608 more.

    While a stage is introduced, its image is blended with that of the stage before; the weight α of the new one rises
    linearly from 0 to 1 (figure 2). See `Growth` for the schedule. Images have the full size at all times: the image
    of the newest stage is enlarged by nearest-neighbour upsampling, and ProGAN's discriminator averages it, and real
    images, down to the side of its own newest stage. Stages that are not yet in use are not computed; the image layers
    of earlier stages have weight 0. A network that was not trained yet makes images with all stages.

    A conditional generator appends the class vector to the latent before it is normalised, as in the authors' code.

    Args:
        shape: Shape of the images.
        width: Maximum number of channels at any side.
        z_dim: Length of the latent z, N(0, 1).
        base: Number of channels times side, below the maximum `width`; 16384 in table 2, 8192 for CIFAR-10.
        grow: Fraction of the run after which all stages are in use, in [0, 1]; the discriminator needs the same value.
            0 trains all stages from the start.
        conditional: Condition on classes.
    """

    def __init__(
        self,
        shape: ImageShape,
        width: int = 512,
        z_dim: int = 512,
        base: int = 16384,
        grow: float = 0.5,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        self.z_dim, self.conditional, self.classes = z_dim, conditional, shape.classes
        rows, columns, doublings = base_grid(shape)
        channels = [channels_at(4 << i, width, base) for i in range(doublings + 1)]
        inputs = z_dim + shape.classes * conditional
        self.blocks = nn.ModuleList([Block(Start(inputs, channels[0], rows, columns), channels[0])])
        for before, after in itertools.pairwise(channels):
            up = nn.Sequential(nn.Upsample(scale_factor=2.0), Convolution(before, after, 3, gain=HE))
            self.blocks.append(Block(up, after))
        self.to_image = nn.ModuleList(Convolution(n, shape.channels, 1) for n in channels)
        self.growth = Growth(doublings + 1, grow)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Generate images.

        Args:
            z: Latents `[B, z_dim]`.
            y: Classes, `[B]` int64 or `[B, K]` probabilities, of a conditional generator.

        Returns:
            Images `[B, C, H, W]`, clamped to [-1, 1] in evaluation mode.
        """
        if self.conditional:
            assert y is not None, "a conditional generator needs classes"
            z = torch.cat([z, class_vectors(y, self.classes).to(z.dtype)], dim=1)
        alphas = self.growth()
        x, image = normalized(z)[:, :, None, None], None
        for block, to_image, alpha in zip(self.blocks, self.to_image, alphas, strict=False):
            x = block(x)
            newest: Tensor = to_image(x)
            image = newest if image is None else torch.lerp(enlarge(image, 2), newest, alpha)
        assert image is not None
        image = enlarge(image, 1 << len(self.blocks) - len(alphas))
        # The last layer is linear (table 2). In training the discriminator corrects values outside [-1, 1]; a clamp
        # would have no gradient there.
        return image if self.training else image.clamp(-1, 1)


class Growth(nn.Module):
    """The schedule of a network that grows by stages during training. Appendix A.1.

    Phases of equal length alternate: in one the newest stage is trained in full, in the next another one is faded in.
    They end after the fraction `grow` of the run, when the last stage is faded in; the rest of the run trains the full
    network. A network whose progress was never set has all stages.

    The buffer `progress` holds how much of the run was done, so that checkpoints, averaged copies and model folders
    keep it. It is read in evaluation mode only, because reading it waits for the device.

    Args:
        stages: Number of stages.
        grow: Fraction of the run after which all stages are in use, in [0, 1].
    """

    progress: Tensor

    def __init__(self, stages: int, grow: float) -> None:
        super().__init__()
        if not 0 <= grow <= 1:
            raise Incompatible(f"`grow` is {grow}, not a fraction of the run in [0, 1]; 0 trains all stages at once")
        self.stages, self.grow = stages, grow
        self.told: float | None = None
        self.register_buffer("progress", torch.ones(()))
        self.register_load_state_dict_post_hook(believe_buffer)  # type: ignore[no-untyped-call]

    def set_progress(self, progress: float) -> None:
        """Note the fraction of the run that is done, in [0, 1]."""
        self.told = progress
        self.progress.fill_(progress)

    def forward(self) -> list[float]:
        """Return the weight α of each stage in use, in (0, 1], from the smallest side on; all but the last are 1."""
        known = self.told if self.training else None
        level = self.level(float(self.progress) if known is None else known)
        return [min(level - i + 1, 1.0) for i in range(math.ceil(level) + 1)]

    def level(self, progress: float) -> float:
        """Return the number of stages beyond the first at a fraction of the run; one that is faded in counts as α."""
        last = self.stages - 1
        if progress >= self.grow:
            return float(last)
        phase = 2 * last * progress / self.grow
        return phase // 2 + max(phase % 2 - 1, 0.0)

    def extra_repr(self) -> str:
        """Return the schedule as text."""
        return f"stages={self.stages}, grow={self.grow}"


def believe_buffer(module: nn.Module, keys: object) -> None:
    """Let the progress that was loaded replace the one that was set before."""
    module.told = None  # type: ignore[assignment]


class Block(nn.Sequential):
    """A layer that makes maps of a stage's side, and a 3×3 convolution, each followed by leaky ReLU and pixel norm.

    Args:
        first: The layer that makes the maps.
        channels: Number of channels of the maps.
    """

    def __init__(self, first: nn.Module, channels: int) -> None:
        second = Convolution(channels, channels, 3, gain=HE)
        super().__init__(first, nn.LeakyReLU(0.2), PixelNorm(), second, nn.LeakyReLU(0.2), PixelNorm())


class Start(nn.Module):
    """The 4×4 convolution of a latent, padded by 3: each position of the output has its own weights.

    Args:
        inputs: Length of the latent.
        outputs: Output channels.
        rows: Height of the output.
        columns: Width of the output.
    """

    def __init__(self, inputs: int, outputs: int, rows: int, columns: int) -> None:
        super().__init__()
        self.gain = HE / math.sqrt(inputs * rows * columns)
        self.weight = nn.Parameter(torch.randn(inputs, outputs, rows, columns))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, inputs, 1, 1]` to `[B, outputs, rows, columns]`."""
        return F.conv_transpose2d(x, self.weight * self.gain, self.bias)


def enlarge(image: Tensor, factor: int) -> Tensor:
    """Return images `[B, C, H, W]` with each pixel repeated `factor` times along both sides."""
    return image if factor == 1 else F.interpolate(image, scale_factor=float(factor))

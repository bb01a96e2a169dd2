"""Augmentations whose strength follows the discriminator's overfitting."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ganzoo.strategy.step import Step
from ganzoo_zoo.augments.pipeline import color, geometry


class Adaptive(nn.Module):
    """Base of adaptive augmentations: a probability p that increases while the discriminator overfits.

    After each update of the discriminator, r = E sign(D(x)) over real images is compared with a target, and p changes
    by a fixed amount in that direction. Karras et al. 2020 (ADA), arXiv:2006.06676, §3, eq. 1.

    Args:
        target: Target of r.
        kimg: Thousands of images in which p can rise from 0 to 1; 0 keeps p constant.
        start: Initial value of p.

    Raises:
        ValueError: `start` is not in [0, 1].
    """

    p: Tensor

    def __init__(self, target: float, kimg: float, start: float) -> None:
        super().__init__()
        if not 0 <= start <= 1:
            raise ValueError(f"start is a probability in [0, 1], not {start}")
        self.target, self.kimg = target, kimg
        self.register_buffer("p", torch.tensor(float(start)))

    @torch.no_grad()
    def adapt(self, s: Step) -> None:
        """Update p from the logits of this step's real images."""
        if self.kimg:
            r = s.discriminate("real")[0].adv.sign().mean()
            self.p.add_((r - self.target).sign() * (s.world * s.batch_size / (1000 * self.kimg))).clamp_(0, 1)


class ADA(Adaptive):
    """Adaptive discriminator augmentation (ADA): transforms images with a probability that follows overfitting.

    Geometric transformations are followed by colour transformations, in the paper's order (arXiv:2006.06676, §2.3 and
    appendix B); those of each kind are combined to one matrix per image. Images are resampled bilinearly with reflected
    borders, where the authors use wavelet filters.

    Args:
        pipe: Transformations: "b" (mirroring, 90° rotations, integer translations), "bg" (also scaling, rotation,
            anisotropic scaling, fractional translation) or "bgc" (also brightness, contrast, luma inversion, hue,
            saturation).
        target: Target of r, the mean sign of the discriminator's logits of real images.
        kimg: Thousands of images in which p can rise from 0 to 1; 0 keeps p constant.
        start: Initial value of p.
        flip: Include mirroring. Unsuitable for digits and text.
        turn: Include 90° rotations.
    """

    def __init__(
        self,
        pipe: Literal["b", "bg", "bgc"] = "bgc",
        target: float = 0.6,
        kimg: float = 500.0,
        start: float = 0.0,
        flip: bool = True,
        turn: bool = True,
    ) -> None:
        super().__init__(target, kimg, start)
        self.pipe, self.flip, self.turn = pipe, flip, turn

    def forward(self, x: Tensor, name: str, s: Step) -> Tensor:
        """Augment images.

        Args:
            x: Images `[B, C, H, W]` in [-1, 1].
            name: Name of the images in the step.
            s: The step.

        Returns:
            Images of the same shape.
        """
        with torch.autocast(x.device.type, enabled=False):
            x = geometry(x.float(), self.p, self.flip, self.turn, general="g" in self.pipe)
            return color(x, self.p) if "c" in self.pipe else x


class APA(Adaptive):
    """Adaptive pseudo augmentation (APA): replaces real images with a probability that follows overfitting.

    Each real image is replaced by a generated one with probability p; Jiang et al. 2021, arXiv:2111.06849, §3.2. Only
    unlabelled real images are replaced. This takes one more pass of the generator.

    Args:
        target: Target of r, the mean sign of the discriminator's logits of real images.
        kimg: Thousands of images in which p can rise from 0 to 1; 0 keeps p constant.
        start: Initial value of p.
    """

    def __init__(self, target: float = 0.6, kimg: float = 500.0, start: float = 0.0) -> None:
        super().__init__(target, kimg, start)

    def forward(self, x: Tensor, name: str, s: Step) -> Tensor:
        """Replace real images by generated ones, each with probability p. Other images are returned unchanged.

        Args:
            x: Images `[B, C, H, W]` in [-1, 1].
            name: Name of the images in the step.
            s: The step.

        Returns:
            Images of the same shape.
        """
        if name != "real" or s.classes("real") is not None or "discriminator" not in s.updating:
            return x
        with torch.no_grad():
            fake = s.generate(s.z[torch.arange(len(x), device=x.device) % s.batch_size].roll(1, 0), s.y)
        replaced = torch.rand(len(x), 1, 1, 1, device=x.device) < self.p
        return torch.where(replaced, fake, x)

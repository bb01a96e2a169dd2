"""Augmentations whose strength follows how much the discriminator overfits."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ganzoo.step import Step
from ganzoo_zoo.augments.pipeline import color, geometry


class Adaptive(nn.Module):
    """A probability that rises while the discriminator is too sure of real images, and falls while it is not.

    r = E sign(D(x)) is compared with a target after each of its steps, and p moves by a fixed amount towards it.
    Karras et al. 2020 (ADA), arXiv:2006.06676, §3, eq. 1.
    """

    p: Tensor

    def __init__(self, target: float, kimg: float, start: float) -> None:
        super().__init__()
        if not 0 <= start <= 1:
            raise ValueError(f"it begins with a probability of {start}, and that is in [0, 1]")
        self.target, self.kimg = target, kimg
        self.register_buffer("p", torch.tensor(float(start)))

    @torch.no_grad()
    def adapt(self, s: Step) -> None:
        """Move p by what this step's discriminator said of real images."""
        if self.kimg:
            r = s.see("real")[0].adv.sign().mean()
            self.p.add_((r - self.target).sign() * (s.world * s.size / (1000 * self.kimg))).clamp_(0, 1)


class ADA(Adaptive):
    """Changes every image that the discriminator sees, each change with a probability p that follows overfitting.

    Geometry, then colour, in the paper's order (§2.3 and appendix B); all changes of a kind are one matrix an image.
    Images are resampled bilinearly, with mirrored edges, where the authors filter with wavelets.

    Args:
        pipe: which changes: b (mirror, quarter turns, whole shifts), bg (and zoom, rotation, stretch, shifts), bgc (and
            brightness, contrast, inversion of luma, hue, saturation).
        target: of r, the mean sign of the discriminator's output on real images.
        kimg: thousands of images in which p can rise from 0 to 1; 0 keeps it where it starts.
        start: p at the beginning.
        flip: mirror images too; not for digits and text.
        turn: quarter turns too.
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
        """Map images `[B, C, H, W]` in [-1, 1] to changed ones of the same shape."""
        with torch.autocast(x.device.type, enabled=False):
            x = geometry(x.float(), self.p, self.flip, self.turn, general="g" in self.pipe)
            return color(x, self.p) if "c" in self.pipe else x


class APA(Adaptive):
    """Shows the discriminator generated images as real ones, with a probability that follows overfitting.

    Jiang et al. 2021, arXiv:2111.06849, §3.2. Unlabelled real images alone are exchanged, for images made for it: one
    more pass of the generator.

    Args:
        target: of r, the mean sign of the discriminator's output on real images.
        kimg: thousands of images in which p can rise from 0 to 1; 0 keeps it where it starts.
        start: p at the beginning.
    """

    def __init__(self, target: float = 0.6, kimg: float = 500.0, start: float = 0.0) -> None:
        super().__init__(target, kimg, start)

    def forward(self, x: Tensor, name: str, s: Step) -> Tensor:
        """Map images `[B, C, H, W]`: real ones to generated ones, each with probability p, and others to themselves."""
        if name != "real" or s.classes("real") is not None or "discriminator" not in s.moving:
            return x
        with torch.no_grad():
            fake = s.generate(s.z[torch.arange(len(x), device=x.device) % s.size].roll(1, 0), s.y)
        chosen = torch.rand(len(x), 1, 1, 1, device=x.device) < self.p
        return torch.where(chosen, fake, x)

"""What the tests of StyleGAN2 share."""

from __future__ import annotations

from typing import Any

import torch
from ganzoo_zoo.generators.stylegan2 import Generator

from ganzoo import ImageShape

F64 = torch.float64

RGB32 = ImageShape(3, 32, 32, 10)

TINY: dict[str, Any] = {"width": 4, "z_dim": 6, "w_dim": 5}


def small(size: int = 16, channels: int = 3, **options: Any) -> Generator:
    """Return a small generator whose noise and biases are at work, as after some training."""
    made = Generator(ImageShape(channels, size, size, 3), **TINY | options)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith(("strength", "bias")):
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return made

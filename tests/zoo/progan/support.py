"""What the tests of progressive growing share."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from ganzoo_zoo.generators.progan import Generator
from torch import Tensor, nn

from ganzoo import ImageShape

F64 = torch.float64

SHAPE = ImageShape(3, 16, 16, 3)

TINY: dict[str, Any] = {"width": 6, "z_dim": 5, "base": 64}

RUN: dict[str, Any] = {
    "gen": "progan",
    "disc": "progan",
    "gen.width": 8,
    "disc.width": 8,
    "gen.z_dim": 8,
    "loss": "wasserstein",
    "penalties.gradient-penalty.weight": 10.0,
    "ssl": "none",
    "data.source": "digits",
    "data.size": 16,
    "batch_size": 8,
    "precision": "fp32",
    "ema": 0.9,
    "steps": 8,
}


def small(kind: type[nn.Module], channels: int = 3, **options: Any) -> Any:
    """Return a small network in fp64 whose biases are at work, as after some training."""
    allowed = TINY if kind is Generator else {"width": 6, "base": 64, "group": 0}
    made = kind(ImageShape(channels, 16, 16, 3), **allowed | options).double()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("bias"):
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return made


def at(network: Any, progress: float) -> Any:
    network.growth.set_progress(progress)
    return network


def averaged(x: Tensor, side: int) -> Tensor:
    return F.adaptive_avg_pool2d(x, side)


LEVELS = {0.0: 0, 0.1: 0, 0.15: 0.2, 0.2: 0.6, 0.25: 1, 0.3: 1, 0.45: 1.6, 0.5: 2, 0.9: 2}  # of three stages

"""Same weights in, same outputs out, as independent public implementations gave; their numbers are in `fixtures`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from ganzoo_zoo.discriminators import sngan as discriminator
from ganzoo_zoo.generators import sngan as generator
from torch import Tensor, nn

from ganzoo import ImageShape

FIXTURES = Path(__file__).parent / "fixtures"
SHAPE = ImageShape(3, 32, 0)


def rule(shape: Iterable[int], number: int) -> Tensor:
    """Return what number `number` of all tensors is filled with: sin(0.37 i + 1.3 number)."""
    size = [*shape]
    return torch.sin(0.37 * torch.arange(math.prod(size), dtype=torch.float64) + 1.3 * number).reshape(size)


def fill(layers: list[Any]) -> None:
    """Fill weights and biases: weights scaled by √(1.5 / inputs), biases by a tenth, gains of norms 1 more."""
    for place, layer in enumerate(layers):
        for number, parameter in ((2 * place, layer.weight), (2 * place + 1, layer.bias)):
            inputs = math.prod(parameter.shape[1:]) if parameter.ndim > 1 else 0
            value = rule(parameter.shape, number) * (math.sqrt(1.5 / inputs) if inputs else 0.1)
            parameter.data = (value + (isinstance(layer, nn.BatchNorm2d) and number % 2 == 0)).float()


def wanted(name: str) -> dict[str, Any]:
    return json.loads((FIXTURES / f"{name}.json").read_text())


def test_sngan_generator() -> None:
    made = generator.Generator(SHAPE, width=8, z_dim=16).train()
    blocks = [(b.norm1.norm, b.norm2.norm, b.conv1, b.conv2, b.shortcut) for b in made.blocks]
    fill([made.start[0], *(layer for block in blocks for layer in block), made.end[0], made.end[2]])
    images = made(rule((4, 16), 50).float())
    assert images.flatten()[::401].tolist() == pytest.approx(wanted("sngan")["image_values"], abs=1e-5)
    assert images.mean().item() == pytest.approx(wanted("sngan")["image_mean"], abs=1e-6)


def test_sngan_discriminator() -> None:
    trunk = discriminator.Discriminator(SHAPE, width=8, norm="none")
    last = trunk.last_layer(1)
    parts = [layer for b in trunk.blocks for layer in (b.conv1, b.conv2, b.shortcut) if isinstance(layer, nn.Conv2d)]
    fill([*parts, last])
    said = last(trunk(rule((4, 3, 32, 32), 51).float())).squeeze(1)
    assert said.tolist() == pytest.approx(wanted("sngan")["realness"], rel=1e-5)

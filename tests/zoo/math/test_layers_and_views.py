"""Weight normalisation and the views of images."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from ganzoo_zoo.layers import WeightNorm, WeightNormConv2d, WeightNormLinear
from ganzoo_zoo.penalties.classifier import (
    imbalance,
)
from ganzoo_zoo.ssl.pseudolabel import guess_loss
from torch import Tensor

from ganzoo.config.schema import DataConfig
from ganzoo.data import views
from tests.zoo.math.reference import SIDE, assert_close, gradients


def weight_norm(kind: str, **options: Any) -> WeightNorm:
    if kind == "linear":
        return WeightNormLinear(7, 4, **options)
    return WeightNormConv2d(2, 4, kernel=3, stride=2, padding=2, **options)


LAYERS = {"linear": (30, 7), "convolution": (10, 2, 6, 6)}

"""Sizes of the inputs."""

CASES = [("linear", 1.0), ("linear", 0.1), ("convolution", 1.0)]

"""Kinds of layers and the standard deviation of their outputs over the first batch."""


def applied(layer: WeightNorm, x: Tensor, weight: Tensor, b: Tensor) -> Tensor:
    if weight.ndim == 2:
        return torch.stack([(x * w).sum(1) for w in weight], 1) + b
    windows = F.unfold(x, weight.shape[2:], padding=layer.padding, stride=layer.stride)  # [B, in·k·k, places]
    side = math.isqrt(windows.shape[2])
    return (torch.einsum("oi,bip->bop", weight.flatten(1), windows) + b[:, None]).unflatten(2, (side, side))


@pytest.mark.parametrize(("kind", "deviation"), CASES)
def test_weight_norm_is_initialised_by_the_first_batch(kind: str, deviation: float) -> None:
    size = LAYERS[kind]
    options = {"deviation": deviation} if kind == "linear" else {}
    layer, x = weight_norm(kind, **options), torch.randn(size) * 3 + 1
    layer.eval()(x)
    assert (layer.g == 1).all()  # looking changes nothing
    y = layer.train()(x)
    others = [0, *range(2, y.ndim)]
    assert_close(y.mean(others), torch.zeros(4), 1e-9)
    assert_close(y.std(others, correction=0), torch.full((4,), deviation), 1e-6)
    before = layer.g.clone(), layer.b.clone()
    layer(torch.randn(size))
    assert torch.equal(layer.g, before[0])
    assert torch.equal(layer.b, before[1])


@pytest.mark.parametrize(("kind", "learn"), [("linear", True), ("linear", False), ("convolution", False)])
def test_weight_norm_and_its_gradient(kind: str, learn: bool) -> None:
    size = LAYERS[kind]
    options = {"learn_scale": learn} if kind == "linear" else {}
    layer, x = weight_norm(kind, **options), torch.randn(size, requires_grad=True)
    layer(torch.randn(size))
    assert layer.g.requires_grad == learn
    norm = torch.stack([(v**2).sum().sqrt() for v in layer.v]).detach()
    wide = (-1, *[1] * (layer.v.ndim - 1))
    weight = (layer.g.reshape(wide) * layer.v / norm.reshape(wide)).detach().requires_grad_()
    y, naive = layer(x), applied(layer, x, weight, layer.b)
    assert_close(y, naive)
    towards = torch.randn_like(y)
    dw, db, dx = gradients((naive * towards).sum(), [weight, layer.b, x])
    dg = (dw * layer.v / norm.reshape(wide)).flatten(1).sum(1)  # eq. 3 of the paper, both halves
    dv = layer.g.reshape(wide) / norm.reshape(wide) * dw - (layer.g * dg / norm**2).reshape(wide) * layer.v
    of = [layer.v, layer.b, x, *([layer.g] if learn else [])]
    for got, wanted in zip(gradients((y * towards).sum(), of), [dv, db, dx, dg], strict=False):
        assert_close(got, wanted.detach())
    assert_close((dv * layer.v).flatten(1).sum(1), torch.zeros(4))  # v moves at right angles to itself


def config(**options: Any) -> DataConfig:
    return DataConfig(source="x", **options)


def test_weak_view_mirrors_half_of_the_images() -> None:
    x = torch.rand(400, 1, SIDE, SIDE)
    y = views.weak(x, config(flip=True))
    mirrored = [torch.equal(b, a[:, :, [3, 2, 1, 0]]) for a, b in zip(x, y, strict=True)]
    assert all(m or torch.equal(a, b) for a, b, m in zip(x, y, mirrored, strict=True))
    assert 150 < sum(mirrored) < 250
    assert torch.equal(views.weak(x, config()), x)


def test_weak_view_shifts_and_mirrors_the_edge() -> None:
    x = torch.rand(300, 1, SIDE, SIDE)
    y = views.weak(x, config(shift=2))
    mirror = lambda i: abs(i) if i < SIDE else 2 * (SIDE - 1) - i  # noqa: E731
    found = []
    for a, b in zip(x, y, strict=True):
        where = [
            (dy, dx)
            for dy, dx in itertools.product(range(-2, 3), repeat=2)
            if torch.equal(b[0], a[0][[mirror(i + dy) for i in range(4)]][:, [mirror(j + dx) for j in range(4)]])
        ]
        assert len(where) == 1
        found += where
    assert len(set(found)) == 25


def pinned(monkeypatch: pytest.MonkeyPatch, *drawn: float) -> None:
    """Let `bend` draw these: angle, two shears, two shifts."""
    left = iter(drawn)
    monkeypatch.setattr(views, "uniform", lambda x, most: torch.full((len(x), 1, 1, 1), next(left)))
    monkeypatch.setattr(views, "chance", lambda x: torch.ones(len(x), 1, 1, 1, dtype=torch.bool))


def test_bend_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(2, 3, SIDE, SIDE)
    pinned(monkeypatch, math.pi / 2, 0, 0, 0, 0)
    assert_close(views.bend(x, 1.0), x.rot90(1, (2, 3)), 1e-6)


def test_bend_shifts_and_continues_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(2, 3, SIDE, SIDE)
    pinned(monkeypatch, 0, 0, 0, 2 / SIDE, -4 / SIDE)  # coordinates are in [-1, 1]: one pixel and minus two
    assert_close(views.bend(x, 1.0), x[:, :, [0, 0, 0, 1]][:, :, :, [1, 2, 3, 3]], 1e-6)


def test_bend_shears(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(1, 1, SIDE, SIDE)
    pinned(monkeypatch, 0, 2 / 3, 0, 0, 0)  # rows at ±1/4 and ±3/4 go by ±1/6 and ±1/2, which is 1/3 and 1 of a pixel
    y, third = views.bend(x, 1.0), 1 / 3
    assert_close(y[0, 0, 0], x[0, 0, 0, [0, 0, 1, 2]], 1e-6)
    assert_close(y[0, 0, 3], x[0, 0, 3, [1, 2, 3, 3]], 1e-6)
    assert_close(y[0, 0, 2], (1 - third) * x[0, 0, 2] + third * x[0, 0, 2, [1, 2, 3, 3]], 1e-6)


def test_zoom_stretches_about_the_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "uniform", lambda x, most: torch.full((len(x), 1, 1, 1), most))
    ramp = (torch.arange(8) + 0.5) / 4 - 1  # the places of the pixels, in halves of the side
    x = ramp.expand(2, 1, 8, 8)
    assert_close(views.bend(x, 0.0, zoom=math.log(2)), (2 * x).clamp(ramp[0], ramp[-1]), 1e-9)
    assert_close(views.bend(x.mT, 0.0, zoom=math.log(2)), (2 * x).clamp(ramp[0], ramp[-1]).mT, 1e-9)


def test_elastic_displaces_smoothly_by_its_deviation() -> None:
    ramp = (torch.arange(33) + 0.5) / 16.5 - 1
    x = ramp.expand(2000, 1, 33, 33)
    moved = (views.bend(x, 0.0, elastic=0.05) - x)[:, 0]
    assert moved[:, 16, 16].std().item() == pytest.approx(0.05, rel=0.1)  # at one of the 5×5 places
    step = (moved[:, 16, 17] - moved[:, 16, 16]).std().item()
    assert 0 < step < 0.015  # pixels next to each other move together
    assert_close(moved[:, 16, 16].mean().item(), 0.0, 0.01)


def test_soft_guesses_are_learnt_as_probabilities() -> None:
    logits, guesses = torch.randn(6, 3), 3 * torch.randn(6, 3)
    p, q = logits.softmax(1), guesses.softmax(1)
    each = torch.stack([-sum(q[i, k] * p[i, k].log() for k in range(3)) for i in range(6)])
    assert_close(guess_loss(logits, guesses, soft=True), each.mean())
    sure = (q.max(1).values >= 0.8).double()
    assert 0 < sure.sum() < 6
    assert_close(guess_loss(logits, guesses, 0.8, soft=True), (each * sure).mean())


def test_balance_is_what_the_mean_lacks_of_the_largest_entropy() -> None:
    logits = torch.randn(7, 4)
    mean = logits.softmax(1).mean(0)
    assert_close(imbalance(logits), math.log(4) + (mean * mean.log()).sum())
    assert_close(imbalance(torch.eye(4) * 100), torch.tensor(0.0), 1e-9)
    assert_close(imbalance(torch.eye(4)[[0] * 4] * 100), torch.tensor(math.log(4)), 1e-9)


def test_bend_shears_after_it_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    angle, across, down, x = 0.4, 0.2, -0.1, torch.rand(1, 1, SIDE, SIDE)
    pinned(monkeypatch, angle, across, down, 0.1, 0.2)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shear = torch.tensor([[1, across], [down, 1]])
    ticks = (torch.arange(SIDE) * 2 + 1) / SIDE - 1
    places = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), 2) @ (shear @ turn).T + torch.tensor([0.1, 0.2])
    wanted = F.grid_sample(x, places[None], padding_mode="border", align_corners=False)
    assert_close(views.bend(x, 1.0), wanted, 1e-9)


def test_blank_sets_a_square_to_grey() -> None:
    x = torch.rand(300, 1, 8, 8) + 1
    grey = views.blank(x, 0.5) == 0
    assert torch.equal(torch.where(grey, x, views.blank(x, 0.0)), x)
    areas = set()
    for image in grey[:, 0]:
        rows, columns = image.any(1).sum(), image.any(0).sum()
        assert image.sum() == rows * columns
        assert max(rows, columns) <= 4
        areas.add(int(image.sum()))
    assert {0, 16} <= areas


def test_strong_view_of_no_strength_is_the_image_and_of_any_stays_in_range() -> None:
    x = torch.rand(50, 3, 8, 8) * 2 - 1
    assert_close(views.strong(x, config(strength=0)), x, 1e-6)
    y = views.strong(x, config(strength=1))
    assert y.abs().max() <= 1
    assert (y - x).abs().flatten(1).amax(1).gt(0.1).sum() > 40

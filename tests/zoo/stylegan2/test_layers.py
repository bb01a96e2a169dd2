"""Modulated convolution, resampling and minibatch layers of StyleGAN2 against plain formulas."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from ganzoo_zoo.generators.stylegan2 import Linear, activate, modulated_convolution
from ganzoo_zoo.minibatch import BatchStatistic, MinibatchDiscrimination, MinibatchStd
from ganzoo_zoo.resample import Resample
from torch import Tensor

from tests.zoo.stylegan2.support import F64


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize("kernel", [1, 3])
def test_both_forms_of_modulated_convolution_agree_with_one_image_at_a_time(
    up: bool, demodulate: bool, kernel: int
) -> None:
    x, weight, style = (torch.randn(s, dtype=F64) for s in ((3, 4, 5, 6), (7, 4, kernel, kernel), (3, 4)))

    def one_by_one(x: Tensor, weight: Tensor, style: Tensor) -> Tensor:
        images = []
        for image, s in zip(x, style, strict=True):
            w = weight * s[None, :, None, None]
            if demodulate:
                w = w / torch.stack([kernels.square().sum() + 1e-8 for kernels in w]).sqrt()[:, None, None, None]
            if up:
                images.append(F.conv_transpose2d(image[None], w.transpose(0, 1), stride=2))
            else:
                images.append(F.conv2d(image[None], w, padding=kernel // 2))
        return torch.cat(images)

    wanted = one_by_one(x, weight, style)
    side = (2 * 5 + kernel - 2, 2 * 6 + kernel - 2) if up else (5, 6)
    assert wanted.shape == (3, 7, *side)
    pull = torch.randn_like(wanted)
    results = []
    for form in (
        one_by_one,
        lambda *a: modulated_convolution(*a, demodulate, up),
        lambda *a: modulated_convolution(*a, demodulate, up, grouped=True),
    ):
        inputs = [t.clone().requires_grad_() for t in (x, weight, style)]
        y = form(*inputs)
        first = torch.autograd.grad((y * pull).sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
        results.append([y, *first, *second])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-10)


def test_demodulation_keeps_the_variance() -> None:
    x = torch.randn(16, 32, 18, 18)
    weight, style = torch.randn(24, 32, 3, 3) * 7, torch.randn(16, 32).exp()
    inner = modulated_convolution(x, weight, style)[:, :, 1:-1, 1:-1]  # away from the padding
    assert inner.var().item() == pytest.approx(1, abs=0.02)
    assert modulated_convolution(x, weight, style * 100)[0, 0, 9, 9].item() == pytest.approx(
        inner[0, 0, 8, 8].item(), rel=1e-3, abs=1e-4
    )


def test_demodulation_gives_every_kernel_of_every_image_norm_one() -> None:
    weight, style = torch.randn(5, 4, 3, 3, dtype=F64), torch.randn(2, 4, dtype=F64)
    basis = torch.zeros(4 * 9, 4, 7, 7, dtype=F64)  # each input and place alone, so that outputs are single weights
    for i, channel in enumerate(basis):
        channel[i // 9, 2 + i % 9 // 3, 2 + i % 3] = 1
    for s in style:
        y = modulated_convolution(basis, weight, s.expand(36, 4))[:, :, 3, 3]
        torch.testing.assert_close(y.square().sum(0), torch.ones(5, dtype=F64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (1, 2), (2, 1)])
def test_resampling_is_a_plain_convolution_and_so_are_its_derivatives(
    stride: int, padding: int, transposed: bool
) -> None:
    filtered = Resample(stride, padding, transposed, gain=4).double()
    x = torch.randn(1, 2, 4, 4, dtype=F64, requires_grad=True)
    taps = torch.tensor([1.0, 3, 3, 1], dtype=F64)
    kernel = (taps[:, None] * taps / 16).expand(2, 1, 4, 4)
    plain = (F.conv_transpose2d if transposed else F.conv2d)(x, kernel, None, stride, padding, groups=2)
    torch.testing.assert_close(filtered(x), plain)
    assert torch.autograd.gradcheck(filtered, x)
    assert torch.autograd.gradgradcheck(lambda x: filtered(x).square(), x)
    assert not filtered.state_dict()


def test_enlarging_and_halving_keep_a_plain_image_in_place() -> None:
    enlarge, halve = Resample(2, 1, transposed=True, gain=4), Resample(2, 1)
    rows = torch.arange(16.0).expand(1, 1, 16, 16)
    twice = enlarge(rows)
    assert twice.shape == (1, 1, 32, 32)
    where = (torch.arange(32) + 0.5) / 2 - 0.5  # the centres of the small pixels, in large ones
    torch.testing.assert_close(twice[0, 0, 8, 4:-4], where[4:-4])
    torch.testing.assert_close(halve(twice)[..., 3:-3, 3:-3], rows[..., 3:-3, 3:-3])


def test_resampling_under_autocast() -> None:
    filtered, x = Resample(padding=1), torch.randn(2, 3, 6, 6, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert filtered(x).dtype == torch.float32
        y = filtered(x.bfloat16())
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert x.grad is not None


def test_a_lower_rate_is_the_same_layer_whose_steps_are_smaller() -> None:
    torch.manual_seed(0)
    plain = Linear(64, 32, bias=0.5)
    torch.manual_seed(0)
    slow = Linear(64, 32, bias=0.5, rate=0.01)
    x = torch.randn(256, 64)
    torch.testing.assert_close(plain(x), slow(x))
    assert plain(x).var().item() == pytest.approx(1, abs=0.1)
    for layer in (plain, slow):
        layer(x).sum().backward()
    for a, b in zip(plain.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(a.grad * 0.01, b.grad)


def test_activation_keeps_the_mean_square() -> None:
    assert activate(torch.randn(100_000)).square().mean().item() == pytest.approx(1.04, abs=0.02)  # 2 (1 + 0.2²) / 2


@pytest.mark.parametrize(
    ("batch", "group", "size"), [(8, 4, 4), (6, 4, 6), (7, 4, 7), (3, 4, 3), (12, 5, 6), (1, 4, 1), (64, 32, 32)]
)
def test_minibatch_std_against_loops(batch: int, group: int, size: int) -> None:
    x = torch.randn(batch, 3, 2, 4, dtype=F64)
    y = MinibatchStd(group).double()(x)
    assert torch.equal(y[:, :3], x)
    for start in range(0, batch, size):
        values = []
        for c, h, w in ((c, h, w) for c in range(3) for h in range(2) for w in range(4)):
            column = [x[i, c, h, w].item() for i in range(start, start + size)]
            mean = sum(column) / size
            values.append(math.sqrt(sum((v - mean) ** 2 for v in column) / size + 1e-8))
        wanted = torch.full((size, 2, 4), sum(values) / len(values), dtype=F64)
        torch.testing.assert_close(y[start : start + size, 3], wanted, atol=1e-12, rtol=1e-12)


def test_minibatch_discrimination_against_loops() -> None:
    layer = MinibatchDiscrimination(6, kernels=3, dims=2).double()
    f = torch.randn(5, 6, dtype=F64)
    y = layer(f)
    assert torch.equal(y[:, :6], f)
    t = layer.T.detach().reshape(6, 3, 2)
    for i in range(5):
        for b in range(3):
            total = 0.0
            for j in range(5):
                distance = 0.0
                for c in range(2):
                    mine, other = (sum((f[n, a] * t[a, b, c]).item() for a in range(6)) for n in (i, j))
                    distance += abs(mine - other)
                total += math.exp(-distance)
            assert y[i, 6 + b].item() == pytest.approx(total, abs=1e-12)
    start = MinibatchDiscrimination(500, 40, 8)(torch.randn(64, 500))[:, 500:] - 1  # without each image itself
    assert 0.2 < start.mean().item() / 63 < 0.6  # neither far apart nor the same


@pytest.mark.parametrize("layer", [MinibatchStd(4), MinibatchDiscrimination(3, 5)], ids=lambda m: type(m).__name__)
def test_minibatch_layers_remember_what_they_saw(layer: BatchStatistic) -> None:
    x = torch.randn(8, 3, *((2, 2) if isinstance(layer, MinibatchStd) else ()))
    assert layer.mixes_batch
    assert not layer.running.any()
    layer.track_running_stats = False
    layer(x)
    assert not layer.running.any()
    layer.track_running_stats = True
    for _ in range(200):
        seen = layer(x)
    layer.eval()
    torch.testing.assert_close(layer(x)[:, 3:].mean(0), seen[:, 3:].mean(0))
    assert torch.equal(layer(x)[:1], layer(x[:1]))

"""Penalties of classifiers as pure functions and in a step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from ganzoo_zoo.penalties.classifier import (
    Consistency,
    Entropy,
    Manifold,
    PullAway,
    VirtualAdversarial,
    divergence,
    entropy,
    local_smoothness,
    pull_away,
    two_pass,
    unit,
)
from ganzoo_zoo.ssl.kplus1 import KPlusOne
from torch import Tensor, nn
from torch.autograd import gradcheck

from ganzoo.errors import Incompatible
from ganzoo.strategy.networks import DiscOutput
from ganzoo.strategy.step import Step
from tests.zoo.math.reference import (
    CLASSES,
    F32,
    F64,
    FEATURES,
    LATENT,
    PIXELS,
    SIDE,
    UNLABELLED,
    Drifting,
    Noisy,
    Trunk,
    assert_agree,
    assert_close,
    build,
    features,
    gradients,
    kl,
    linear,
    logits,
    mean_entropy,
    parameters,
    probabilities,
    square_error,
    squared_cosines,
    step,
)


def test_entropy() -> None:
    scores = torch.randn(5, CLASSES, requires_grad=True)
    assert_close(entropy(scores), mean_entropy(scores))
    assert gradcheck(entropy, scores)
    p, own = probabilities(scores), torch.stack([mean_entropy(row[None]) for row in scores])
    assert_close(gradients(entropy(scores), [scores])[0], (-p * (p.log() + own[:, None]) / 5).detach())
    assert_close(entropy(torch.zeros(2, 10)), torch.tensor(math.log(10)))


def test_entropy_of_the_sure_is_0_in_fp32() -> None:
    scores = torch.tensor([[1e4, 0, 0]], dtype=F32, requires_grad=True)
    assert entropy(scores) == 0
    assert not gradients(entropy(scores), [scores])[0].any()


def test_pull_away_is_the_mean_squared_cosine_of_pairs() -> None:
    f = torch.randn(5, 4, requires_grad=True)
    value, naive = pull_away(f), squared_cosines(f)
    assert_close(value, naive)
    assert_close(gradients(value, [f])[0], gradients(naive, [f])[0])
    assert gradcheck(pull_away, f)
    assert_close(pull_away(torch.eye(3)), torch.tensor(0.0))
    assert_close(pull_away(torch.tensor([[1.0, 2], [-2, -4], [3, 6]])), torch.tensor(1.0))
    assert pull_away(torch.rand(1, 4)) == 0


@pytest.mark.parametrize("margin", [0.0, 0.15])
def test_two_pass(margin: float) -> None:
    leaves = [torch.randn(6, n, requires_grad=True) for n in (FEATURES, CLASSES, FEATURES, CLASSES)]
    one, two = (DiscOutput(torch.zeros(6), f, scores) for f, scores in (leaves[:2], leaves[2:]))
    rows = [
        0.4 * square_error(probabilities(leaves[1])[i], probabilities(leaves[3])[i])
        + 0.05 * square_error(leaves[0][i], leaves[2][i])
        for i in range(6)
    ]
    kept = [row - margin for row in rows if row > margin]
    assert (0 < len(kept) < 6) == (margin > 0)
    value, naive = two_pass(one, two, 0.4, 0.05, margin), torch.stack(kept).sum() / 6
    assert_close(value, naive)
    for got, wanted in zip(gradients(value, leaves), gradients(naive, leaves), strict=True):
        assert_close(got, wanted)


def test_divergence() -> None:
    p, scores = probabilities(torch.randn(4, CLASSES)), torch.randn(4, CLASSES, requires_grad=True)
    value, naive = divergence(p.log(), scores), kl(p, probabilities(scores))
    assert_close(value, naive)
    assert_close(
        gradients(value, [scores])[0], ((probabilities(scores) - p) / 4).detach()
    )  # of KL(p ‖ q) for the logits of q
    assert_close(divergence(probabilities(scores).log().detach(), scores), torch.tensor(0.0))
    assert gradcheck(lambda x: divergence(p.log(), x), scores)


def test_unit() -> None:
    x = torch.randn(3, 2, SIDE, SIDE)
    naive = torch.stack([row / math.sqrt(sum(v * v for v in row.flatten().tolist())) for row in x])
    assert_close(unit(x), naive)
    vanishing = torch.full((1, 1, 2, 2), 1e-30, dtype=F32)  # its square is 0 in fp32
    assert_close(unit(vanishing), torch.full((1, 1, 2, 2), 0.5, dtype=F32))
    assert not unit(torch.zeros(1, 1, 2, 2)).any()


class Softmax:
    """Logits W x of images, and the images they were asked for."""

    def __init__(self, dtype: torch.dtype = F64, pixels: int = PIXELS) -> None:
        self.w = (torch.randn(CLASSES, pixels) * 4 / pixels**0.5).to(dtype).requires_grad_()
        self.asked: list[Tensor] = []

    def __call__(self, x: Tensor) -> Tensor:
        self.asked.append(x.detach())
        return x.flatten(1) @ self.w.T

    def curved(self, x: Tensor, direction: Tensor) -> Tensor:
        """The Hessian of KL(p(x) ‖ p(x + r)) at r = 0, Wᵀ (diag p - p pᵀ) W, times a direction: to where ξ → 0 goes."""
        rows = []
        for p, d in zip(probabilities(x.flatten(1) @ self.w.T), direction.flatten(1), strict=True):
            rows.append(self.w.T @ (torch.diag(p) - torch.outer(p, p)) @ self.w @ d)
        return torch.stack(rows).reshape(x.shape).detach()


@pytest.mark.parametrize("powers", [1, 3])
def test_local_smoothness_of_a_linear_classifier(powers: int) -> None:
    model, x, direction = Softmax(), torch.randn(4, 1, SIDE, SIDE), torch.randn(4, 1, SIDE, SIDE)
    value = local_smoothness(model, x, direction, 2.5, 1e-6, powers)
    r = model.asked[-1] - x
    assert_close(r.flatten(1).norm(dim=1), torch.full((4,), 2.5))
    towards = direction
    for _ in range(powers):
        towards = model.curved(x, unit(towards))
    assert_close(r, 2.5 * unit(towards), 1e-4)
    q = probabilities((x + r).flatten(1) @ model.w.T)
    p = probabilities(x.flatten(1) @ model.w.T).detach()  # p(x) is taken as given
    assert_close(value, kl(p, q))
    assert_close(gradients(value, [model.w])[0], (q - p).T @ (x + r).flatten(1) / 4)
    assert len(model.asked) == powers + 2


def test_the_power_iteration_ends_in_the_direction_of_greatest_change() -> None:
    model, x = Softmax(), torch.randn(2, 1, SIDE, SIDE)
    local_smoothness(model, x, torch.randn(2, 1, SIDE, SIDE), 1.0, 1e-6, 60)
    r = (model.asked[-1] - x).flatten(1)
    for image, found in zip(x.flatten(1), r, strict=True):
        p = probabilities(image[None] @ model.w.T)[0]
        hessian = (model.w.T @ (torch.diag(p) - torch.outer(p, p)) @ model.w).detach()
        assert_close((found @ torch.linalg.eigh(hessian).eigenvectors[:, -1]).abs(), torch.tensor(1.0), 1e-5)


def test_local_smoothness_in_fp32_finds_the_direction_with_a_finite_difference_of_a_thousandth() -> None:
    model, x, direction = Softmax(F32, 784), torch.rand(8, 1, 28, 28) * 2 - 1, torch.randn(8, 1, 28, 28)
    local_smoothness(model, x.to(F32), direction.to(F32), 1.0, 1e-3, 1)
    r = (model.asked[-1] - x.to(F32)).double()
    model.w = model.w.detach().double()
    cosine = (unit(r) * unit(model.curved(x, unit(direction)))).sum((1, 2, 3))
    assert torch.rad2deg(cosine.clamp(max=1).acos()).max() < 3


def test_local_smoothness_of_what_does_not_change_is_0() -> None:
    flat = lambda x: x.flatten(1)[:, :CLASSES] * 0  # noqa: E731
    value = local_smoothness(flat, torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4), 1.0, 1e-6, 2)
    assert value == 0


def penalised(penalty: Any, trunk: Callable[[], nn.Module] = Trunk, **options: Any) -> tuple[Step, Tensor]:
    """Return a K+1 step of the penalty's player, and the penalty; its random numbers begin at seed 5."""
    networks = build(KPlusOne(), trunk=trunk)
    s = step(KPlusOne(), networks, (penalty.player,), **options)
    _ = s.z
    torch.manual_seed(5)
    return s, penalty(s)


def test_entropy_penalty() -> None:
    s, value = penalised(Entropy(weight=0.4))
    wanted = 0.4 * mean_entropy(logits(s.discriminator, s.batch.view("weak")))
    assert_agree({"p": value}, {"p": wanted}, {**s.networks})


def test_pull_away_penalty() -> None:
    s, value = penalised(PullAway(weight=0.4))
    wanted = 0.4 * squared_cosines(features(s.discriminator, s.networks["generator"](s.z)))
    assert_agree({"p": value}, {"p": wanted}, {**s.networks})


def test_consistency_penalty_compares_two_passes() -> None:
    s, value = penalised(Consistency(weight=0.4, feature_weight=0.2, margin=0.0), Drifting)
    f = features(s.discriminator, s.batch.view("weak"))
    one, two = (probabilities(linear(s.discriminator.head.classes, f * scale)) for scale in (1, 1.1))
    wanted = 0.4 * square_error(one, two) + 0.2 * square_error(f, 1.1 * f)
    assert_agree({"p": value}, {"p": wanted}, {**s.networks})


def test_consistency_penalty_wants_passes_that_differ() -> None:
    with pytest.raises(Incompatible, match="two passes of an image through this discriminator give the same output"):
        penalised(Consistency(), iteration=0)


@pytest.mark.parametrize("same_noise", [True, False])
def test_manifold_penalty(same_noise: bool) -> None:
    s, value = penalised(Manifold(weight=0.4, step=0.3, same_noise=same_noise), Noisy)
    torch.manual_seed(5)
    delta = torch.randn(UNLABELLED, LATENT)
    delta = delta / (delta**2).sum(1, keepdim=True).sqrt()
    noise = [0.3 * torch.randn(UNLABELLED, 1, SIDE, SIDE) for _ in range(2)]
    here, there = (s.networks["generator"](z).detach() for z in (s.z, s.z + 0.3 * delta))
    difference = logits(s.discriminator, here + noise[0]) - logits(
        s.discriminator, there + noise[0 if same_noise else 1]
    )
    wanted = 0.4 * sum((d**2).sum() for d in difference) / UNLABELLED
    assert_agree({"p": value}, {"p": wanted}, {**s.networks})


def test_manifold_penalty_teaches_the_generator_nothing() -> None:
    networks = build(KPlusOne())
    s = step(KPlusOne(), networks, ("discriminator",))
    for parameter in parameters(networks):
        parameter.requires_grad_()  # though the trainer would freeze it
    value = Manifold(step=0.3)(s)
    assert any(g.any() for g in gradients(value, list(networks["discriminator"].parameters())))
    assert not any(g.any() for g in gradients(value, list(networks["generator"].parameters())))


@pytest.mark.parametrize("powers", [1, 2])
def test_virtual_adversarial_penalty_meets_the_same_noise_in_all_passes(powers: int) -> None:
    s, value = penalised(VirtualAdversarial(weight=0.4, epsilon=1.5, xi=1e-4, powers=powers), Noisy)
    torch.manual_seed(5)
    x, d = s.batch.view("weak"), torch.randn(UNLABELLED, 1, SIDE, SIDE)
    noise = 0.3 * torch.randn(UNLABELLED, 1, SIDE, SIDE)
    p = probabilities(logits(s.discriminator, x + noise)).detach()
    for _ in range(powers):
        d = (d / d.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)).detach().requires_grad_()
        (d,) = gradients(kl(p, probabilities(logits(s.discriminator, x + 1e-4 * d + noise))), [d])
    r = 1.5 * d / d.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    wanted = 0.4 * kl(p, probabilities(logits(s.discriminator, x + r + noise)))
    assert_close(value, wanted, 1e-7)  # a finite difference of 1e-4 leaves 1e-12 of rounding, over a gradient of 1e-4
    moving = list(s.discriminator.parameters())
    for got, naive in zip(gradients(value, moving), gradients(wanted, moving), strict=True):
        assert_close(got, naive, 1e-6)
    assert any(g.any() for g in gradients(value, moving))

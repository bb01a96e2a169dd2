"""K+1 and pseudo-labels as pure functions."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from ganzoo_zoo.ssl.kplus1 import KPlusOne, feature_matching
from ganzoo_zoo.ssl.margingan import inverted_cross_entropy
from ganzoo_zoo.ssl.pseudolabel import guess_loss
from ganzoo_zoo.ssl.s3gan import rotate
from ganzoo_zoo.ssl.schedules import linear_ramp
from torch.autograd import gradcheck

from tests.zoo.math.reference import (
    CLASSES,
    F32,
    SIDE,
    UNLABELLED,
    assert_agree,
    assert_close,
    build,
    gradients,
    guessed,
    logits,
    move,
    one_hot,
    probabilities,
)


def test_kplus1_is_the_softmax_with_a_fake_class_of_logit_0() -> None:
    strategy = KPlusOne(unlabelled_weight=1)
    networks = build(strategy)
    s, terms = move(strategy, "discriminator", networks)
    critic = networks["discriminator"]
    real, fake = (
        probabilities(torch.cat([logits(critic, s.images(n)), torch.zeros(UNLABELLED, 1)], 1)) for n in ("real", "fake")
    )
    log_real = real[:, :CLASSES].sum(1).log().mean()
    assert_agree(
        {"adversarial": terms["adversarial"]}, {"adversarial": -log_real - fake[:, CLASSES].log().mean()}, networks
    )
    z = logits(critic, s.images("real")).exp().sum(1)
    assert_close(real[:, CLASSES], 1 - z / (z + 1))


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_feature_matching(distance: str) -> None:
    real, fake = torch.randn(4, 5, requires_grad=True), torch.randn(7, 5, requires_grad=True)
    difference = [sum(fake[:, j]) / 7 - sum(real[:, j]) / 4 for j in range(5)]
    value = feature_matching(real, fake, distance)
    assert_close(value, sum(d**2 if distance == "l2" else abs(d) for d in difference) / 5)
    to_real, to_fake = gradients(value, [real, fake])
    slope = torch.stack([2 * d if distance == "l2" else d.sign() for d in difference])
    assert_close(to_fake, (slope / 5 / 7).detach().expand(7, 5))
    assert not to_real.any()
    assert gradcheck(lambda f: feature_matching(real, f, distance), fake)


@pytest.mark.parametrize(("threshold", "counted"), [(0.0, 4), (0.6, 2), (0.999, 0)])
def test_guess_loss_counts_the_sure_and_divides_by_all(threshold: float, counted: int) -> None:
    p = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.05, 0.05, 0.9], [0.3, 0.35, 0.35 - 1e-6]])
    guesses = p.log().requires_grad_()
    learning = torch.randn(4, CLASSES, requires_grad=True)
    sure = [i for i in range(4) if p[i].max() >= threshold]
    assert len(sure) == counted
    q, label = probabilities(learning), [0, 1, 2, 1]
    value = guess_loss(learning, guesses, threshold)
    assert_close(value, torch.stack([torch.zeros(()), *(-q[i, label[i]].log() for i in sure)]).sum() / 4)
    to_learning, to_guesses = gradients(value, [learning, guesses])
    slope = torch.stack([(q[i] - one_hot(torch.tensor(label))[i]) / 4 * (i in sure) for i in range(4)])
    assert_close(to_learning, slope.detach())
    assert not to_guesses.any()


def test_guess_loss_at_the_threshold_counts() -> None:
    even = torch.zeros(1, 2)  # p = ½ exactly
    assert_close(guess_loss(even, even, 0.5), torch.tensor(math.log(2)))
    assert_close(guess_loss(even, even, 0.5 + 1e-12), torch.tensor(0.0))


def test_own_guesses_push_through_the_learning_side_alone() -> None:
    scores = torch.randn(4, CLASSES, requires_grad=True)
    (slope,) = gradients(guess_loss(scores, scores), [scores])
    assert_close(slope, ((probabilities(scores) - one_hot(guessed(scores))) / 4).detach())


def test_inverted_cross_entropy() -> None:
    scores = (torch.randn(6, CLASSES) * 3).requires_grad_()
    p = probabilities(scores).max(1).values
    value, naive = inverted_cross_entropy(scores), -(1 - p).log().mean()
    assert_close(value, naive)
    assert_close(gradients(value, [scores])[0], gradients(naive, [scores])[0])
    assert gradcheck(inverted_cross_entropy, scores)


@pytest.mark.parametrize("sure", [60.0, 1e4])
def test_inverted_cross_entropy_is_finite_where_the_guess_is_sure(sure: float) -> None:
    scores = torch.tensor([[sure, 0, 0]], dtype=F32, requires_grad=True)
    value = inverted_cross_entropy(scores)
    assert_close(value.double(), torch.tensor(sure - math.log(2)), 1e-6)
    assert_close(gradients(value, [scores])[0], torch.tensor([[1, -0.5, -0.5]], dtype=F32), 1e-6)


@pytest.mark.parametrize(
    ("progress", "wanted"), [(0.0, 0.0), (0.1, 0.0), (0.2, 0.2), (0.35, 0.5), (0.6, 1.0), (0.9, 1.0)]
)
def test_rise(progress: float, wanted: float) -> None:
    assert linear_ramp(progress, 0.1, 0.6) == pytest.approx(wanted, abs=1e-12)


def test_rise_of_no_length_is_a_step() -> None:
    assert linear_ramp(0.0, 0.0, 0.0) == 1


def test_turned_turns_each_image_by_its_quarters() -> None:
    x = torch.randn(4, 2, SIDE, SIDE, requires_grad=True)
    quarters = torch.tensor([3, 0, 1, 2])
    value = rotate(x, quarters)
    last = SIDE - 1
    source = {
        0: lambda i, j: (i, j),
        1: lambda i, j: (j, last - i),
        2: lambda i, j: (last - i, last - j),
        3: lambda i, j: (last - j, i),
    }
    for n, c, i, j in itertools.product(range(4), range(2), range(SIDE), range(SIDE)):
        a, b = source[int(quarters[n])](i, j)
        assert value[n, c, i, j] == x[n, c, a, b]
    weight = torch.randn_like(x)
    assert_close(gradients((value * weight).sum(), [x])[0], rotate(weight, (4 - quarters) % 4))

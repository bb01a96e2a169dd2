"""Adversarial losses against their formulas: values and gradients."""

from __future__ import annotations

import math

import pytest
import torch
from ganzoo_zoo.losses.gan import (
    energy,
    minimax,
    nonsaturating,
)

from ganzoo.strategy.base import Strategy
from tests.zoo.math.reference import (
    UNLABELLED,
    assert_agree,
    assert_close,
    build,
    gradients,
    move,
    plain,
)
from tests.zoo.math.support import LOSSES


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradient(name: str) -> None:
    loss, discriminator, generator = LOSSES[name]
    real = torch.tensor([0.5, -1.5, 3.0, 0.9, 1.2], requires_grad=True)
    fake = torch.tensor([-0.25, 2.0, 0.0, -4.0, -0.8], requires_grad=True)
    for side, naive in ((loss.discriminator, discriminator), (loss.generator, generator)):
        got, wanted = side(real, fake), naive([*real], [*fake])
        assert got.shape == ()
        assert_close(got, wanted)
        for one, two in zip(gradients(got, [real, fake]), gradients(wanted, [real, fake]), strict=True):
            assert_close(one, two)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_finite_where_the_discriminator_is_sure(name: str) -> None:
    loss = LOSSES[name][0]
    real = torch.tensor([1e4, -1e4], dtype=torch.float32, requires_grad=True)
    fake = torch.tensor([-1e4, 1e4], dtype=torch.float32, requires_grad=True)
    for side in (loss.discriminator, loss.generator):
        value = side(real, fake)
        assert all(bool(t.isfinite().all()) for t in (value, *gradients(value, [real, fake])))


@pytest.mark.parametrize("name", LOSSES)
def test_only_losses_that_compare_look_at_real_images_in_the_generators_step(name: str) -> None:
    loss = LOSSES[name][0]
    assert loss.relativistic == name.startswith("relativistic")
    networks = build(Strategy())
    seen: list[int] = []
    networks["discriminator"].register_forward_pre_hook(lambda m, x: seen.append(len(x[0])))
    s, terms = move(Strategy(), "generator", networks, loss=loss)
    assert seen == [UNLABELLED] * (2 if loss.relativistic else 1)
    real, fake = (plain(s.discriminator, s.images(n)) for n in ("real", "fake"))
    assert_agree(terms, {"adversarial": LOSSES[name][2]([*real], [*fake])}, networks)


def test_the_minimax_generator_learns_nothing_while_it_loses_and_the_other_does() -> None:
    fake = torch.full((4,), -40.0, requires_grad=True)
    saturated, driven = (gradients(loss.generator(fake, fake), [fake])[0] for loss in (minimax(), nonsaturating()))
    assert saturated.abs().max() < 1e-16
    assert_close(driven, torch.full((4,), -1 / 4))
    won = torch.full((4,), 40.0, requires_grad=True)
    saturated, driven = (gradients(loss.generator(won, won), [won])[0] for loss in (minimax(), nonsaturating()))
    assert_close(saturated, torch.full((4,), -1 / 4))
    assert driven.abs().max() < 1e-16


def test_minimax_is_a_game_for_one_value() -> None:
    real, fake = torch.randn(5), torch.randn(5, requires_grad=True)
    lost, won = (gradients(side(real, fake), [fake])[0] for side in (minimax().discriminator, minimax().generator))
    assert_close(lost, -won)


def test_one_sided_smoothing_is_content_with_the_smoothed_probability_and_leaves_fakes_alone() -> None:
    real = torch.full((3,), math.log(0.9 / 0.1), requires_grad=True)  # σ(D) = 0.9
    fake = torch.randn(3, requires_grad=True)
    smooth, hard = (gradients(nonsaturating(a).discriminator(real, fake), [real, fake]) for a in (0.1, 0.0))
    assert_close(smooth[0], torch.zeros(3))
    assert (hard[0] < 0).all()
    assert_close(smooth[1], hard[1])


def test_fakes_of_much_energy_are_left_alone_and_no_energy_is_negative() -> None:
    fake = torch.tensor([-12.0, -8.0, 30.0], requires_grad=True)
    value = energy(margin=10).discriminator(torch.full((3,), 50.0), fake)
    (g,) = gradients(value, [fake])
    assert g[0] == 0
    assert g[1] > 0.3
    assert energy().generator(fake, fake) >= 0

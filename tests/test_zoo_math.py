"""Losses, penalties and conditional GANs against the papers' formulas, naively, in float64: values and gradients."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ganzoo_zoo.losses.gan import (
    energy,
    hinge,
    lsgan,
    minimax,
    nonsaturating,
    relativistic,
    relativistic_average,
    wasserstein,
)
from ganzoo_zoo.minibatch import MinibatchDiscrimination
from ganzoo_zoo.penalties.gradient import R1, R2, Dragan, GradientPenalty, around, one_lipschitz
from ganzoo_zoo.penalties.realness import BalancedConsistency, LeCam
from ganzoo_zoo.penalties.weights import Clip, HistoricalAverage, Orthogonal
from ganzoo_zoo.ssl.conditional import AuxiliaryClassifierGAN, ProjectionGAN
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from ganzoo import configure
from ganzoo.assemble import add_penalties, check_compatible
from ganzoo.contracts import AdversarialLoss, DiscOutput
from ganzoo.errors import Incompatible
from ganzoo.step import Step
from ganzoo.strategy import Strategy
from tests.test_ssl_math import (
    CLASSES,
    FEATURES,
    LABELLED,
    SIDE,
    UNLABELLED,
    Images,
    Normalised,
    Trunk,
    assert_agree,
    assert_close,
    build,
    cross_entropy,
    double,  # noqa: F401
    features,
    gradients,
    logits,
    move,
    parameters,
    plain,
    projection,
    said_fake,
    said_real,
    sigmoid,
    step,
)

# --- losses -------------------------------------------------------------------------------------------------------

Naive = Callable[[list[Tensor], list[Tensor]], Any]


def logs(p: list[Tensor]) -> Tensor:
    return sum(x.log() for x in p) / len(p)


def mean(x: list[Tensor]) -> Tensor:
    return sum(x) / len(x)


def likely(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """V(D, G) of Goodfellow et al. 2014, eq. 1."""
    return logs([sigmoid(r) for r in real]) + logs([1 - sigmoid(f) for f in fake])


def smoothed(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Cross-entropies with the targets 0.9 and 0."""
    ones = -mean([0.9 * sigmoid(r).log() + 0.1 * (1 - sigmoid(r)).log() for r in real])
    return ones - logs([1 - sigmoid(f) for f in fake])


def square(x: list[Tensor], target: float) -> Tensor:
    return mean([(v - target) ** 2 for v in x]) / 2


def over(x: list[Tensor], y: list[Tensor]) -> Tensor:
    """Minus the log-likelihood that each x leads the mean of y, and that no y leads the mean of x."""
    return -logs([sigmoid(v - mean(y)) for v in x]) - logs([1 - sigmoid(v - mean(x)) for v in y])


def e(x: Tensor) -> Tensor:
    return (1 + (-x).exp()).log()


LOSSES: dict[str, tuple[AdversarialLoss, Naive, Naive]] = {
    "nonsaturating": (nonsaturating(), lambda r, f: -likely(r, f), lambda r, f: -logs([sigmoid(x) for x in f])),
    "smoothed": (nonsaturating(0.1), smoothed, lambda r, f: -logs([sigmoid(x) for x in f])),
    "minimax": (minimax(), lambda r, f: -likely(r, f), lambda r, f: logs([1 - sigmoid(x) for x in f])),
    "minimax smoothed": (minimax(0.1), smoothed, lambda r, f: logs([1 - sigmoid(x) for x in f])),
    "lsgan": (lsgan(), lambda r, f: square(r, 1) + square(f, 0), lambda r, f: square(f, 1)),
    "lsgan pearson": (
        lsgan(fake_target=-1, real_target=1, wanted=0),
        lambda r, f: square(r, 1) + square(f, -1),
        lambda r, f: square(f, 0),
    ),
    "hinge": (
        hinge(),
        lambda r, f: mean([max(0, 1 - x) for x in r]) + mean([max(0, 1 + x) for x in f]),
        lambda r, f: -mean(f),
    ),
    "wasserstein": (wasserstein(), lambda r, f: mean(f) - mean(r), lambda r, f: -mean(f)),
    "relativistic": (
        relativistic(),
        lambda r, f: -logs([sigmoid(a - b) for a, b in zip(r, f, strict=True)]),
        lambda r, f: -logs([sigmoid(b - a) for a, b in zip(r, f, strict=True)]),
    ),
    "relativistic average": (relativistic_average(), over, lambda r, f: over(f, r)),
    "energy": (
        energy(margin=2),
        lambda r, f: mean([e(x) for x in r]) + mean([max(0, 2 - e(x)) for x in f]),
        lambda r, f: mean([e(x) for x in f]),
    ),
}


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
    real, fake = (plain(s.critic, s.images(n)) for n in ("real", "fake"))
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


# --- gradient penalties -------------------------------------------------------------------------------------------


def slopes(critic: Any, x: Tensor, y: Tensor | None = None) -> list[Tensor]:
    """∇D of each image in closed form: D(x) = ⟨w + v_y, tanh(Ax + b)⟩ + c."""
    found = []
    for i, f in enumerate(features(critic, x)):
        w = critic.head.adv.weight[0] if y is None else critic.head.adv.weight[0] + critic.head.embedding.weight[y[i]]
        found.append((w * (1 - f**2)) @ critic.trunk.layer.weight)
    return found


def begin(strategy: Strategy, player: str = "discriminator", **options: Any) -> Step:
    networks = build(strategy, strategy.needs_conditional)
    return step(strategy, networks, (player,), **options)


def conditions(s: Step) -> tuple[Tensor | None, Tensor | None]:
    """The classes of real and fake images, where they are told."""
    return (s.batch.labels, s.y) if s.critic.conditional else (None, None)


@pytest.mark.parametrize("strategy", [Strategy(), ProjectionGAN()], ids=["plain", "projection"])
@pytest.mark.parametrize("penalty", [R1(gamma=0.7), R2(gamma=0.7)], ids=["r1", "r2"])
def test_r1_and_r2(penalty: Any, strategy: Strategy) -> None:
    s = begin(strategy)
    real, fake = conditions(s)
    x, y = (s.images("real"), real) if isinstance(penalty, R1) else (s.images("fake"), fake)
    assert len(x) == (LABELLED if strategy.needs_labels and isinstance(penalty, R1) else UNLABELLED)
    wanted = 0.7 / 2 * mean([(g**2).sum() for g in slopes(s.critic, x, y)])
    assert_agree({"p": penalty(s)}, {"p": wanted}, {**s.networks})
    if y is not None:  # so that it matters which classes are told
        other = 0.7 / 2 * mean([(g**2).sum() for g in slopes(s.critic, x, (y + 1) % CLASSES)])
        assert abs(other - wanted) > 1e-3


def recorded(s: Step) -> list[Tensor]:
    """Let the step tell which points it was asked about."""
    points: list[Tensor] = []
    judge = s.judge

    def record(*images: Tensor, **options: Any) -> tuple[DiscOutput, ...]:
        points.extend(images)
        return judge(*images, **options)

    s.judge = record  # type: ignore[method-assign]
    return points


class Even(Images):
    """As many labelled images as others."""

    def __init__(self) -> None:
        super().__init__()
        self.labelled, self.labels = self.views["strong"], torch.tensor([2, 0, 1, 1, 0, 2])


def even(s: Step) -> Step:
    s.batch = Even()
    return s


@pytest.mark.parametrize("strategy", [Strategy(), ProjectionGAN()], ids=["plain", "projection"])
def test_gradient_penalty_between_real_and_fake_images(strategy: Strategy) -> None:
    s = even(begin(strategy))
    points = recorded(s)
    value = GradientPenalty(weight=0.7)(s)
    (x,) = points
    real, fake = s.images("real"), s.images("fake")
    where = ((x - real) / (fake - real)).flatten(1)
    assert_close(where, where[:, :1].expand_as(where), 1e-8)  # one number an image
    assert ((where >= 0) & (where < 1)).all()
    assert len({round(w, 9) for w in where[:, 0].tolist()}) == UNLABELLED
    wanted = 0.7 * mean([((g**2).sum().sqrt() - 1) ** 2 for g in slopes(s.critic, x.detach(), conditions(s)[0])])
    assert_agree({"p": value}, {"p": wanted}, {**s.networks})


def test_points_between_are_spread_evenly() -> None:
    first, second = torch.zeros(5000, 1, 2, 2), torch.ones(5000, 1, 2, 2)
    seen: list[Tensor] = []
    one_lipschitz(lambda x: seen.append(x) or x.flatten(1).sum(1), first, second)
    t = seen[0][:, 0, 0, 0]
    assert t.mean().item() == pytest.approx(1 / 2, abs=0.02)
    assert t.var().item() == pytest.approx(1 / 12, rel=0.05)


@pytest.mark.parametrize("strategy", [Strategy(), ProjectionGAN()], ids=["plain", "projection"])
def test_dragan_near_real_images(strategy: Strategy) -> None:
    s = even(begin(strategy))
    points = recorded(s)
    value = Dragan(weight=0.7, width=0.4)(s)
    (x,) = points
    wanted = 0.7 * mean([((g**2).sum().sqrt() - 1) ** 2 for g in slopes(s.critic, x.detach(), conditions(s)[0])])
    assert_agree({"p": value}, {"p": wanted}, {**s.networks})
    apart = x - s.images("real")
    assert (apart >= 0).all()
    assert apart.max() <= 0.4 * s.images("real").std()
    assert apart.flatten(1).std(1).min() > 0  # another number for each pixel


def test_dragan_scatters_by_half_a_deviation_and_scales_that_for_each_image() -> None:
    x = torch.randn(4000, 1, 3, 3) * 3 + 1
    noise = around(x, 0.5) - x
    assert noise.min() >= 0
    assert noise.max().item() == pytest.approx(1.5, rel=0.05)  # half of 3
    assert noise.mean().item() == pytest.approx(0.75, rel=0.05)
    seen: list[Tensor] = []
    one_lipschitz(lambda p: seen.append(p) or p.flatten(1).sum(1), x, x + 1.0)
    t = (seen[0] - x).flatten(1)
    assert_close(t, t[:, :1].expand_as(t), 1e-9)


def test_gradient_penalties_leave_the_generator_alone() -> None:
    for penalty in (R1(), R2(), GradientPenalty(), Dragan()):
        s = begin(Strategy(), "discriminator")
        own = list(s.networks["generator"].parameters())
        for p in own:
            p.requires_grad_()  # though the trainer would freeze it
        assert not any(g.any() for g in gradients(penalty(s), own)), penalty


def test_a_norm_of_0_has_a_gradient() -> None:
    weight = torch.zeros(4, requires_grad=True)
    x = torch.randn(3, 1, 2, 2)
    value = one_lipschitz(lambda p: p.flatten(1) @ weight, x, x)
    assert_close(value, torch.tensor(1.0), 1e-5)
    assert gradients(value, [weight])[0].isfinite().all()


def test_a_lazy_penalty_is_as_many_times_as_strong() -> None:
    strategy = Strategy()
    networks = build(strategy)
    player = add_penalties(strategy.players()[0], {"zoo/r1": R1(gamma=0.7, every=4)})
    for iteration in range(9):
        s = step(strategy, networks, ("discriminator",), iteration=iteration)
        terms = player.terms(s)
        assert terms.keys() == ({"adversarial", "r1"} if iteration in (0, 4, 8) else {"adversarial"})
        if "r1" in terms:
            assert_close(terms["r1"], 4 * 0.7 / 2 * mean([(g**2).sum() for g in slopes(s.critic, s.images("real"))]))


# --- penalties of realness ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.9, 0.99])
def test_lecam_pulls_realness_towards_the_average_of_the_other_sort(decay: float) -> None:
    penalty, networks = LeCam(weight=0.3, decay=decay).double(), build(Strategy())
    history: list[tuple[Tensor, Tensor]] = []
    for _ in range(5):
        s = step(Strategy(), networks, ("discriminator",))
        value = penalty(s)
        real, fake = (plain(s.critic, s.images(n)) for n in ("real", "fake"))
        history.append((real.mean().detach(), fake.mean().detach()))
        weights = [(1 - decay) * decay**age for age in reversed(range(len(history)))]
        anchor = [sum(w * m[side] for w, m in zip(weights, history, strict=True)) / sum(weights) for side in (0, 1)]
        assert_close(penalty.anchors, torch.stack(anchor))
        wanted = 0.3 * (mean([(r - anchor[1]) ** 2 for r in real]) + mean([(f - anchor[0]) ** 2 for f in fake]))
        assert_agree({"p": value}, {"p": wanted}, networks)
        with torch.no_grad():
            for p in networks["discriminator"].parameters():
                p.add_(torch.randn_like(p) * 0.3)


def test_lecam_goes_on_from_a_checkpoint_as_if_it_had_not_stopped() -> None:
    networks, said = build(Strategy()), []
    one = LeCam().double()
    for _ in range(3):
        one(step(Strategy(), networks, ("discriminator",)))
    two, fresh = LeCam().double(), LeCam().double()
    two.load_state_dict(one.state_dict())
    for penalty in (one, two, fresh):
        torch.manual_seed(3)
        said.append(penalty(step(Strategy(), networks, ("discriminator",))).detach())
    assert torch.equal(said[0], said[1])
    assert not torch.equal(said[0], said[2])


def mirrored(i: int) -> int:
    return abs(i) if i < SIDE else 2 * (SIDE - 1) - i


def variants(x: Tensor, pixels: int) -> list[Tensor]:
    """Every mirrored and shifted image of one `[1, H, W]`, the edge mirrored too."""
    far = range(-pixels, pixels + 1)
    return [
        side[:, [mirrored(i + dy) for i in range(SIDE)]][:, :, [mirrored(i + dx) for i in range(SIDE)]]
        for side in (x, x.flip(2))
        for dy in far
        for dx in far
    ]


@pytest.mark.parametrize("strategy", [Strategy(), ProjectionGAN()], ids=["plain", "projection"])
@pytest.mark.parametrize("fake_weight", [0.4, 0.0])
def test_balanced_consistency(strategy: Strategy, fake_weight: float) -> None:
    s = begin(strategy)
    points = recorded(s)
    value = BalancedConsistency(real_weight=0.7, fake_weight=fake_weight, pixels=1)(s)
    assert len(points) == (2 if fake_weight else 1)
    wanted = torch.zeros(())
    pairs = zip(("real", "fake"), points, conditions(s), (0.7, fake_weight), strict=False)
    for name, changed, y, weight in pairs:
        for image, other in zip(s.images(name), changed, strict=True):
            assert any(torch.equal(other, v) for v in variants(image, 1))
        say = (lambda x: plain(s.critic, x)) if y is None else (lambda x, y=y: projection(s.critic, x, y))
        assert not torch.equal(changed, s.images(name))
        square = [(a - b) ** 2 for a, b in zip(say(s.images(name)), say(changed), strict=True)]
        wanted = wanted + weight * mean(square)
    assert_agree({"p": value}, {"p": wanted}, {**s.networks})


def test_balanced_consistency_mirrors_half_and_shifts_evenly() -> None:
    x = torch.rand(900, 1, SIDE, SIDE)
    found = []
    for image, other in zip(x, BalancedConsistency(pixels=1).changed(x), strict=True):
        found += [i for i, v in enumerate(variants(image, 1)) if torch.equal(v, other)]
    assert len(found) == len(x)
    counts = [found.count(i) for i in range(18)]
    assert min(counts) > 20  # of 50
    assert sum(counts[9:]) == pytest.approx(450, abs=60)
    still = BalancedConsistency(flip=False, pixels=0)
    assert torch.equal(still.changed(x), x)


# --- penalties of weights -----------------------------------------------------------------------------------------


def test_clip_is_a_box_and_no_term() -> None:
    network = nn.Linear(3, 3)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[0.5, -0.5, 0.02], [-0.02, 0.1, -0.1], [0.0, 0.3, -7.0]]))
    before = network.weight.clone()
    clip = Clip(limit=0.1)
    assert clip(begin(Strategy())) is None
    clip.after([network])
    wanted = torch.tensor([[min(max(w, -0.1), 0.1) for w in row] for row in before.tolist()])
    assert_close(network.weight, nn.Parameter(wanted))
    assert network.bias.abs().max() <= 0.1


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_historical_average(player: str) -> None:
    networks = build(Strategy())
    past = copy.deepcopy(networks)
    with torch.no_grad():
        for p in parameters(past):
            p.add_(torch.randn_like(p))
    s = step(Strategy(), networks, (player,), averaged=past)
    value = HistoricalAverage(weight=0.3, player=player)(s)
    own = list(zip(networks[player].parameters(), past[player].parameters(), strict=True))
    wanted = 0.3 * sum((a - b.detach()) ** 2 for p, q in own for a, b in zip(p.flatten(), q.flatten(), strict=True))
    assert_agree({"p": value}, {"p": wanted}, networks)
    for (p, q), g in zip(own, gradients(value, [p for p, _ in own]), strict=True):
        assert_close(g, 2 * 0.3 * (p - q).detach())
    assert not any(g.any() for g in gradients(value, [q for _, q in own]))


def angles(filters: Tensor) -> Tensor:
    """Σ ⟨wᵢ, wⱼ⟩² over i ≠ j."""
    n = len(filters)
    return sum((filters[i].flatten() @ filters[j].flatten()) ** 2 for i in range(n) for j in range(n) if i != j)


def oblique(*layers: nn.Module) -> tuple[Tensor, dict[str, nn.Module]]:
    networks = {"generator": nn.Sequential(*layers), "discriminator": nn.Linear(2, 2)}
    s = step(Strategy(), networks, ("generator",))
    return Orthogonal(weight=0.3)(s), networks


def test_orthogonal_puts_filters_at_right_angles_whatever_their_lengths() -> None:
    linear, conv, norm = nn.Linear(3, 4), nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3)
    value, networks = oblique(linear, conv, norm)
    assert_agree({"p": value}, {"p": 0.3 * (angles(linear.weight) + angles(conv.weight))}, networks)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[3.0, 0, 0], [0, 0.1, 0], [0, 0, 7], [0, 0, 0]]))
    assert_close(oblique(linear)[0], torch.tensor(0.0))


def test_orthogonal_is_the_papers_matrix_formula() -> None:
    w = torch.randn(5, 4)  # WᵀW with filters as columns
    layer = nn.Linear(5, 4)
    layer.weight = nn.Parameter(w.T.clone())
    gram = w.T @ w
    assert_close(oblique(layer)[0], 0.3 * ((gram * (1 - torch.eye(4))) ** 2).sum())


def test_orthogonal_takes_the_filters_of_a_transposed_convolution() -> None:
    layer = nn.ConvTranspose2d(2, 3, 2, bias=False)
    assert_close(oblique(layer)[0], 0.3 * angles(layer.weight.transpose(0, 1)))


def test_orthogonal_leaves_gains_alone() -> None:
    layer = weight_norm(nn.Linear(3, 4))
    value, _ = oblique(layer)
    gain: Any = layer.parametrizations.weight.original0
    assert not gradients(value, [gain])[0].any()


# --- conditional GANs ---------------------------------------------------------------------------------------------


class Known(Images):
    """Nobody may ask for images without a label."""

    def view(self, name: str) -> Tensor:
        raise AssertionError(name)


def conditional(strategy: Strategy, monkeypatch: pytest.MonkeyPatch) -> dict[str, nn.Module]:
    monkeypatch.setattr("tests.test_ssl_math.Images", Known)
    return build(strategy, conditional=True)


@pytest.mark.parametrize("name", ["nonsaturating", "hinge", "lsgan"])
def test_projection_judges_each_image_as_one_of_its_class(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, discriminator, generator = LOSSES[name]
    strategy = ProjectionGAN()
    networks = conditional(strategy, monkeypatch)
    s, terms = move(strategy, "discriminator", networks, loss=loss)
    real = projection(s.critic, s.batch.labelled, s.batch.labels)
    fake = projection(s.critic, networks["generator"](s.z, s.y), s.y)
    assert (len(real), len(fake)) == (LABELLED, UNLABELLED)
    assert_agree(terms, {"adversarial": discriminator([*real], [*fake])}, networks)
    s, terms = move(strategy, "generator", networks, loss=loss)
    fake = projection(s.critic, networks["generator"](s.z, s.y), s.y)
    assert_agree(terms, {"adversarial": generator([*real], [*fake])}, networks)


def test_projection_of_an_unknown_class_is_the_rest_alone() -> None:
    networks = build(ProjectionGAN(), conditional=True)
    critic: Any = networks["discriminator"]
    x, y = Images().view("weak"), torch.tensor([0, -1, 2, -1, 1, 0])
    alone = plain(critic, x)
    assert_close(critic(x).adv, alone)
    assert_close(critic(x, y).adv, torch.where(y < 0, alone, projection(critic, x, y.clamp_min(0))))
    (g,) = gradients(critic(x[1:2], y[1:2]).adv.sum(), [critic.head.embedding.weight])
    assert not g.any()


@pytest.mark.parametrize("options", [{}, {"weight": 0.4, "generator_weight": 0.3}, {"on_fakes": False}])
def test_acgan(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = AuxiliaryClassifierGAN(**options)
    networks = conditional(strategy, monkeypatch)
    critic: Any = networks["discriminator"]
    s, terms = move(strategy, "discriminator", networks)
    fakes = networks["generator"](s.z, s.y)
    wanted = {
        "adversarial": said_real(plain(critic, s.batch.labelled)) + said_fake(plain(critic, fakes)),
        "label": strategy.weight * cross_entropy(logits(critic, s.batch.labelled), s.batch.labels),
    }
    if strategy.on_fakes:
        wanted["fake_label"] = strategy.weight * cross_entropy(logits(critic, fakes), s.y)
    assert_agree(terms, wanted, networks)
    s, terms = move(strategy, "generator", networks)
    fakes = networks["generator"](s.z, s.y)
    wanted = {
        "adversarial": said_real(plain(critic, fakes)),
        "class": strategy.generator_weight * cross_entropy(logits(critic, fakes), s.y),
    }
    assert_agree(terms, wanted, networks)
    assert_close(strategy.classify(networks, s.batch.labelled), logits(critic, s.batch.labelled))


class Spectral(Trunk):
    def last_layer(self, outputs: int) -> nn.Module:
        return spectral_norm(nn.Linear(FEATURES, outputs))


def test_where_the_last_layer_is_spectrally_normalised_so_are_the_class_vectors() -> None:
    networks = build(ProjectionGAN(), conditional=True, trunk=Spectral)
    critic: Any = networks["discriminator"]
    x, y = Images().view("weak"), torch.tensor([0, 1, 2, 2, 1, 0])
    for _ in range(300):  # let the power iteration end: `build` has exchanged the weights
        critic(x, y)
    critic.eval()
    raw = critic.head.adv.parametrizations.weight.original, critic.head.embedding.parametrizations.weight.original
    w, v = (m / torch.linalg.svdvals(m)[0] for m in raw)
    assert v.shape == (CLASSES, FEATURES)
    f = features(critic, x)
    naive = torch.stack([row @ w[0] + critic.head.adv.bias[0] + row @ v[c] for row, c in zip(f, y, strict=True)])
    assert_close(critic(x, y).adv, naive, 1e-7)
    of = [*raw, critic.trunk.layer.weight]
    towards = torch.randn(len(x))
    for one, two in zip(gradients(critic(x, y).adv @ towards, of), gradients(naive @ towards, of), strict=True):
        assert_close(one, two, 1e-6)
    loose: Any = build(ProjectionGAN(), conditional=True)["discriminator"]
    assert not hasattr(loose.head.embedding, "parametrizations")


# --- a trunk whose images meet each other -------------------------------------------------------------------------


class Meeting(nn.Module):
    """Subtracts the mean of the batch."""

    mixes_batch = True

    def forward(self, f: Tensor) -> Tensor:
        return f - f.mean(0)


class Together(Trunk):
    def __init__(self) -> None:
        super().__init__()
        self.meeting = Meeting()

    def forward(self, x: Tensor) -> Tensor:
        return self.meeting(super().forward(x))


def met(critic: Any, x: Tensor) -> Tensor:
    f = features(critic, x)
    return (f - f.mean(0)) @ critic.head.adv.weight[0] + critic.head.adv.bias[0]


def test_a_layer_that_mixes_the_batch_is_known_and_is_no_batch_norm() -> None:
    found = {}
    for trunk in (Trunk, Normalised, Together):
        critic: Any = build(Strategy(), trunk=trunk)["discriminator"]
        found[trunk] = critic.batch_statistics, critic.batch_norm
    assert found == {Trunk: (False, False), Normalised: (True, True), Together: (True, False)}


def test_where_images_meet_fakes_pass_alone() -> None:
    strategy = Strategy()
    networks = build(strategy, trunk=Together)
    s, terms = move(strategy, "discriminator", networks)
    assert networks["discriminator"].trunk.passes == 2
    real, fake = (met(s.critic, s.images(n)) for n in ("real", "fake"))
    assert_agree(terms, {"adversarial": said_real(real) + said_fake(fake)}, networks)
    other = s.judge(s.images("real"), s.images("fake"))
    assert_close(other[0].adv, real)
    assert_close(other[1].adv, fake)


@pytest.mark.parametrize("penalty", [R1(), R2(), GradientPenalty(), Dragan()], ids=lambda p: type(p).__name__)
def test_penalties_of_single_images_are_refused_with_batch_norm_alone(penalty: Any) -> None:
    config = configure(values={"disc": "dcgan"})
    for trunk in (Trunk, Together, Normalised):
        networks = build(Strategy(), trunk=trunk)
        given: Any = (config, SimpleNamespace(networks=networks), Strategy().players(), {"p": penalty})
        if trunk is Normalised:
            with pytest.raises(Incompatible, match="batch norm"):
                check_compatible(*given)
        else:
            check_compatible(*given)
            assert penalty(step(Strategy(), networks, ("discriminator",))).isfinite()


class Discriminating(Trunk):
    num_features = FEATURES + 2

    def __init__(self) -> None:
        super().__init__()
        self.meeting = MinibatchDiscrimination(FEATURES, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.meeting(super().forward(x))


def test_only_real_images_move_what_a_layer_that_mixes_the_batch_remembers() -> None:
    networks = build(Strategy(), trunk=Discriminating)
    layer: Any = networks["discriminator"].trunk.meeting
    s = step(Strategy(), networks, ("discriminator",))
    m = (features(s.critic, s.images("real")) @ layer.T).reshape(UNLABELLED, 2, 3)
    closeness = (-(m[:, None] - m[None]).abs().sum(3)).exp().sum(1).mean(0)
    before = layer.running.clone()
    s.see("real", "fake")
    assert_close(layer.running, (before + 0.1 * (closeness - before)).detach())
    after = layer.running.clone()
    s.judge(s.images("fake"))
    assert torch.equal(layer.running, after)
    assert layer.track_running_stats

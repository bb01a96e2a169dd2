"""Gradient penalties and penalties of logits and weights, against their formulas."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from ganzoo_zoo.penalties.gradient import R1, R2, Dragan, GradientPenalty, around, one_lipschitz
from ganzoo_zoo.penalties.realness import BalancedConsistency, LeCam
from ganzoo_zoo.penalties.weights import Clip, HistoricalAverage, Orthogonal
from ganzoo_zoo.ssl.conditional import ProjectionGAN
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from ganzoo.strategy.base import Strategy
from ganzoo.strategy.networks import DiscOutput
from ganzoo.strategy.players import with_penalties
from ganzoo.strategy.step import Step
from tests.zoo.math.reference import (
    CLASSES,
    LABELLED,
    SIDE,
    UNLABELLED,
    Images,
    assert_agree,
    assert_close,
    build,
    features,
    gradients,
    parameters,
    plain,
    projection,
    step,
)
from tests.zoo.math.support import mean


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
    return (s.batch.labels, s.y) if s.discriminator.conditional else (None, None)


@pytest.mark.parametrize("strategy", [Strategy(), ProjectionGAN()], ids=["plain", "projection"])
@pytest.mark.parametrize("penalty", [R1(gamma=0.7), R2(gamma=0.7)], ids=["r1", "r2"])
def test_r1_and_r2(penalty: Any, strategy: Strategy) -> None:
    s = begin(strategy)
    real, fake = conditions(s)
    x, y = (s.images("real"), real) if isinstance(penalty, R1) else (s.images("fake"), fake)
    assert len(x) == (LABELLED if strategy.needs_labels and isinstance(penalty, R1) else UNLABELLED)
    wanted = 0.7 / 2 * mean([(g**2).sum() for g in slopes(s.discriminator, x, y)])
    assert_agree({"p": penalty(s)}, {"p": wanted}, {**s.networks})
    if y is not None:  # so that it matters which classes are told
        other = 0.7 / 2 * mean([(g**2).sum() for g in slopes(s.discriminator, x, (y + 1) % CLASSES)])
        assert abs(other - wanted) > 1e-3


def recorded(s: Step) -> list[Tensor]:
    """Let the step tell which points it was asked about."""
    points: list[Tensor] = []
    discriminate = s.discriminate_images

    def record(*images: Tensor, **options: Any) -> tuple[DiscOutput, ...]:
        points.extend(images)
        return discriminate(*images, **options)

    s.discriminate_images = record  # type: ignore[method-assign]
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
    wanted = 0.7 * mean([((g**2).sum().sqrt() - 1) ** 2 for g in slopes(s.discriminator, x.detach(), conditions(s)[0])])
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
    wanted = 0.7 * mean([((g**2).sum().sqrt() - 1) ** 2 for g in slopes(s.discriminator, x.detach(), conditions(s)[0])])
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
    player = with_penalties(strategy.players()[0], {"zoo/r1": R1(gamma=0.7, every=4)})
    for iteration in range(9):
        s = step(strategy, networks, ("discriminator",), iteration=iteration)
        terms = player.terms(s)
        assert terms.keys() == ({"adversarial", "r1"} if iteration in (0, 4, 8) else {"adversarial"})
        if "r1" in terms:
            assert_close(
                terms["r1"], 4 * 0.7 / 2 * mean([(g**2).sum() for g in slopes(s.discriminator, s.images("real"))])
            )


@pytest.mark.parametrize("decay", [0.9, 0.99])
def test_lecam_pulls_realness_towards_the_average_of_the_other_sort(decay: float) -> None:
    penalty, networks = LeCam(weight=0.3, decay=decay).double(), build(Strategy())
    history: list[tuple[Tensor, Tensor]] = []
    for _ in range(5):
        s = step(Strategy(), networks, ("discriminator",))
        value = penalty(s)
        real, fake = (plain(s.discriminator, s.images(n)) for n in ("real", "fake"))
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
        say = (lambda x: plain(s.discriminator, x)) if y is None else (lambda x, y=y: projection(s.discriminator, x, y))
        assert not torch.equal(changed, s.images(name))
        square = [(a - b) ** 2 for a, b in zip(say(s.images(name)), say(changed), strict=True)]
        wanted = wanted + weight * mean(square)
    assert_agree({"p": value}, {"p": wanted}, {**s.networks})


def test_balanced_consistency_mirrors_half_and_shifts_evenly() -> None:
    x = torch.rand(900, 1, SIDE, SIDE)
    found = []
    for image, other in zip(x, BalancedConsistency(pixels=1).transform(x), strict=True):
        found += [i for i, v in enumerate(variants(image, 1)) if torch.equal(v, other)]
    assert len(found) == len(x)
    counts = [found.count(i) for i in range(18)]
    assert min(counts) > 20  # of 50
    assert sum(counts[9:]) == pytest.approx(450, abs=60)
    still = BalancedConsistency(flip=False, pixels=0)
    assert torch.equal(still.transform(x), x)


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

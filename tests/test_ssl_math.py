"""Every term of every strategy and classifier penalty, against closed forms or a naive formula of its own, in float64.

Values and gradients. The naive formulas are the papers' as printed: probabilities, logarithms and loops.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from ganzoo_zoo.discriminators.mlp import Discriminator as Mlp
from ganzoo_zoo.layers import WeightNorm
from ganzoo_zoo.losses.gan import hinge, nonsaturating, wasserstein
from ganzoo_zoo.penalties.classifier import (
    Consistency,
    Entropy,
    Manifold,
    PullAway,
    VirtualAdversarial,
    divergence,
    entropy,
    imbalance,
    local_smoothness,
    pull_away,
    two_pass,
    unit,
)
from ganzoo_zoo.ssl import aae, noisystudent, s3gan
from ganzoo_zoo.ssl.aae import AdversarialAutoencoder
from ganzoo_zoo.ssl.autoencoder import Autoencoder
from ganzoo_zoo.ssl.fixmatch import FixMatch, aligned
from ganzoo_zoo.ssl.kplus1 import KPlusOne, feature_matching
from ganzoo_zoo.ssl.margingan import MarginGAN, inverted_cross_entropy
from ganzoo_zoo.ssl.mdgan import ModeRegularized
from ganzoo_zoo.ssl.noisystudent import NoisyStudent
from ganzoo_zoo.ssl.pseudolabel import PseudoLabel, guess_loss
from ganzoo_zoo.ssl.s3gan import CoTraining, turned
from ganzoo_zoo.ssl.schedules import rise
from ganzoo_zoo.ssl.supervised import Supervised
from torch import Tensor, nn
from torch.autograd import gradcheck

from ganzoo import ImageShape
from ganzoo.config import DataConfig
from ganzoo.contracts import AdversarialLoss, DiscOutput, Terms
from ganzoo.data import views
from ganzoo.errors import BadOption, Incompatible
from ganzoo.strategy import Kit, SemiSupervised, Step, Strategy

F32, F64 = torch.float32, torch.float64
CLASSES, SIDE, PIXELS, FEATURES, LATENT = 3, 4, 16, 5, 2
LABELLED, UNLABELLED = 4, 6
SHAPE = ImageShape(1, SIDE, CLASSES)
RELATIVISTIC = AdversarialLoss(
    lambda real, fake: F.softplus(fake - real).mean(), lambda real, fake: F.softplus(real - fake).mean(), True
)
Networks = dict[str, nn.Module]


@pytest.fixture(autouse=True)
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Critics, coders and generated images are cast to fp32 by `.float()`; were it so here, 1e-9 would mean nothing.
    monkeypatch.setattr(Tensor, "float", lambda self: self.double())
    torch.set_default_dtype(F64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(F32)


# --- a tiny world: networks, images, a step -----------------------------------------------------------------------


class Trunk(nn.Module):
    num_features = FEATURES

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.passes = nn.Linear(PIXELS, FEATURES), 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return torch.tanh(self.layer(x.flatten(1)))


class Drifting(Trunk):
    """Says something else in each pass, as with dropout, and what it will say is known."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + 0.1 * (self.passes - 1))


class Noisy(Trunk):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + 0.3 * torch.randn_like(x))


class Normalised(Trunk):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(FEATURES, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(super().forward(x))


class Decoding(nn.Module):
    """A generator."""

    z_dim = LATENT

    def __init__(self, conditional: bool) -> None:
        super().__init__()
        self.conditional = conditional
        self.layer = nn.Linear(LATENT + CLASSES * conditional, PIXELS)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        if self.conditional:
            assert y is not None
            z = torch.cat([z, one_hot(y) if y.ndim == 1 else y], 1)
        return torch.tanh(self.layer(z)).reshape(-1, 1, SIDE, SIDE)


class Images:
    """A batch."""

    def __init__(self) -> None:
        rng = torch.Generator().manual_seed(1)
        draw = lambda n: torch.rand(n, 1, SIDE, SIDE, generator=rng) * 2 - 1  # noqa: E731
        self.labelled, self.labels = draw(LABELLED), torch.tensor([2, 0, 1, 1])
        self.views = {"weak": draw(UNLABELLED), "strong": draw(UNLABELLED)}

    def view(self, name: str) -> Tensor:
        return self.views[name]


def build(strategy: Strategy, conditional: bool = False, trunk: Callable[[], nn.Module] = Trunk) -> Networks:
    networks = strategy.networks(Kit(SHAPE, trunk, lambda: Decoding(conditional)))
    with torch.no_grad():  # far from 0, so that nothing is near a symmetry
        for parameter in parameters(networks):
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return networks


def parameters(networks: Networks) -> list[nn.Parameter]:
    return [p for network in networks.values() for p in network.parameters()]


def step(strategy: Strategy, networks: Networks, moving: tuple[str, ...], **options: Any) -> Step:
    own = {id(p) for name in moving for p in networks[name].parameters()}
    for parameter in parameters(networks):  # as the trainer freezes everybody else
        parameter.requires_grad_(id(parameter) in own)
    given = {"averaged": {}, "loss": nonsaturating(), "augment": None, "iteration": 1, "progress": 0.5}
    given |= {"real_view": strategy.views[0]} | options
    return Step(
        batch=Images(),
        networks=networks,
        moving=moving,
        shape=SHAPE,
        size=UNLABELLED,
        device=torch.device("cpu"),
        **given,
    )


def move(strategy: Strategy, player: str, networks: Networks, **options: Any) -> tuple[Step, Terms]:
    (found,) = [p for p in strategy.players() if p.name == player]
    s = step(strategy, networks, found.networks, real_view=found.real or strategy.views[0], **options)
    return s, found.terms(s)


def gradients(value: Tensor, of: list[Any]) -> list[Tensor]:
    if not value.requires_grad:
        return [torch.zeros_like(p) for p in of]
    return list(torch.autograd.grad(value, of, retain_graph=True, materialize_grads=True))


def assert_close(got: Any, wanted: Any, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(got, wanted, rtol=tolerance, atol=tolerance)


def assert_agree(got: Terms, wanted: Terms, networks: Networks) -> None:
    """Assert that terms are the same, and each one's gradient for every weight that moves; the others are frozen."""
    assert got.keys() == wanted.keys()
    moving = [p for p in parameters(networks) if p.requires_grad]
    for name, value in got.items():
        assert value.shape == (), name
        torch.testing.assert_close(value, wanted[name], rtol=1e-9, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")
        for one, two in zip(gradients(value, moving), gradients(wanted[name], moving), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-8, atol=1e-9, msg=lambda m, n=name: f"gradient of {n}: {m}")
    total, naive = torch.stack([*got.values()]).sum(), torch.stack([*wanted.values()]).sum()
    assert any(bool(g.any()) for g in gradients(total, moving))
    for one, two in zip(gradients(total, moving), gradients(naive, moving), strict=True):
        assert_close(one, two, 1e-8)


# --- what a paper says, naively -----------------------------------------------------------------------------------


def one_hot(y: Tensor) -> Tensor:
    return torch.eye(CLASSES)[y]


def linear(layer: Any, x: Tensor) -> Tensor:
    return x @ layer.weight.T + layer.bias


def features(critic: Any, x: Tensor) -> Tensor:
    return torch.tanh(linear(critic.trunk.layer, x.flatten(1)))


def logits(critic: Any, x: Tensor) -> Tensor:
    return linear(critic.head.classes, features(critic, x))


def probabilities(scores: Tensor) -> Tensor:
    return scores.exp() / scores.exp().sum(1, keepdim=True)


def cross_entropy(scores: Tensor, y: Tensor) -> Tensor:
    return -torch.stack([probabilities(scores)[i, c].log() for i, c in enumerate(y.tolist())]).mean()


def realness(critic: Any, x: Tensor) -> Tensor:
    """log Z, for which σ(log Z) = Z / (Z + 1)."""
    return logits(critic, x).exp().sum(1).log()


def plain(critic: Any, x: Tensor) -> Tensor:
    """The realness of an ordinary discriminator."""
    return linear(critic.head.adv, features(critic, x))[:, 0]


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


def said_real(adv: Tensor) -> Tensor:
    return -sigmoid(adv).log().mean()


def said_fake(adv: Tensor) -> Tensor:
    return -(1 - sigmoid(adv)).log().mean()


def square_error(x: Tensor, y: Tensor) -> Tensor:
    return torch.stack([(a - b) ** 2 for a, b in zip(x.flatten(), y.flatten(), strict=True)]).mean()


def guessed(scores: Tensor) -> Tensor:
    return torch.tensor([max(range(CLASSES), key=row.__getitem__) for row in scores.tolist()])


def mean_entropy(scores: Tensor) -> Tensor:
    return torch.stack([-sum(p * p.log() for p in row) for row in probabilities(scores)]).mean()


def squared_cosines(f: Tensor) -> Tensor:
    pairs = [(f[i] @ f[j]) / (f[i].norm() * f[j].norm()) for i, j in itertools.permutations(range(len(f)), 2)]
    return torch.stack(pairs).square().mean()


def kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p / q).log()).sum(1).mean()


# --- pure functions: K+1 -----------------------------------------------------------------------------------------


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


# --- pure functions: guesses --------------------------------------------------------------------------------------


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


# --- pure functions: classifier penalties -------------------------------------------------------------------------


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


# --- pure functions: schedules, turns -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("progress", "wanted"), [(0.0, 0.0), (0.1, 0.0), (0.2, 0.2), (0.35, 0.5), (0.6, 1.0), (0.9, 1.0)]
)
def test_rise(progress: float, wanted: float) -> None:
    assert rise(progress, 0.1, 0.6) == pytest.approx(wanted, abs=1e-12)


def test_rise_of_no_length_is_a_step() -> None:
    assert rise(0.0, 0.0, 0.0) == 1


def test_turned_turns_each_image_by_its_quarters() -> None:
    x = torch.randn(4, 2, SIDE, SIDE, requires_grad=True)
    quarters = torch.tensor([3, 0, 1, 2])
    value = turned(x, quarters)
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
    assert_close(gradients((value * weight).sum(), [x])[0], turned(weight, (4 - quarters) % 4))


# --- pure functions: Triple-GAN and BadGAN, packages of their own ---------------------------------------------------


def test_triplegan_losses_of_each_image() -> None:
    triple = pytest.importorskip("ganzoo_triplegan.strategy")
    adv = torch.randn(5, requires_grad=True)
    for loss, wanted in (
        (nonsaturating(), [math.log(1 + math.exp(-a)) for a in adv.tolist()]),
        (hinge(), (-adv).tolist()),
        (wasserstein(), (-adv).tolist()),
    ):
        value = triple.each(loss, adv)
        assert value.tolist() == pytest.approx(wanted)
        assert not value.requires_grad
    with pytest.raises(Incompatible, match="compares"):
        triple.each(RELATIVISTIC, adv)


def test_triplegan_balance() -> None:
    triple = pytest.importorskip("ganzoo_triplegan.strategy")
    scores = torch.randn(6, CLASSES, requires_grad=True)
    mean = [sum(probabilities(scores)[:, k]) / 6 for k in range(CLASSES)]
    assert_close(triple.imbalance(scores), -sum(m.log() for m in mean) / CLASSES)
    assert gradcheck(triple.imbalance, scores)
    even = torch.eye(CLASSES) * 50  # sure, and each class as often as another: the least there is
    assert_close(triple.imbalance(even), torch.tensor(math.log(CLASSES)))


@pytest.mark.parametrize(
    ("progress", "end", "wanted"),
    [
        (0.0, 0.1, math.exp(-5)),
        (0.05, 0.1, math.exp(-1.25)),
        (0.1, 0.1, 1.0),
        (0.7, 0.1, 1.0),
        (0.0, 0.0, 1.0),
    ],
)
def test_triplegan_warming(progress: float, end: float, wanted: float) -> None:
    triple = pytest.importorskip("ganzoo_triplegan.strategy")
    assert triple.warm(progress, end) == pytest.approx(wanted)


def naive_bound(code: Tensor, z: Tensor) -> Tensor:
    rows = []
    for c, row in zip(code, z, strict=True):
        n = len(row)
        rows.append(sum(c[n + i] + (row[i] - c[i]) ** 2 / (2 * (2 * c[n + i]).exp()) for i in range(n)))
    return torch.stack(rows).mean()


def test_badgan_bound_is_a_gaussian_likelihood() -> None:
    bad = pytest.importorskip("ganzoo_badgan.strategy")
    code, z = torch.randn(4, 2 * LATENT, requires_grad=True), torch.randn(4, LATENT, requires_grad=True)
    value = bad.negative_entropy_bound(code, z)
    assert_close(value, naive_bound(code, z))
    likelihood = torch.distributions.Normal(code[:, :LATENT], code[:, LATENT:].exp()).log_prob(z).sum(1).mean()
    assert_close(value, -likelihood - LATENT * math.log(2 * math.pi) / 2)
    mean, deviation = code.detach()[:, :LATENT], code.detach()[:, LATENT:].exp()
    score = (z.detach() - mean) / deviation
    assert_close(gradients(value, [code])[0], torch.cat([-score / deviation, 1 - score**2], 1) / 4)
    assert gradcheck(bad.negative_entropy_bound, (code, z))


# --- strategies: K+1 and what is built on it ------------------------------------------------------------------------


def kplus1_discriminator(s: Step, o: KPlusOne) -> Terms:
    critic, b = s.networks["discriminator"], s.batch
    real, fake = realness(critic, b.view("weak")), realness(critic, s.images("fake"))
    return {
        "label": o.label_weight * cross_entropy(logits(critic, b.labelled), b.labels),
        "adversarial": o.unlabelled_weight * (said_real(real) + said_fake(fake)),
    }


def kplus1_generator(s: Step, o: KPlusOne) -> Terms:
    critic, fake = s.networks["discriminator"], s.networks["generator"](s.z, s.y)
    difference = features(critic, s.batch.view("weak")).mean(0) - features(critic, fake).mean(0)
    terms = {
        "adversarial": o.adversarial_weight * said_real(realness(critic, fake)),
        "features": o.feature_weight * ((difference**2) if o.distance == "l2" else difference.abs()).mean(),
    }
    if s.y is not None:
        terms["class"] = o.class_weight * cross_entropy(logits(critic, fake), s.y)
    return terms


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"distance": "l1", "label_weight": 0.7, "unlabelled_weight": 0.3, "adversarial_weight": 0.2},
        {"feature_weight": 3.0, "class_weight": 0.4},
    ],
)
def test_kplus1(options: dict[str, Any], conditional: bool) -> None:
    strategy = KPlusOne(**options)
    networks = build(strategy, conditional)
    s, terms = move(strategy, "discriminator", networks)
    assert_agree(terms, kplus1_discriminator(s, strategy), networks)
    s, terms = move(strategy, "generator", networks)
    assert (s.y is not None) == conditional
    assert_agree(terms, kplus1_generator(s, strategy), networks)


def test_real_images_are_seen_without_a_gradient_while_the_discriminator_stands_still() -> None:
    networks = build(KPlusOne())
    s = step(KPlusOne(), networks, ("generator",))
    for parameter in parameters(networks):
        parameter.requires_grad_()  # though the trainer would freeze it
    real, fake, labelled = s.see("real", "fake", "labelled")
    assert [out.features.requires_grad for out in (real, fake, labelled)] == [False, True, False]


@pytest.mark.parametrize("trunk", [Trunk, Normalised])
def test_what_is_taken_as_given_passes_without_a_gradient_unless_statistics_bind_it(trunk: type[Trunk]) -> None:
    networks = build(FixMatch(gan=False), trunk=trunk)
    s = step(FixMatch(gan=False), networks, ("discriminator",))
    labelled, guesses = s.see("labelled", "real", given=("real",))
    bound = trunk is Normalised
    assert (labelled.features.requires_grad, guesses.features.requires_grad) == (True, bound)
    (real,) = s.see("real")
    assert real.features.requires_grad
    assert_close(real.features, guesses.features)
    passes = networks["discriminator"].trunk.passes
    assert passes == (1 if bound else 3)
    s.see("real", "labelled", given=("real",))
    assert networks["discriminator"].trunk.passes == passes


def test_kplus1_with_a_loss_that_compares() -> None:
    strategy = KPlusOne()
    networks = build(strategy)
    critic = networks["discriminator"]
    s, terms = move(strategy, "discriminator", networks, loss=RELATIVISTIC)
    lead = realness(critic, s.batch.view("weak")) - realness(critic, s.images("fake"))
    assert_agree({"a": terms["adversarial"]}, {"a": 0.5 * said_real(lead)}, networks)
    s, terms = move(strategy, "generator", networks, loss=RELATIVISTIC)
    lead = realness(critic, s.batch.view("weak")) - realness(critic, s.images("fake"))
    assert_agree({"a": terms["adversarial"]}, {"a": said_real(-lead)}, networks)


def test_kplus1_leaves_out_the_terms_of_no_weight() -> None:
    strategy = KPlusOne(adversarial_weight=0, class_weight=0)
    networks = build(strategy, conditional=True)
    assert move(strategy, "generator", networks)[1].keys() == {"features"}
    assert not move(KPlusOne(adversarial_weight=0, feature_weight=0, class_weight=0), "generator", networks)[1]


def test_kplus1_with_batch_statistics_normalises_fakes_alone() -> None:
    strategy = KPlusOne()
    networks = build(strategy, trunk=Normalised)
    s, terms = move(strategy, "discriminator", networks)
    head = networks["discriminator"].head

    def seen(x: Tensor) -> Tensor:
        f = features(networks["discriminator"], x)
        return linear(head.classes, (f - f.mean(0)) / (((f - f.mean(0)) ** 2).mean(0) + 1e-5).sqrt())

    together, fake = seen(torch.cat([s.batch.labelled, s.batch.view("weak")])), seen(s.images("fake"))
    real = together[LABELLED:].exp().sum(1).log()
    wanted = {
        "label": cross_entropy(together[:LABELLED], s.batch.labels),
        "adversarial": 0.5 * (said_real(real) + said_fake(fake.exp().sum(1).log())),
    }
    assert_agree(terms, wanted, networks)


def decoded(s: Step) -> Tensor:
    critic, decoder, x = s.networks["discriminator"], s.networks["decoder"], s.batch.view("weak")
    code = linear(decoder.to_latent, features(critic, x))
    if decoder.generator.conditional:
        code = torch.cat([code, probabilities(logits(critic, x)).detach()], 1)  # the class is taken as given
    return torch.tanh(linear(decoder.generator.layer, code)).reshape(x.shape)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(
    ("pretrain", "ramp", "progress", "weight"),
    [
        (0.0, 0.1, 0.0, 0.0),
        (0.0, 0.1, 0.05, 0.5),
        (0.0, 0.1, 0.1, 1.0),
        (0.0, 0.0, 0.0, 1.0),
        (0.2, 0.4, 0.2, 0.0),
        (0.2, 0.4, 0.3, 0.25),
        (0.2, 0.4, 0.8, 1.0),
    ],
)
def test_autoencoder(pretrain: float, ramp: float, progress: float, weight: float, conditional: bool) -> None:
    strategy = Autoencoder(reconstruction_weight=0.3, pretrain=pretrain, ramp=ramp, label_weight=0.7)
    networks = build(strategy, conditional)
    s, terms = move(strategy, "discriminator", networks, progress=progress)
    error = square_error(decoded(s), s.batch.view("weak"))
    assert_agree(terms, kplus1_discriminator(s, strategy) | {"reconstruction": 0.3 * weight * error}, networks)
    s, terms = move(strategy, "generator", networks, progress=progress)
    assert_agree(terms, kplus1_generator(s, strategy), networks)


@pytest.mark.parametrize("progress", [0.0, 0.19])
def test_autoencoder_alone_at_first(progress: float) -> None:
    strategy = Autoencoder(reconstruction_weight=0.3, pretrain=0.2)
    networks = build(strategy)
    s, terms = move(strategy, "discriminator", networks, progress=progress)
    assert_agree(terms, {"reconstruction": square_error(decoded(s), s.batch.view("weak"))}, networks)
    assert all(p.requires_grad for p in networks["decoder"].parameters())
    assert not move(strategy, "generator", networks, progress=progress)[1]


def test_autoencoder_reconstructs() -> None:
    strategy = Autoencoder()
    networks = build(strategy, conditional=True)
    s, _ = move(strategy, "discriminator", networks)
    assert_close(strategy.reconstruct(networks, s.batch.view("weak")), decoded(s))


@pytest.mark.parametrize("conditional", [False, True])
def test_mdgan(conditional: bool) -> None:
    strategy = ModeRegularized(reconstruction_weight=0.6, mode_weight=0.3, adversarial_weight=0.9)
    networks = build(strategy, conditional)
    s, terms = move(strategy, "discriminator", networks)
    assert_agree(terms, kplus1_discriminator(s, strategy), networks)
    s, terms = move(strategy, "generator", networks)
    critic, encoder, x = networks["discriminator"], networks["encoder"], s.batch.view("weak")
    code = linear(encoder.code, torch.tanh(linear(encoder.trunk.layer, x.flatten(1))))
    again = networks["generator"](code, probabilities(logits(critic, x)) if conditional else None)
    wanted = {
        "reconstruction": 0.6 * square_error(x, again),
        "mode": -0.3 * sigmoid(realness(critic, again)).log().mean(),
    }
    assert_agree(terms, kplus1_generator(s, strategy) | wanted, networks)
    assert all(p.requires_grad for p in encoder.parameters())
    assert_close(strategy.reconstruct(networks, x), again)


def test_mdgan_compares_modes_with_real_images() -> None:
    strategy = ModeRegularized()
    networks = build(strategy)
    s, terms = move(strategy, "generator", networks, loss=RELATIVISTIC)
    critic, x = networks["discriminator"], s.batch.view("weak")
    again = networks["generator"](networks["encoder"](x))
    assert_agree({"m": terms["mode"]}, {"m": 0.2 * said_real(realness(critic, again) - realness(critic, x))}, networks)


def halfway(surest: Tensor) -> float:
    """Return a threshold that half of them reach, far from each."""
    return float(surest.detach().sort().values[2:4].mean())


@pytest.mark.parametrize(
    ("progress", "alpha"), [(0.0, 0.0), (0.1, 0.0), (0.2, 0.6), (0.35, 1.5), (0.6, 3.0), (0.95, 3.0)]
)
@pytest.mark.parametrize("some", [False, True])
def test_pseudolabel(progress: float, alpha: float, some: bool) -> None:
    strategy = PseudoLabel()
    networks = build(strategy)
    surest = probabilities(logits(networks["discriminator"], Images().view("weak"))).max(1).values
    strategy.threshold = halfway(surest) if some else 0.0
    s, terms = move(strategy, "discriminator", networks, progress=progress)
    kept = [-p.log() for p in surest if p >= strategy.threshold]
    assert len(kept) == (3 if some else UNLABELLED)
    guess = torch.stack(kept).sum() / UNLABELLED
    assert_agree(terms, kplus1_discriminator(s, strategy) | {"guess": alpha * guess}, networks)
    s, terms = move(strategy, "generator", networks, progress=progress)
    assert_agree(terms, kplus1_generator(s, strategy), networks)


def test_aligned_guesses_of_a_batch_favour_what_is_seldom_guessed() -> None:
    strategy = FixMatch(gan=False, align=True, threshold=0.0)
    networks = build(strategy)
    s, terms = move(strategy, "discriminator", networks)
    q = probabilities(logits(networks["discriminator"], s.batch.view("weak"))).detach()
    fair = q / q.mean(0)
    fair = fair / fair.sum(1, keepdim=True)
    assert fair.argmax(1).tolist() != q.argmax(1).tolist()  # so that it matters
    strong = probabilities(logits(networks["discriminator"], s.batch.view("strong")))
    guess = -torch.stack([strong[i, c].log() for i, c in enumerate(fair.argmax(1).tolist())]).mean()
    assert_agree(terms, {"guess": guess, "label": naive_label(s)}, networks)


def test_a_class_that_is_never_guessed_stays_finite_when_aligned() -> None:
    never = aligned(torch.tensor([[200.0, -200.0], [300.0, -300.0]]))
    assert never.isfinite().all()
    assert never.argmax(1).tolist() == [0, 0]


@pytest.mark.parametrize("gan", [True, False])
@pytest.mark.parametrize("teacher", [False, True])
def test_fixmatch_learns_strong_views_from_guesses_of_weak_ones(teacher: bool, gan: bool) -> None:
    strategy = FixMatch(weight=0.8, teacher=teacher, gan=gan)
    networks, averaged = build(strategy), build(strategy)
    x = Images().view("weak")
    own, of_average = (logits(n["discriminator"], x) for n in (networks, averaged))
    weak = of_average if teacher else own
    strategy.threshold = halfway(probabilities(weak).max(1).values)
    s, terms = move(strategy, "discriminator", networks, averaged=averaged)
    strong = logits(networks["discriminator"], s.batch.view("strong"))
    assert guessed(own).tolist() != guessed(of_average).tolist()  # so that it matters who guesses
    assert guessed(weak).tolist() != guessed(strong).tolist()  # and from what
    p, q = probabilities(strong), probabilities(weak).detach()
    kept = [-p[i, c].log() for i, c in enumerate(guessed(weak).tolist()) if q[i].max() >= strategy.threshold]
    assert len(kept) == 3
    wanted = {"guess": 0.8 * torch.stack(kept).sum() / UNLABELLED}
    wanted |= kplus1_discriminator(s, strategy) if gan else {"label": naive_label(s)}
    assert_agree(terms, wanted, networks)
    taught = torch.autograd.grad(terms["guess"], parameters(averaged), allow_unused=True)
    assert all(g is None for g in taught)


@pytest.mark.parametrize("gan", [True, False])
def test_a_noisy_student_learns_what_it_and_its_teacher_say_together(
    gan: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noisystudent, "Cnn13", lambda shape, **options: Trunk())
    strategy = NoisyStudent(gan=gan, start=0.5, teacher=0.3, answer=0.2)
    networks, averaged = build(strategy), build(strategy)
    x = Images().view("weak")
    taught, own = (probabilities(logits(averaged[name], x)).log() for name in ("discriminator", "student"))
    s, terms = move(strategy, "student", networks, averaged=averaged, progress=0.6)
    said = probabilities(logits(networks["student"], s.batch.view("strong"))).log()
    guess = probabilities(own + 0.3 * taught)
    assert_agree(terms, {"guess": -(guess * said).sum(1).mean()}, networks)
    learnt = torch.autograd.grad(terms["guess"], parameters(averaged), allow_unused=True)
    assert all(g is None for g in learnt)
    assert move(strategy, "student", networks, averaged=averaged, progress=0.49)[1] == {}

    teacher, student = (probabilities(logits(networks[n], x)).log() for n in ("discriminator", "student"))
    assert_close(strategy.classify(networks, x), student + 0.2 * teacher)
    s, terms = move(strategy, "discriminator", networks)
    assert_agree(
        terms, kplus1_discriminator(s, cast(KPlusOne, strategy.first)) if gan else {"label": naive_label(s)}, networks
    )


@pytest.mark.parametrize("answer", [1.0, 0.1])
def test_a_student_that_has_not_begun_leaves_the_answer_to_its_teacher(answer: float) -> None:
    strategy = NoisyStudent(answer=answer)
    shape = ImageShape(1, 12, CLASSES)
    kit = Kit(shape, lambda: Mlp(shape, hidden=[8]), lambda: Decoding(conditional=False))
    networks = {name: network.eval() for name, network in strategy.networks(kit).items()}
    x = torch.rand(20, 1, 12, 12) * 2 - 1
    teacher = networks["discriminator"](x).logits
    assert teacher.std() > 0
    assert_close(strategy.classify(networks, x).softmax(1), (answer * teacher).softmax(1), 1e-5)


@pytest.mark.parametrize("wrong", [{"start": 1.0}, {"start": -0.1}, {"answer": 0.0}])
def test_a_student_without_time_or_answer_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"has no time for it|leaves no answer"):
        NoisyStudent(**wrong)  # type: ignore[arg-type]


def test_a_student_learns_of_any_strategy_that_classifies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noisystudent, "Cnn13", lambda shape, **options: Trunk())
    strategy = NoisyStudent(of="margingan", options={"class_weight": 0.5}, start=0.0)
    networks = build(strategy)
    assert networks.keys() == {"classifier", "discriminator", "generator", "student"}
    s, terms = move(strategy, "student", networks, averaged=networks, progress=0.5)
    weak, strong = s.batch.view("weak"), s.batch.view("strong")
    taught, own = (probabilities(logits(networks[name], weak)).detach() for name in ("classifier", "student"))
    said = probabilities(logits(networks["student"], strong)).log()
    answer = probabilities(taught.log() + own.log())
    assert_agree(terms, {"guess": -(answer * said).sum(1).mean()}, networks)
    with pytest.raises(Incompatible, match="noisy-student has a student of its own"):
        build(NoisyStudent(of="noisy-student"))
    with pytest.raises(BadOption, match="ssl 'projection' has no option 'gan'"):
        NoisyStudent(of="projection")


def naive_label(s: Step, by: str = "discriminator") -> Tensor:
    return cross_entropy(logits(s.networks[by], s.batch.labelled), s.batch.labels)


# --- strategies: adversarial autoencoder ----------------------------------------------------------------------------


def naive_critic_of_codes(network: Any, code: Tensor) -> Tensor:
    first, _, second, _, last = network.layers
    return linear(last, linear(second, linear(first, code).clamp_min(0)).clamp_min(0))[:, 0]


def codes(networks: Networks, x: Tensor) -> tuple[Tensor, Tensor]:
    encoder: Any = networks["encoder"]
    code = linear(encoder.code, torch.tanh(linear(encoder.trunk.layer, x.flatten(1))))
    return code[:, :CLASSES], code[:, CLASSES:]


@pytest.mark.parametrize("loss", [nonsaturating(), RELATIVISTIC], ids=["nonsaturating", "relativistic"])
def test_aae(loss: AdversarialLoss, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[Tensor, Tensor]] = []
    draw = aae.prior
    monkeypatch.setattr(aae, "prior", lambda s, n: drawn.append(draw(s, n)) or drawn[-1])
    strategy = AdversarialAutoencoder(hidden=4, label_weight=0.7, adversarial_weight=0.4)
    networks = build(strategy, conditional=True)
    x = Images().view("weak")

    s, terms = move(strategy, "autoencoder", networks, loss=loss)
    y, z = codes(networks, x)
    again = networks["generator"](z, probabilities(y))
    assert_agree(terms, {"reconstruction": square_error(again, x)}, networks)
    assert {n for n, m in networks.items() if next(m.parameters()).requires_grad} == {"encoder", "generator"}
    assert_close(strategy.reconstruct(networks, x), again)

    s, terms = move(strategy, "discriminator", networks, loss=loss)
    wanted = {}
    for name, real, fake in zip(aae.PRIORS, drawn.pop(), (probabilities(y), z), strict=True):
        real, fake = (naive_critic_of_codes(networks[name], c) for c in (real, fake))
        wanted[name] = said_real(real - fake) if loss.relativistic else said_real(real) + said_fake(fake)
    assert_agree(terms, wanted, networks)

    s, terms = move(strategy, "encoder", networks, loss=loss)
    wanted = {"label": 0.7 * cross_entropy(codes(networks, s.batch.labelled)[0], s.batch.labels)}
    y, z = codes(networks, x)
    for name, real, fake in zip(aae.PRIORS, drawn.pop(), (probabilities(y), z), strict=True):
        real, fake = (naive_critic_of_codes(networks[name], c) for c in (real, fake))
        wanted[name] = 0.4 * said_real(fake - real if loss.relativistic else fake)
    assert_agree(terms, wanted, networks)
    assert_close(strategy.classify(networks, x), y)


def test_aae_discriminators_teach_the_encoder_nothing() -> None:
    strategy = AdversarialAutoencoder(hidden=4)
    networks = build(strategy, conditional=True)
    s = step(strategy, networks, aae.PRIORS)
    for parameter in parameters(networks):
        parameter.requires_grad_()  # though the trainer would freeze it
    given = parameters({"e": networks["encoder"], "g": networks["generator"]})
    total = torch.stack([*strategy.discriminator(s).values()]).sum()
    assert not any(g.any() for g in gradients(total, given))


def test_aae_draws_classes_evenly_and_latents_as_the_generator_does() -> None:
    strategy = AdversarialAutoencoder(hidden=4)
    classes, z = aae.prior(step(strategy, build(strategy, conditional=True), ()), 3000)
    assert classes.shape == (3000, CLASSES)
    assert z.shape == (3000, LATENT)
    assert set(classes.flatten().tolist()) == {0, 1}
    assert (classes.sum(1) == 1).all()
    assert (classes.mean(0) - 1 / 3).abs().max() < 0.03
    assert z.mean(0).abs().max() < 0.06
    assert (z.std(0) - 1).abs().max() < 0.05


# --- strategies: MarginGAN ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conditional", [False, True])
def test_margingan(conditional: bool) -> None:
    strategy = MarginGAN(unlabelled_weight=0.3, margin_weight=0.2, class_weight=0.6)
    assert [p.name for p in strategy.players()] == ["discriminator", "classifier", "generator"]
    networks = build(strategy, conditional)
    critic, classifier = networks["discriminator"], networks["classifier"]

    s, terms = move(strategy, "discriminator", networks)
    real, fake = plain(critic, s.batch.view("weak")), plain(critic, s.images("fake"))
    assert_agree(terms, {"adversarial": said_real(real) + said_fake(fake)}, networks)

    s, terms = move(strategy, "classifier", networks)
    scores, of_fakes = logits(classifier, s.batch.view("weak")), logits(classifier, s.images("fake"))
    wanted = {
        "label": naive_label(s, "classifier"),
        "guess": 0.3 * cross_entropy(scores, guessed(scores)),
        "margin": -0.2 * (1 - probabilities(of_fakes).max(1).values).log().mean(),
    }
    assert_agree(terms, wanted, networks)

    s, terms = move(strategy, "generator", networks)
    fakes = networks["generator"](s.z, s.y)
    scores = logits(classifier, fakes)
    assert_agree(
        terms,
        {"adversarial": said_real(plain(critic, fakes)), "class": 0.6 * cross_entropy(scores, guessed(scores))},
        networks,
    )
    assert_close(strategy.classify(networks, fakes), scores)


# --- strategies: S3GAN ----------------------------------------------------------------------------------------------


def projection(critic: Any, x: Tensor, y: Tensor) -> Tensor:
    f = features(critic, x)
    return torch.stack(
        [
            row @ critic.head.adv.weight[0] + critic.head.adv.bias[0] + row @ critic.head.embedding.weight[c]
            for row, c in zip(f, y.tolist(), strict=True)
        ]
    )


@pytest.mark.parametrize("share", [0.1, 0.0, 1.0])
def test_s3gan_projects_true_and_guessed_classes(share: float) -> None:
    strategy = CoTraining(labelled_share=share, label_weight=0.7)
    networks = build(strategy, conditional=True)
    critic = networks["discriminator"]
    s, terms = move(strategy, "discriminator", networks)
    x, guess = s.batch.view("weak"), guessed(logits(critic, s.batch.view("weak")))
    known = guessed(logits(critic, s.batch.labelled))
    assert known.tolist() != s.batch.labels.tolist()  # so that it matters which is used
    assert guessed(logits(critic, s.images("fake"))).tolist() != s.y.tolist()
    labelled = projection(critic, s.batch.labelled, s.batch.labels)
    real, fake = projection(critic, x, guess), projection(critic, s.images("fake"), s.y)
    wanted = {
        "adversarial": (1 - share) * said_real(real) + share * said_real(labelled) + said_fake(fake),
        "label": 0.7 * naive_label(s),
    }
    assert_agree(terms, wanted, networks)
    s, terms = move(strategy, "generator", networks)
    fakes = networks["generator"](s.z, s.y)
    assert_agree(terms, {"adversarial": said_real(projection(critic, fakes, s.y))}, networks)


def test_s3gan_guesses_carry_no_gradient_to_the_class_layer() -> None:
    strategy = CoTraining(labelled_share=0)
    networks = build(strategy, conditional=True)
    _, terms = move(strategy, "discriminator", networks)
    classes: Any = networks["discriminator"].head.classes
    assert not any(g.any() for g in gradients(terms["adversarial"], list(classes.parameters())))


def test_s3gan_projects_each_image_by_what_is_known_of_it() -> None:
    networks = build(CoTraining(), conditional=True)
    critic: Any = networks["discriminator"]
    x = Images().view("weak")
    guess = guessed(logits(critic, x))
    assert_close(critic(x).adv, projection(critic, x, guess))
    y = (guess + 1) % CLASSES
    some = torch.where(torch.arange(len(x)) % 2 == 0, y, -1)
    assert_close(critic(x, some).adv, projection(critic, x, torch.where(some < 0, guess, y)))


def test_s3gan_rotations(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Tensor, Tensor]] = []
    monkeypatch.setattr(s3gan, "turned", lambda x, q: asked.append((x, q)) or turned(x, q))
    strategy = CoTraining(rotation_weight=0.5, rotation_weight_generator=0.2)
    networks = build(strategy, conditional=True)
    critic: Any = networks["discriminator"]

    def wanted(images: Tensor) -> Tensor:
        x, quarters = asked.pop()
        assert torch.equal(x, images)
        assert not asked
        assert len(set(quarters.tolist())) > 1
        p = torch.cat([probabilities(linear(critic.head.turns, features(critic, turned(images, quarters))))])
        return -torch.stack([p[i, q].log() for i, q in enumerate(quarters.tolist())]).mean()

    s, terms = move(strategy, "discriminator", networks)
    assert terms.keys() == {"adversarial", "rotation", "label"}
    assert_agree({"rotation": terms["rotation"]}, {"rotation": 0.5 * wanted(s.batch.view("weak"))}, networks)
    s, terms = move(strategy, "generator", networks)
    fakes = networks["generator"](s.z, s.y)
    got = {"rotation": terms["rotation"]}
    assert_agree(got, {"rotation": 0.2 * wanted(fakes)}, networks)
    assert not any(p.requires_grad for p in critic.parameters())


# --- strategies: Triple-GAN -----------------------------------------------------------------------------------------


def test_triplegan() -> None:
    triple = pytest.importorskip("ganzoo_triplegan.strategy")
    strategy = triple.TripleGAN(labelled_share=0.3, pair_weight=0.7)
    assert [p.name for p in strategy.players()] == ["discriminator", "generator", "classifier"]
    networks = build(strategy, conditional=True)
    critic, classifier = networks["discriminator"], networks["classifier"]

    s, terms = move(strategy, "discriminator", networks)
    x = s.batch.view("weak")
    guess = guessed(logits(classifier, x))
    labelled = projection(critic, s.batch.labelled, s.batch.labels)
    positive, negative = projection(critic, x[:3], guess[:3]), projection(critic, x[3:], guess[3:])
    fake = projection(critic, s.images("fake"), s.y)
    true = 0.3 * said_real(labelled) + 0.7 * said_real(positive)
    assert terms.keys() == {"generated", "classified"}
    wanted = {"generated": 0.5 * (true + said_fake(fake)), "classified": 0.5 * (true + said_fake(negative))}
    assert_agree(terms, wanted, networks)
    whole = true + 0.5 * said_fake(fake) + 0.5 * said_fake(negative)  # eq. 3 with α = ½
    assert_close(terms["generated"] + terms["classified"], whole)

    s, terms = move(strategy, "generator", networks)
    fakes = networks["generator"](s.z, s.y)
    assert_agree(terms, {"adversarial": 0.5 * said_real(projection(critic, fakes, s.y))}, networks)

    for progress in (0.29, 0.3):
        s, terms = move(strategy, "classifier", networks, progress=progress)
        scores = logits(classifier, x)
        surest, adv = probabilities(scores).max(1).values, projection(critic, x, guessed(scores)).detach()
        mean = probabilities(scores).mean(0)
        wanted = {
            "label": naive_label(s, "classifier"),
            "pair": 0.7 * 0.5 * sum(p * -sigmoid(a).log() for p, a in zip(surest, adv, strict=True)) / UNLABELLED,
            "entropy": 0.3 * mean_entropy(scores),
            "balance": -1e-3 * mean.log().mean(),
        }
        if progress >= 0.3:
            wanted["generated"] = 0.1 * cross_entropy(logits(classifier, s.images("fake")), s.y)
        assert_agree(terms, wanted, networks)


@pytest.mark.parametrize("gan", [True, False])
@pytest.mark.parametrize(("progress", "factor"), [(0.1, math.exp(-5 * 0.25)), (0.5, 1.0)])
def test_triplegan_with_two_passes(progress: float, factor: float, gan: bool) -> None:
    triple = pytest.importorskip("ganzoo_triplegan.strategy")
    strategy = triple.TripleGAN(
        pair_weight=0, entropy_weight=0, balance_weight=0, two_pass_weight=100, two_pass_end=0.2, gan=gan
    )
    networks = build(strategy, conditional=True, trunk=Drifting)
    s, terms = move(strategy, "classifier", networks, progress=progress)
    classifier: Any = networks["classifier"]
    f = features(classifier, s.batch.view("weak"))
    one, two = (probabilities(linear(classifier.head.classes, f * scale)) for scale in (1, 1.1))
    assert_agree({"t": terms["two_pass"]}, {"t": 100 * factor * square_error(one, two)}, networks)
    assert terms.keys() == {"label", "two_pass"} | ({"generated"} if gan and progress >= 0.3 else set())


def test_triplegan_pairs_teach_the_classifier_through_its_probability_alone() -> None:
    triple = pytest.importorskip("ganzoo_triplegan.strategy")
    strategy = triple.TripleGAN()
    networks = build(strategy, conditional=True)
    s, _ = move(strategy, "classifier", networks)
    for parameter in parameters(networks):
        parameter.requires_grad_()  # though the trainer would freeze it
    value = strategy.classifier(s)["pair"]
    others = parameters({n: m for n, m in networks.items() if n != "classifier"})
    assert not any(g.any() for g in gradients(value, others))


def test_a_pair_head_without_classes_is_about_images() -> None:
    triple = pytest.importorskip("ganzoo_triplegan.strategy")
    critic: Any = build(triple.TripleGAN(), conditional=True)["discriminator"]
    x = Images().view("weak")
    assert_close(critic(x).adv, plain(critic, x))
    y = torch.tensor([0, -1, 2, -1, 1, 1])
    wanted = torch.where(y < 0, plain(critic, x), projection(critic, x, y.clamp_min(0)))
    assert_close(critic(x, y).adv, wanted)


# --- strategies: BadGAN ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"vi_weight": 0.0, "pull_away_weight": 0.8, "entropy_weight": 0.1}, {"pull_away_weight": 0.3}]
)
def test_badgan(options: dict[str, float]) -> None:
    bad = pytest.importorskip("ganzoo_badgan.strategy")
    strategy = bad.BadGAN(**options)
    assert strategy.distance == "l1"
    networks = build(strategy)
    assert ("encoder" in networks) == (strategy.vi_weight > 0)

    s, terms = move(strategy, "discriminator", networks)
    wanted = kplus1_discriminator(s, strategy)
    if "entropy_weight" in options:
        wanted["entropy"] = 0.1 * mean_entropy(logits(networks["discriminator"], s.batch.view("weak")))
    assert_agree(terms, wanted, networks)

    s, terms = move(strategy, "generator", networks)
    fakes = networks["generator"](s.z)
    wanted = {"features": kplus1_generator(s, strategy)["features"]}
    if "pull_away_weight" in options:
        cosines = squared_cosines(features(networks["discriminator"], fakes))
        wanted["pull_away"] = options["pull_away_weight"] * cosines
    if strategy.vi_weight:
        encoder: Any = networks["encoder"]
        code = linear(encoder.code, torch.tanh(linear(encoder.trunk.layer, fakes.flatten(1))))
        wanted["vi"] = 1e-2 * naive_bound(code, s.z)
        assert all(p.requires_grad for p in encoder.parameters())
    assert_agree(terms, wanted, networks)


# --- strategies without the GAN -------------------------------------------------------------------------------------


def triplegan(**options: Any) -> SemiSupervised:
    return pytest.importorskip("ganzoo_triplegan.strategy").TripleGAN(**options)


def badgan(**options: Any) -> SemiSupervised:
    return pytest.importorskip("ganzoo_badgan.strategy").BadGAN(**options)


def without_gan(s: Step, by: str) -> Terms:
    """Every term that may be left."""
    x = s.batch.view("weak")
    scores = logits(s.networks[by], x)
    terms = {
        "label": naive_label(s, by),
        "guess": cross_entropy(scores, guessed(scores)),
        "entropy": 0.3 * mean_entropy(scores),
        "balance": -1e-3 * probabilities(scores).mean(0).log().mean(),
    }
    return terms | ({"reconstruction": square_error(decoded(s), x)} if "decoder" in s.networks else {})


@pytest.mark.parametrize(
    ("make", "options", "networks", "terms"),
    [
        (Supervised, {}, ["discriminator"], {"label"}),
        (KPlusOne, {"gan": False}, ["discriminator"], {"label"}),
        (Autoencoder, {"gan": False}, ["discriminator", "decoder"], {"label", "reconstruction"}),
        (ModeRegularized, {"gan": False}, ["discriminator"], {"label"}),
        (PseudoLabel, {"gan": False, "weight": 1.0, "end": 0.5}, ["discriminator"], {"label", "guess"}),
        (MarginGAN, {"gan": False}, ["classifier"], {"label", "guess"}),
        (CoTraining, {"gan": False, "rotation_weight": 1.0}, ["discriminator"], {"label"}),
        (triplegan, {"gan": False}, ["classifier"], {"label", "entropy", "balance"}),
        (badgan, {"gan": False, "entropy_weight": 0.3}, ["discriminator"], {"label", "entropy"}),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_without_the_gan_a_classifier_is_left(
    make: Callable[..., SemiSupervised], options: dict[str, Any], networks: list[str], terms: set[str]
) -> None:
    strategy = make(**options)
    built = build(strategy)
    assert list(built) == networks
    (player,) = strategy.players()
    assert player.name == networks[0]
    s, got = move(strategy, player.name, built)
    wanted = without_gan(s, networks[0])
    assert_agree(got, {name: wanted[name] for name in terms}, built)
    assert_close(strategy.classify(built, s.batch.labelled), logits(built[networks[0]], s.batch.labelled))


def test_without_the_gan_an_adversarial_autoencoder_is_an_encoder() -> None:
    strategy = AdversarialAutoencoder(gan=False)
    networks = build(strategy)
    assert list(networks) == ["encoder"]
    (player,) = strategy.players()
    s, terms = move(strategy, player.name, networks)
    assert_agree(terms, {"label": cross_entropy(codes(networks, s.batch.labelled)[0], s.batch.labels)}, networks)
    assert_close(strategy.classify(networks, s.batch.labelled), codes(networks, s.batch.labelled)[0])
    assert strategy.reconstruct(networks, s.batch.labelled) is None


# --- penalties in a step --------------------------------------------------------------------------------------------


def penalised(penalty: Any, trunk: Callable[[], nn.Module] = Trunk, **options: Any) -> tuple[Step, Tensor]:
    """Return a K+1 step of the penalty's player, and the penalty; its random numbers begin at seed 5."""
    networks = build(KPlusOne(), trunk=trunk)
    s = step(KPlusOne(), networks, (penalty.player,), **options)
    _ = s.z
    torch.manual_seed(5)
    return s, penalty(s)


def test_entropy_penalty() -> None:
    s, value = penalised(Entropy(weight=0.4))
    wanted = 0.4 * mean_entropy(logits(s.critic, s.batch.view("weak")))
    assert_agree({"p": value}, {"p": wanted}, {**s.networks})


def test_pull_away_penalty() -> None:
    s, value = penalised(PullAway(weight=0.4))
    wanted = 0.4 * squared_cosines(features(s.critic, s.networks["generator"](s.z)))
    assert_agree({"p": value}, {"p": wanted}, {**s.networks})


def test_consistency_penalty_compares_two_passes() -> None:
    s, value = penalised(Consistency(weight=0.4, feature_weight=0.2, margin=0.0), Drifting)
    f = features(s.critic, s.batch.view("weak"))
    one, two = (probabilities(linear(s.critic.head.classes, f * scale)) for scale in (1, 1.1))
    wanted = 0.4 * square_error(one, two) + 0.2 * square_error(f, 1.1 * f)
    assert_agree({"p": value}, {"p": wanted}, {**s.networks})


def test_consistency_penalty_wants_passes_that_differ() -> None:
    with pytest.raises(Incompatible, match="two passes of an image are the same"):
        penalised(Consistency(), iteration=0)


@pytest.mark.parametrize("same_noise", [True, False])
def test_manifold_penalty(same_noise: bool) -> None:
    s, value = penalised(Manifold(weight=0.4, step=0.3, same_noise=same_noise), Noisy)
    torch.manual_seed(5)
    delta = torch.randn(UNLABELLED, LATENT)
    delta = delta / (delta**2).sum(1, keepdim=True).sqrt()
    noise = [0.3 * torch.randn(UNLABELLED, 1, SIDE, SIDE) for _ in range(2)]
    here, there = (s.networks["generator"](z).detach() for z in (s.z, s.z + 0.3 * delta))
    difference = logits(s.critic, here + noise[0]) - logits(s.critic, there + noise[0 if same_noise else 1])
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
    p = probabilities(logits(s.critic, x + noise)).detach()
    for _ in range(powers):
        d = (d / d.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)).detach().requires_grad_()
        (d,) = gradients(kl(p, probabilities(logits(s.critic, x + 1e-4 * d + noise))), [d])
    r = 1.5 * d / d.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    wanted = 0.4 * kl(p, probabilities(logits(s.critic, x + r + noise)))
    assert_close(value, wanted, 1e-7)  # a finite difference of 1e-4 leaves 1e-12 of rounding, over a gradient of 1e-4
    moving = list(s.critic.parameters())
    for got, naive in zip(gradients(value, moving), gradients(wanted, moving), strict=True):
        assert_close(got, naive, 1e-6)
    assert any(g.any() for g in gradients(value, moving))


# --- weight normalisation -------------------------------------------------------------------------------------------


LAYERS = {
    "linear": ({"inputs": 7, "outputs": 4}, (30, 7)),
    "convolution": ({"inputs": 2, "outputs": 4, "kernel": 3, "stride": 2, "padding": 2}, (10, 2, 6, 6)),
}


def applied(layer: WeightNorm, x: Tensor, weight: Tensor, b: Tensor) -> Tensor:
    if weight.ndim == 2:
        return torch.stack([(x * w).sum(1) for w in weight], 1) + b
    windows = F.unfold(x, weight.shape[2:], padding=layer.padding, stride=layer.stride)  # [B, in·k·k, places]
    side = math.isqrt(windows.shape[2])
    return (torch.einsum("oi,bip->bop", weight.flatten(1), windows) + b[:, None]).unflatten(2, (side, side))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("deviation", [1.0, 0.1])
def test_weight_norm_is_initialised_by_the_first_batch(kind: str, deviation: float) -> None:
    options, size = LAYERS[kind]
    layer, x = WeightNorm(**options, deviation=deviation), torch.randn(size) * 3 + 1
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


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("learn", [True, False])
def test_weight_norm_and_its_gradient(kind: str, learn: bool) -> None:
    options, size = LAYERS[kind]
    layer, x = WeightNorm(**options, learn_scale=learn), torch.randn(size, requires_grad=True)
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


# --- views ----------------------------------------------------------------------------------------------------------


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

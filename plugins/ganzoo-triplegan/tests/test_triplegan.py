"""The strategy keeps its contract, and its terms and their gradients equal the paper's formulas in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from ganzoo_triplegan.strategy import TripleGAN, generator_loss_per_image, imbalance, sigmoid_ramp
from ganzoo_zoo.losses.gan import hinge, nonsaturating, relativistic, wasserstein
from torch import Tensor, nn
from torch.autograd import gradcheck

from ganzoo import ImageShape, configure
from ganzoo.errors import Incompatible
from ganzoo.strategy import NetworkBuilder, Step, StepContext, Terms
from ganzoo.testing import check_component

SHAPE = ImageShape(1, 4, 4, 3)
LABELLED, UNLABELLED = 4, 6
FEATURES, LATENT = 5, 2
Networks = dict[str, nn.Module]


def test_strategy() -> None:
    """Check the contract with and without the GAN."""
    check_component("ssl", "triplegan")
    check_component("ssl", "triplegan", gan=False)


def test_preset() -> None:
    """The preset resolves to a valid configuration."""
    assert configure(preset="triplegan-mnist").ssl.name == "triplegan/triplegan"


# --- a small setting: networks, images, a step --------------------------------------------------------------------


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute in float64: heads and generated images are cast by `.float()`."""
    monkeypatch.setattr(Tensor, "float", lambda self: self.double())
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


class Trunk(nn.Module):
    """One layer with tanh."""

    num_features = FEATURES

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.passes = nn.Linear(SHAPE.pixels, FEATURES), 0

    def forward(self, x: Tensor) -> Tensor:
        """Map images to features."""
        self.passes += 1
        return torch.tanh(self.layer(x.flatten(1)))


class Drifting(Trunk):
    """Scales its features by 1, 1.1, 1.2, …, so that passes differ in a known way."""

    def forward(self, x: Tensor) -> Tensor:
        """Map images to features."""
        return super().forward(x) * (1 + 0.1 * (self.passes - 1))


class Generator(nn.Module):
    """One layer, given the latent and the one-hot class."""

    z_dim, conditional = LATENT, True

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(LATENT + SHAPE.classes, SHAPE.pixels)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Map latents and classes to images."""
        z = torch.cat([z, torch.eye(SHAPE.classes)[y]], 1)
        return torch.tanh(self.layer(z)).reshape(-1, *SHAPE.dimensions)


class Images:
    """A batch with fixed images."""

    class_weights = None

    def __init__(self) -> None:
        rng = torch.Generator().manual_seed(1)
        self.labelled, self.weak = (
            torch.rand(n, *SHAPE.dimensions, generator=rng) * 2 - 1 for n in (LABELLED, UNLABELLED)
        )
        self.labels = torch.tensor([2, 0, 1, 1])

    def view(self, name: str) -> Tensor:
        """Return the unlabelled images."""
        return self.weak


def build(strategy: TripleGAN, trunk: Callable[[], nn.Module] = Trunk) -> Networks:
    """Return the networks of a strategy, with random parameters."""
    networks = strategy.networks(NetworkBuilder(SHAPE, trunk, Generator))
    with torch.no_grad():
        for parameter in parameters(networks):
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return networks


def parameters(networks: Networks) -> list[nn.Parameter]:
    """Return the parameters of all networks."""
    return [p for network in networks.values() for p in network.parameters()]


def update(strategy: TripleGAN, name: str, networks: Networks, progress: float = 0.5) -> tuple[Step, Terms]:
    """Return a step in which a player is updated, and the player's terms. The other networks are frozen."""
    (player,) = [p for p in strategy.players() if p.name == name]
    own = {id(p) for n in player.networks for p in networks[n].parameters()}
    for parameter in parameters(networks):
        parameter.requires_grad_(id(parameter) in own)
    context = StepContext(networks, {}, nonsaturating(), None, SHAPE, UNLABELLED, torch.device("cpu"))
    s = Step(context, Images(), player.networks, 1, progress, "weak")
    return s, player.terms(s)


def gradients(value: Tensor, of: list[Any]) -> list[Tensor]:
    """Return the gradients of a scalar, zero where it does not depend on a tensor."""
    return list(torch.autograd.grad(value, of, retain_graph=True, materialize_grads=True))


def assert_agree(terms: Terms, expected: Terms, networks: Networks) -> None:
    """Assert that terms and their gradients for all parameters being updated are equal."""
    assert terms.keys() == expected.keys()
    updated = [p for p in parameters(networks) if p.requires_grad]
    for name, value in terms.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-9, atol=1e-9)
        found = gradients(value, updated)
        assert any(bool(g.any()) for g in found), name
        for one, two in zip(found, gradients(expected[name], updated), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-8, atol=1e-9)


# --- reference formulas -------------------------------------------------------------------------------------------


def features(network: Any, x: Tensor) -> Tensor:
    """Return the features of `Trunk`."""
    layer = network.trunk.layer
    return torch.tanh(x.flatten(1) @ layer.weight.T + layer.bias)


def class_logits(network: Any, f: Tensor) -> Tensor:
    """Return the class logits of features."""
    return f @ network.head.classes.weight.T + network.head.classes.bias


def adversarial_logits(network: Any, x: Tensor, y: Tensor | None = None) -> Tensor:
    """Return ψ(f) + ⟨v_y, f⟩, or ψ(f) without classes."""
    f, head = features(network, x), network.head
    logits = cast(Tensor, (f @ head.adv.weight.T + head.adv.bias)[:, 0])
    return logits if y is None else logits + (head.embedding.weight[y] * f).sum(1)


def softmax(logits: Tensor) -> Tensor:
    """Return class probabilities."""
    return logits.exp() / logits.exp().sum(1, keepdim=True)


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return the mean negative log-probability of classes."""
    return -torch.stack([softmax(logits)[i, c].log() for i, c in enumerate(y.tolist())]).mean()


def real_loss(adv: Tensor) -> Tensor:
    """Return -E log σ(D)."""
    return -(1 / (1 + (-adv).exp())).log().mean()


def fake_loss(adv: Tensor) -> Tensor:
    """Return -E log(1 - σ(D))."""
    return -(1 - 1 / (1 + (-adv).exp())).log().mean()


# --- functions ----------------------------------------------------------------------------------------------------


def test_generator_loss_per_image(double: None) -> None:
    """It equals the loss of each single image, and has no gradient."""
    adv = torch.randn(5, requires_grad=True)
    for loss, expected in (
        (nonsaturating(), [math.log(1 + math.exp(-a)) for a in adv.tolist()]),
        (hinge(), (-adv).tolist()),
        (wasserstein(), (-adv).tolist()),
    ):
        value = generator_loss_per_image(loss, adv)
        assert value.tolist() == pytest.approx(expected)
        assert not value.requires_grad
    with pytest.raises(Incompatible, match="compares images"):
        generator_loss_per_image(relativistic(), adv)


def test_imbalance(double: None) -> None:
    """It is the cross-entropy with the uniform distribution, and log K if the classes are balanced."""
    logits = torch.randn(6, 3, requires_grad=True)
    mean = softmax(logits).mean(0)
    torch.testing.assert_close(imbalance(logits), -mean.log().mean())
    assert gradcheck(imbalance, logits)
    torch.testing.assert_close(imbalance(torch.eye(3) * 50), torch.tensor(math.log(3)))


@pytest.mark.parametrize(
    ("progress", "end", "expected"),
    [
        (0.0, 0.1, math.exp(-5)),
        (0.05, 0.1, math.exp(-1.25)),
        (0.1, 0.1, 1.0),
        (0.7, 0.1, 1.0),
        (0.0, 0.0, 1.0),
    ],
)
def test_sigmoid_ramp(progress: float, end: float, expected: float) -> None:
    """It increases to 1."""
    assert sigmoid_ramp(progress, end) == pytest.approx(expected)


# --- the strategy -------------------------------------------------------------------------------------------------


def test_discriminator_and_generator(double: None) -> None:
    """Equations 3 (with α = ½) and 5."""
    strategy = TripleGAN(labelled_share=0.3)
    assert [p.name for p in strategy.players()] == ["discriminator", "generator", "classifier"]
    networks = build(strategy)
    discriminator, classifier = networks["discriminator"], networks["classifier"]
    s, terms = update(strategy, "discriminator", networks)
    x, y = s.batch.view("weak"), s.y
    assert y is not None
    guess = class_logits(classifier, features(classifier, x)).argmax(1)
    labelled = adversarial_logits(discriminator, s.batch.labelled, s.batch.labels)
    positive = adversarial_logits(discriminator, x[:3], guess[:3])
    negative = adversarial_logits(discriminator, x[3:], guess[3:])
    fake = adversarial_logits(discriminator, s.images("fake"), y)
    true = 0.3 * real_loss(labelled) + 0.7 * real_loss(positive)
    expected = {"generated": 0.5 * (true + fake_loss(fake)), "classified": 0.5 * (true + fake_loss(negative))}
    assert_agree(terms, expected, networks)
    total = true + 0.5 * fake_loss(fake) + 0.5 * fake_loss(negative)
    torch.testing.assert_close(terms["generated"] + terms["classified"], total)

    s, terms = update(strategy, "generator", networks)
    assert s.y is not None
    fake = adversarial_logits(discriminator, networks["generator"](s.z, s.y), s.y)
    assert_agree(terms, {"adversarial": 0.5 * real_loss(fake)}, networks)


@pytest.mark.parametrize("progress", [0.29, 0.3])
def test_classifier(double: None, progress: float) -> None:
    """Equations 4, 6 and 7; generated pairs are used from `generated_start` on."""
    strategy = TripleGAN(pair_weight=0.7)
    networks = build(strategy)
    discriminator, classifier = networks["discriminator"], networks["classifier"]
    s, terms = update(strategy, "classifier", networks, progress)
    x = s.batch.view("weak")
    logits = class_logits(classifier, features(classifier, x))
    p = softmax(logits)
    adv = adversarial_logits(discriminator, x, logits.argmax(1)).detach()
    expected = {
        "label": cross_entropy(class_logits(classifier, features(classifier, s.batch.labelled)), s.batch.labels),
        "pair": 0.7 * 0.5 * (p.max(1).values * F.softplus(-adv)).mean(),
        "entropy": -0.3 * (p * p.log()).sum(1).mean(),
        "balance": -1e-3 * p.mean(0).log().mean(),
    }
    if progress >= 0.3:
        assert s.y is not None
        fake = class_logits(classifier, features(classifier, s.images("fake")))
        expected["generated"] = 0.1 * cross_entropy(fake, s.y)
    assert_agree(terms, expected, networks)


@pytest.mark.parametrize("gan", [True, False])
@pytest.mark.parametrize(("progress", "factor"), [(0.1, math.exp(-5 * 0.25)), (0.5, 1.0)])
def test_two_passes(double: None, progress: float, factor: float, gan: bool) -> None:
    """The difference of the class probabilities in two passes, with an increasing weight."""
    strategy = TripleGAN(
        pair_weight=0, entropy_weight=0, balance_weight=0, two_pass_weight=100, two_pass_end=0.2, gan=gan
    )
    networks = build(strategy, Drifting)
    s, terms = update(strategy, "classifier", networks, progress)
    assert terms.keys() == {"label", "two_pass"} | ({"generated"} if gan and progress >= 0.3 else set())
    classifier = networks["classifier"]
    f = features(classifier, s.batch.view("weak"))
    one, two = (softmax(class_logits(classifier, f * scale)) for scale in (1, 1.1))
    expected = {"two_pass": 100 * factor * (one - two).square().mean()}
    assert_agree({"two_pass": terms["two_pass"]}, expected, networks)


def test_pair_term_trains_the_classifier_only(double: None) -> None:
    """Its gradient flows through the probability of the most probable class."""
    strategy = TripleGAN()
    networks = build(strategy)
    s, _ = update(strategy, "classifier", networks)
    for parameter in parameters(networks):
        parameter.requires_grad_()
    value = strategy.classifier(s)["pair"]
    others = parameters({n: m for n, m in networks.items() if n != "classifier"})
    assert not any(g.any() for g in gradients(value, others))


def test_pair_head_with_unknown_classes(double: None) -> None:
    """The logit is ψ(f) where the class is unknown."""
    discriminator = build(TripleGAN())["discriminator"]
    x, y = Images().weak, torch.tensor([0, -1, 2, -1, 1, 1])
    plain = adversarial_logits(discriminator, x)
    torch.testing.assert_close(discriminator(x).adv, plain)
    expected = torch.where(y < 0, plain, adversarial_logits(discriminator, x, y.clamp_min(0)))
    torch.testing.assert_close(discriminator(x, y).adv, expected)


def test_without_the_gan(double: None) -> None:
    """The classifier remains, with cross-entropy, entropy and balance."""
    strategy = TripleGAN(gan=False)
    networks = build(strategy)
    assert list(networks) == ["classifier"]
    assert [p.name for p in strategy.players()] == ["classifier"]
    s, terms = update(strategy, "classifier", networks)
    classifier = networks["classifier"]
    p = softmax(class_logits(classifier, features(classifier, s.batch.view("weak"))))
    labelled = class_logits(classifier, features(classifier, s.batch.labelled))
    expected = {
        "label": cross_entropy(labelled, s.batch.labels),
        "entropy": -0.3 * (p * p.log()).sum(1).mean(),
        "balance": -1e-3 * p.mean(0).log().mean(),
    }
    assert_agree(terms, expected, networks)
    torch.testing.assert_close(strategy.classify(networks, s.batch.labelled), labelled)

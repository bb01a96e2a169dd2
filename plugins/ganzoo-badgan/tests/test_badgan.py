"""The strategy keeps its contract, and its terms and their gradients equal the paper's formulas in float64."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from ganzoo_badgan.strategy import BadGAN, negative_entropy_bound
from ganzoo_zoo.losses.gan import nonsaturating
from torch import Tensor, nn
from torch.autograd import gradcheck

from ganzoo import ImageShape, configure
from ganzoo.strategy import NetworkBuilder, Step, StepContext, Terms
from ganzoo.testing import check_component
from ganzoo.training import assemble

SHAPE = ImageShape(1, 4, 4, 3)
LABELLED, UNLABELLED = 4, 6
FEATURES, LATENT = 5, 2
Networks = dict[str, nn.Module]


def test_strategy() -> None:
    """Check the contract with and without the GAN."""
    check_component("ssl", "badgan")
    check_component("ssl", "badgan", gan=False)


def test_preset() -> None:
    """The preset resolves to a valid configuration."""
    assert configure(preset="badgan-cifar10").ssl.name == "badgan/badgan"


def test_penalty_with_the_name_of_a_term() -> None:
    """A penalty and a term of the strategy with the same name are both counted."""
    values = {
        "ssl": "badgan", "ssl.entropy_weight": 5.0, "penalties.entropy.weight": 1e-4,
        "gen": "mlp", "gen.hidden": 16, "disc": "mlp", "disc.hidden": [16, 16],
        "data.source": "digits", "data.size": 8, "data.labels": 50, "batch_size": 16, "precision": "fp32",
    }  # fmt: skip
    experiment = assemble(configure(values=values))
    player = experiment.players[0]
    terms = player.terms(experiment.make_step(player, 0, 0))
    assert terms["entropy"] > 1 > terms["zoo/entropy"] > 0


# --- a small setting: networks, images, a step --------------------------------------------------------------------


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute in float64: heads, encoders and generated images are cast by `.float()`."""
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
        self.layer = nn.Linear(SHAPE.pixels, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        """Map images to features."""
        return torch.tanh(self.layer(x.flatten(1)))


class Generator(nn.Module):
    """One unconditional layer."""

    z_dim = LATENT

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(LATENT, SHAPE.pixels)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map latents to images."""
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


def build(strategy: BadGAN) -> Networks:
    """Return the networks of a strategy, with random parameters."""
    networks = strategy.networks(NetworkBuilder(SHAPE, Trunk, Generator))
    with torch.no_grad():
        for parameter in parameters(networks):
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return networks


def parameters(networks: Networks) -> list[nn.Parameter]:
    """Return the parameters of all networks."""
    return [p for network in networks.values() for p in network.parameters()]


def update(strategy: BadGAN, name: str, networks: Networks) -> tuple[Step, Terms]:
    """Return a step in which a player is updated, and the player's terms. The other networks are frozen."""
    (player,) = [p for p in strategy.players() if p.name == name]
    own = {id(p) for n in player.networks for p in networks[n].parameters()}
    for parameter in parameters(networks):
        parameter.requires_grad_(id(parameter) in own)
    context = StepContext(networks, {}, nonsaturating(), None, SHAPE, UNLABELLED, torch.device("cpu"))
    s = Step(context, Images(), player.networks, 1, 0.5, "weak")
    return s, player.terms(s)


def assert_agree(terms: Terms, expected: Terms, networks: Networks) -> None:
    """Assert that terms and their gradients for all parameters being updated are equal."""
    assert terms.keys() == expected.keys()
    updated = [p for p in parameters(networks) if p.requires_grad]
    for name, value in terms.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-9, atol=1e-9)
        found, exact = (
            torch.autograd.grad(v, updated, retain_graph=True, materialize_grads=True) for v in (value, expected[name])
        )
        assert any(bool(g.any()) for g in found), name
        for one, two in zip(found, exact, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-8, atol=1e-9)


# --- reference formulas -------------------------------------------------------------------------------------------


def features(network: Any, x: Tensor) -> Tensor:
    """Return the features of `Trunk`."""
    layer = network.trunk.layer
    return torch.tanh(x.flatten(1) @ layer.weight.T + layer.bias)


def class_logits(network: Any, x: Tensor) -> Tensor:
    """Return the class logits of images."""
    classes = network.head.classes
    return features(network, x) @ classes.weight.T + classes.bias


def softmax(logits: Tensor) -> Tensor:
    """Return class probabilities."""
    return logits.exp() / logits.exp().sum(1, keepdim=True)


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return the mean negative log-probability of classes."""
    return -torch.stack([softmax(logits)[i, c].log() for i, c in enumerate(y.tolist())]).mean()


def entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy of the class probabilities."""
    return torch.stack([-sum(p * p.log() for p in row) for row in softmax(logits)]).mean()


def adversarial(logits: Tensor, real: bool) -> Tensor:
    """Return the cross-entropy of D = Z / (Z + 1) with Z = Σ exp l."""
    z = logits.exp().sum(1)
    return -(z / (z + 1) if real else 1 / (z + 1)).log().mean()


def squared_cosines(f: Tensor) -> Tensor:
    """Return the mean squared cosine of all pairs of rows."""
    pairs = [(f[i] @ f[j]) / (f[i].norm() * f[j].norm()) for i, j in itertools.permutations(range(len(f)), 2)]
    return torch.stack(pairs).square().mean()


def bound(code: Tensor, z: Tensor) -> Tensor:
    """Return mean Σ [log σ + (z - μ)² / 2σ²]."""
    mean, log_deviation = code[:, :LATENT], code[:, LATENT:]
    return (log_deviation + (z - mean) ** 2 / (2 * (2 * log_deviation).exp())).sum(1).mean()


# --- functions and strategy ---------------------------------------------------------------------------------------


def test_bound_is_a_gaussian_likelihood(double: None) -> None:
    """It equals the negative log-likelihood of the latents up to a constant."""
    code, z = torch.randn(4, 2 * LATENT, requires_grad=True), torch.randn(4, LATENT, requires_grad=True)
    value = negative_entropy_bound(code, z)
    torch.testing.assert_close(value, bound(code, z))
    likelihood = torch.distributions.Normal(code[:, :LATENT], code[:, LATENT:].exp()).log_prob(z).sum(1).mean()
    torch.testing.assert_close(value, -likelihood - LATENT * math.log(2 * math.pi) / 2)
    mean, deviation = code.detach()[:, :LATENT], code.detach()[:, LATENT:].exp()
    score = (z.detach() - mean) / deviation
    (gradient,) = torch.autograd.grad(value, code)
    torch.testing.assert_close(gradient, torch.cat([-score / deviation, 1 - score**2], 1) / 4)
    assert gradcheck(negative_entropy_bound, (code, z))


@pytest.mark.parametrize(
    "options", [{}, {"vi_weight": 0.0, "pull_away_weight": 0.8, "entropy_weight": 0.1}, {"pull_away_weight": 0.3}]
)
def test_terms(double: None, options: dict[str, float]) -> None:
    """Equations 5, 6 and 8, besides the terms of K+1 with feature matching of L1."""
    strategy = BadGAN(**options)  # type: ignore[arg-type]
    networks = build(strategy)
    assert ("encoder" in networks) == (strategy.vi_weight > 0)
    discriminator: Any = networks["discriminator"]

    s, terms = update(strategy, "discriminator", networks)
    labelled, real, fake = (class_logits(discriminator, s.images(n)) for n in ("labelled", "real", "fake"))
    expected = {
        "label": cross_entropy(labelled, s.batch.labels),
        "adversarial": 0.5 * (adversarial(real, real=True) + adversarial(fake, real=False)),
    }
    if "entropy_weight" in options:
        expected["entropy"] = 0.1 * entropy(real)
    assert_agree(terms, expected, networks)

    s, terms = update(strategy, "generator", networks)
    images = networks["generator"](s.z)
    matched, made = features(discriminator, s.batch.view("weak")), features(discriminator, images)
    expected = {"features": (matched.mean(0) - made.mean(0)).abs().mean()}
    if "pull_away_weight" in options:
        expected["pull_away"] = options["pull_away_weight"] * squared_cosines(made)
    if strategy.vi_weight:
        encoder: Any = networks["encoder"]
        code = features(encoder, images) @ encoder.code.weight.T + encoder.code.bias
        expected["vi"] = 1e-2 * bound(code, s.z)
        assert all(p.requires_grad for p in encoder.parameters())
    assert_agree(terms, expected, networks)


def test_without_the_gan(double: None) -> None:
    """The discriminator remains as a classifier, with cross-entropy and entropy."""
    strategy = BadGAN(gan=False, entropy_weight=0.3)
    networks = build(strategy)
    assert list(networks) == ["discriminator"]
    assert [p.name for p in strategy.players()] == ["discriminator"]
    s, terms = update(strategy, "discriminator", networks)
    labelled, real = (class_logits(networks["discriminator"], s.images(n)) for n in ("labelled", "real"))
    assert_agree(terms, {"label": cross_entropy(labelled, s.batch.labels), "entropy": 0.3 * entropy(real)}, networks)
    torch.testing.assert_close(strategy.classify(networks, s.batch.labelled), labelled)

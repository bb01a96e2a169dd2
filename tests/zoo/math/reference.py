"""What papers say, computed naively in float64, and a tiny world of networks and images to compare with."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from ganzoo_zoo.losses.gan import nonsaturating
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.strategy.base import NetworkBuilder, Strategy
from ganzoo.strategy.players import Terms
from ganzoo.strategy.step import AdversarialLoss, Step, StepContext

F32, F64 = torch.float32, torch.float64

CLASSES, SIDE, PIXELS, FEATURES, LATENT = 3, 4, 16, 5, 2

LABELLED, UNLABELLED = 4, 6

SHAPE = ImageShape(1, SIDE, SIDE, CLASSES)

RELATIVISTIC = AdversarialLoss(
    lambda real, fake: F.softplus(fake - real).mean(), lambda real, fake: F.softplus(real - fake).mean(), True
)

Networks = dict[str, nn.Module]


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

    class_weights = None

    def __init__(self) -> None:
        rng = torch.Generator().manual_seed(1)
        draw = lambda n: torch.rand(n, 1, SIDE, SIDE, generator=rng) * 2 - 1  # noqa: E731
        self.labelled, self.labels = draw(LABELLED), torch.tensor([2, 0, 1, 1])
        self.views = {"weak": draw(UNLABELLED), "strong": draw(UNLABELLED)}

    def view(self, name: str) -> Tensor:
        return self.views[name]


def build(strategy: Strategy, conditional: bool = False, trunk: Callable[[], nn.Module] = Trunk) -> Networks:
    networks = strategy.networks(NetworkBuilder(SHAPE, trunk, lambda: Decoding(conditional)))
    with torch.no_grad():  # far from 0, so that nothing is near a symmetry
        for parameter in parameters(networks):
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return networks


def parameters(networks: Networks) -> list[nn.Parameter]:
    return [p for network in networks.values() for p in network.parameters()]


def step(strategy: Strategy, networks: Networks, updating: tuple[str, ...], **options: Any) -> Step:
    own = {id(p) for name in updating for p in networks[name].parameters()}
    for parameter in parameters(networks):  # as the trainer freezes everybody else
        parameter.requires_grad_(id(parameter) in own)
    shared = {"averaged": {}, "loss": nonsaturating(), "augment": None}
    own_values = {"iteration": 1, "progress": 0.5, "real_view": strategy.views[0]}
    context = StepContext(
        networks=networks,
        shape=SHAPE,
        batch_size=UNLABELLED,
        device=torch.device("cpu"),
        **{name: options.get(name, value) for name, value in shared.items()},
    )
    given = {name: options.get(name, value) for name, value in own_values.items()}
    return Step(context, Images(), updating=updating, **given)


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


def decoded(s: Step) -> Tensor:
    critic, decoder, x = s.networks["discriminator"], s.networks["decoder"], s.batch.view("weak")
    code = linear(decoder.to_latent, features(critic, x))
    if decoder.generator.conditional:
        code = torch.cat([code, probabilities(logits(critic, x)).detach()], 1)  # the class is taken as given
    return torch.tanh(linear(decoder.generator.layer, code)).reshape(x.shape)


def naive_label(s: Step, by: str = "discriminator") -> Tensor:
    return cross_entropy(logits(s.networks[by], s.batch.labelled), s.batch.labels)


def projection(critic: Any, x: Tensor, y: Tensor) -> Tensor:
    f = features(critic, x)
    return torch.stack(
        [
            row @ critic.head.adv.weight[0] + critic.head.adv.bias[0] + row @ critic.head.embedding.weight[c]
            for row, c in zip(f, y.tolist(), strict=True)
        ]
    )

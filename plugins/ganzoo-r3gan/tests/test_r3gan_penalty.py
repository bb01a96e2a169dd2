"""R3GAN's penalty and its gradient, against closed forms in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from ganzoo_r3gan.discriminator import Discriminator
from ganzoo_r3gan.generator import Generator
from ganzoo_r3gan.layers import Block
from ganzoo_r3gan.penalty import ZeroCentred, cosine
from ganzoo_zoo.losses.gan import relativistic
from ganzoo_zoo.ssl.conditional import ProjectionHead
from torch import Tensor, nn

from ganzoo import ImageShape
from ganzoo.strategy import HeadedNetwork, RealnessHead, Step, StepContext

F64 = torch.float64


def trained(network: nn.Module) -> nn.Module:
    """Return a network whose blocks are not the identity."""
    for block in network.modules():
        if isinstance(block, Block):
            nn.init.normal_(block.reduce.weight, 0.0, 0.3)
            nn.init.normal_(block.grouped.bias, 0.0, 0.3)
    return network


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute in float64: heads are cast by `.float()`."""
    monkeypatch.setattr(Tensor, "float", lambda self: self.double())
    torch.set_default_dtype(F64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


class Images:
    """A batch with more labelled than unlabelled images."""

    class_weights = None

    def __init__(self, shape: ImageShape) -> None:
        self.labels = torch.arange(5) % max(shape.classes, 1)
        self.labelled, self.weak = (torch.rand(n, *shape.dimensions) * 2 - 1 for n in (5, 3))

    def view(self, name: str) -> Tensor:
        """Return the unlabelled images."""
        return self.weak


def step(shape: ImageShape, discriminator: HeadedNetwork, conditional: bool, progress: float = 0.0) -> Step:
    """Return a step in which the discriminator is updated."""
    networks = {"generator": Generator(shape, 4, conditional=conditional).double(), "discriminator": discriminator}
    context = StepContext(networks, networks, relativistic(), None, shape, 4, torch.device("cpu"))
    return Step(context, Images(shape), ("discriminator",), 0, progress, "labelled" if conditional else "weak")


class Analytic(nn.Module):
    """Features tanh(W x), whose derivatives are known."""

    num_features = 5

    def __init__(self, shape: ImageShape) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.1 * torch.randn(5, shape.pixels))

    def forward(self, x: Tensor) -> Tensor:
        """Map images to features."""
        return torch.tanh(x.flatten(1) @ self.weight.T)


@pytest.mark.parametrize("conditional", [False, True])
def test_penalty_equals_the_closed_form(double: None, conditional: bool) -> None:
    """Penalty and gradient equal the closed form of a network with known derivatives."""
    shape = ImageShape(1, 8, 8, 3)
    trunk = Analytic(shape)
    discriminator = HeadedNetwork(trunk, ProjectionHead(trunk, shape) if conditional else RealnessHead(trunk))
    for p in discriminator.head.parameters():
        nn.init.normal_(p)
    s = step(shape, discriminator, conditional, progress=0.25)

    def expected(x: Tensor, y: Tensor | None) -> Tensor:
        # D = ⟨u, tanh(W x)⟩ with u = ψ + v_y, so ∇D = Wᵀ (u (1 - tanh²))
        u = (
            discriminator.head.adv.weight
            if y is None
            else discriminator.head.adv.weight + discriminator.head.embedding.weight[y]
        )
        slope = (1 - torch.tanh(x.flatten(1) @ trunk.weight.T).square()) * u
        return (slope @ trunk.weight).square().sum(1).mean()

    gamma = 0.005 + 0.045 * (1 + math.cos(math.pi / 4)) / 2
    batch = s.batch
    real = expected(batch.labelled, batch.labels) if conditional else expected(batch.view("weak"), None)
    fake = expected(s.images("fake").detach(), s.y)
    value, closed = ZeroCentred()(s), gamma / 2 * (real + fake)
    torch.testing.assert_close(value, closed, rtol=1e-12, atol=0)
    assert (s.y is not None) == conditional
    updated = [p for n, p in discriminator.named_parameters() if "bias" not in n]
    for found, exact in zip(torch.autograd.grad(value, updated), torch.autograd.grad(closed, updated), strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-15)
        assert found.abs().sum() > 0


def test_penalty_of_single_images_and_its_gradient(double: None) -> None:
    """The penalty equals the Jacobians of single images, and its gradient a finite difference."""
    shape = ImageShape(3, 8, 8, 2)
    trunk = trained(Discriminator(shape, 4, projection=True))
    discriminator = HeadedNetwork(trunk, ProjectionHead(trunk, shape))
    s = step(shape, discriminator, conditional=True)
    penalty = ZeroCentred(gamma=0.8)
    sides = []
    for images, classes in ((s.batch.labelled, s.batch.labels), (s.images("fake").detach(), s.y)):
        assert classes is not None
        norms = []
        for x, y in zip(images, classes, strict=True):
            jacobian = torch.autograd.functional.jacobian(lambda t, y=y: discriminator(t[None], y[None]).adv[0], x)
            norms.append(jacobian.square().sum())
        sides.append(torch.stack(norms).mean())
    value = penalty(s)
    torch.testing.assert_close(value, 0.4 * (sides[0] + sides[1]), rtol=1e-10, atol=0)

    # the derivative in one direction of all weights, against the central difference
    weights = [p for p in discriminator.parameters()]  # noqa: C416
    gradients = torch.autograd.grad(value, weights, allow_unused=True)
    direction = [torch.randn_like(p) for p in weights]
    slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True) if g is not None)
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            for p, d in zip(weights, direction, strict=True):
                p.add_(d, alpha=sign * 1e-6)
        values.append(penalty(s).item())
        with torch.no_grad():
            for p, d in zip(weights, direction, strict=True):
                p.sub_(d, alpha=sign * 1e-6)
    assert (values[0] - values[1]) / 2e-6 == pytest.approx(float(slope), rel=1e-5)


@pytest.mark.parametrize(("progress", "expected"), [(0.0, 0.05), (0.5, 0.0275), (1 / 3, 0.03875), (1 - 1e-9, 0.005)])
def test_gamma_follows_a_cosine(double: None, progress: float, expected: float) -> None:
    """The weight decays along half a cosine."""
    assert cosine(0.05, 0.005, progress) == pytest.approx(expected, rel=1e-9)
    shape = ImageShape(1, 8, 8, 0)
    trunk = Analytic(shape)
    discriminator = HeadedNetwork(trunk, RealnessHead(trunk))
    s = step(shape, discriminator, conditional=False, progress=progress)
    assert ZeroCentred()(s).item() == pytest.approx(expected * ZeroCentred(1.0, 1.0)(s).item(), rel=1e-9)

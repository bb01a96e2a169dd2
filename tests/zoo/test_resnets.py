"""Residual networks: SNGAN, WGAN-GP's critic, BigGAN."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from ganzoo_zoo.discriminators import biggan as biggan_discriminators
from ganzoo_zoo.discriminators import sngan as sngan_discriminators
from ganzoo_zoo.generators import biggan as biggan_generators
from ganzoo_zoo.generators import sngan as sngan_generators
from ganzoo_zoo.ssl.heads import Projection
from torch import Tensor, nn

from ganzoo import Component, ImageShape
from ganzoo.registry.discovery import Plugin, Registered
from ganzoo.strategy.heads import RealnessHead
from ganzoo.strategy.networks import BatchNorm, HeadedNetwork
from ganzoo.testing import check_component

GENERATORS = {"sngan": sngan_generators.Generator, "biggan": biggan_generators.Generator}
DISCRIMINATORS = {"sngan": sngan_discriminators.Discriminator, "biggan": biggan_discriminators.Discriminator}
SIZES = {"sngan": tuple(sngan_generators.CHANNELS), "biggan": tuple(biggan_generators.CHANNELS)}
WGAN_GP = partial(sngan_discriminators.Discriminator, norm="none", pool="mean")
NAMES = ("sngan", "biggan")
EVERY_SIZE = [(name, size) for name in NAMES for size in SIZES[name]]
K = 5


def tiny_generator(name: str, channels: int = 3, size: int = 16, conditional: bool = False) -> nn.Module:
    torch.manual_seed(0)
    made = GENERATORS[name](ImageShape(channels, size, size, K), width=4, conditional=conditional)
    for parameter in made.parameters():  # at the start all classes have the same gains, and attention is off
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made


def tiny_discriminator(name: str, channels: int = 3, size: int = 16) -> nn.Module:
    torch.manual_seed(0)
    made = DISCRIMINATORS[name](ImageShape(channels, size, size, K), width=4)
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)  # at the start attention is off
    return made


def images(channels: int = 3, size: int = 16, n: int = 4) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


# --- parameters, to the unit ----------------------------------------------------------------------------------------


def count(*networks: nn.Module) -> int:
    return sum(p.numel() for network in networks for p in network.parameters())


@pytest.fixture
def weightless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make networks without memory, and without the power iterations that take seconds to begin with."""
    for module in (sngan_discriminators, biggan_discriminators):
        monkeypatch.setattr(module, "spectral_norm", lambda layer: layer)
    with torch.device("meta"):
        yield


@pytest.mark.usefixtures("weightless")
@pytest.mark.parametrize(
    ("name", "size", "classes", "options", "expected"),
    [
        ("sngan", 32, 0, {}, 4_276_739),
        ("sngan", 32, 10, {"conditional": True}, 4_276_739 + 6 * 9 * 2 * 256),  # 6 norms, 9 more classes' gain and bias
        ("sngan", 32, 0, {"width": 128}, 1_204_483),  # WGAN-GP's
        ("sngan", 48, 0, {}, 4_878_083),
        ("sngan", 64, 0, {}, 12_220_675),
        ("sngan", 128, 0, {}, 32_150_787),
        ("biggan", 128, 1000, {"conditional": True}, 70_433_988),  # as Google's compare_gan counts
    ],
)
def test_generator_parameters(name: str, size: int, classes: int, options: dict, expected: int) -> None:
    assert count(GENERATORS[name](ImageShape(3, size, size, classes), **options)) == expected


@pytest.mark.usefixtures("weightless")
@pytest.mark.parametrize(
    ("name", "size", "classes", "trunk_and_layer", "with_projection"),
    [
        ("sngan", 32, 10, 1_053_825, 1_053_825 + 1_280),
        ("sngan", 48, 10, 10_141_441, 10_141_441 + 10_240),
        ("sngan", 128, 10, 29_017_857, 29_017_857 + 10_240),
        ("biggan", 128, 1000, 86_446_370, 87_982_370),  # as Google's compare_gan counts
    ],
)
def test_discriminator_parameters(
    name: str, size: int, classes: int, trunk_and_layer: int, with_projection: int
) -> None:
    shape = ImageShape(3, size, size, classes)
    trunk = DISCRIMINATORS[name](shape)
    assert count(trunk, trunk.last_layer(1)) == trunk_and_layer
    assert count(trunk, Projection(trunk, shape)) == with_projection


@pytest.mark.usefixtures("weightless")
def test_wgan_gp_has_the_topology_of_sngan() -> None:
    critic = WGAN_GP(ImageShape(3, 32, 32, 0))
    assert count(critic, critic.last_layer(1)) == 1_053_825


def test_biggan_small_is_the_table_of_its_docstring() -> None:
    shape = ImageShape(3, 32, 32, 10)
    made, trunk = GENERATORS["biggan"](shape, conditional=True), DISCRIMINATORS["biggan"](shape)
    assert made.z_dim == 80
    assert [count(m) for m in (made.embedding, made.start, *made.blocks, made.attention, made.end)] == [
        1_280, 129_024, 3_030_144, 3_030_144, 3_030_144, 184_321, 11_139,
    ]  # fmt: skip
    assert count(made) == 9_416_196  # reported as 9.42M
    assert [count(m) for m in trunk.blocks] == [338_112, 46_081, 700_992, 663_936, 663_936]
    assert count(trunk, trunk.last_layer(1)) == 2_413_250
    assert count(trunk, Projection(trunk, shape)) == 2_415_170  # reported as 2.42M
    # Without classes there is no embedding, and the norms make nothing of it.
    assert count(GENERATORS["biggan"](shape)) == 9_416_196 - 1_280 - 3 * 2 * 2 * 128 * 384


# --- contracts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("kind", "options"),
    [("generator", {}), ("generator", {"conditional": True}), ("discriminator", {})],
)
def test_contract(name: str, kind: str, options: dict) -> None:
    target = f"ganzoo_zoo.{kind}s.{name}:{kind.title()}"
    component = Component(name, target, "a residual network", sizes=SIZES[name])
    check_component(Registered(kind, Plugin("here", None), component), width=4, **options)


@pytest.mark.parametrize(("name", "size"), EVERY_SIZE)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shapes_and_finite_gradients(name: str, size: int, channels: int) -> None:
    generator, trunk = tiny_generator(name, channels, size), tiny_discriminator(name, channels, size)
    x = generator(torch.randn(2, generator.z_dim))
    assert x.shape == (2, channels, size, size)
    assert x.abs().max() <= 1
    features = trunk(x)
    assert features.shape == (2, trunk.num_features)
    assert trunk.last_layer(3)(features).shape == (2, 3)
    trunk.last_layer(1)(features).sum().backward()
    for network in (generator, trunk):
        for where, parameter in network.named_parameters():
            assert parameter.grad is not None, where
            assert bool(parameter.grad.isfinite().all()), where


@pytest.mark.parametrize("name", NAMES)
def test_networks_run_under_autocast(name: str) -> None:
    generator, trunk = tiny_generator(name, conditional=True), tiny_discriminator(name)
    z = torch.randn(4, generator.z_dim)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = generator(z, torch.eye(K)[:4])
        features = trunk(x)
    features.float().square().mean().backward()
    gradients = [p.grad for network in (generator, trunk) for p in network.parameters()]
    assert bool(torch.stack([g.isfinite().all() for g in gradients if g is not None]).all())
    with torch.no_grad():
        exact = trunk.eval()(generator.eval()(z, torch.arange(4)))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = trunk(generator(z, torch.arange(4)))
    assert (rough - exact).norm() < 0.05 * exact.norm()


# --- classes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_classes(name: str) -> None:
    generator = tiny_generator(name, conditional=True).eval()
    z, y = torch.randn(3, generator.z_dim), torch.tensor([0, 2, 4])
    hard, soft = generator(z, y), generator(z, F.one_hot(y, K).float())
    assert torch.equal(hard, soft)
    others = [generator(z, torch.full((3,), k)) for k in range(K)]
    for i in range(K):
        for j in range(i):
            assert not torch.allclose(others[i], others[j], atol=1e-3), (i, j)
    mixed = generator(z, torch.full((3, K), 1 / K))
    assert bool(mixed.isfinite().all())
    assert all(not torch.allclose(mixed, one, atol=1e-3) for one in others)
    with pytest.raises(AssertionError, match="needs classes"):
        generator(z)


def test_a_soft_class_has_the_mixture_of_gains_and_biases() -> None:
    norm = sngan_generators.Norm(6, K).eval()
    nn.init.normal_(norm.gain)
    nn.init.normal_(norm.bias)
    x = torch.randn(2, 6, 3, 3)
    first, second, both = torch.eye(K)[0], torch.eye(K)[1], torch.eye(K)[:2].mean(0)
    one, two, mixed = (norm(x, y.expand(2, K)) for y in (first, second, both))
    assert torch.allclose(mixed, (one + two) / 2, atol=1e-6)


def test_class_gains_begin_at_one() -> None:
    generator = GENERATORS["sngan"](ImageShape(1, 16, 16, K), width=4, conditional=True).eval()
    z = torch.randn(2, generator.z_dim)
    assert torch.equal(generator(z, torch.tensor([0, 1])), generator(z, torch.tensor([2, 3])))


@pytest.mark.parametrize("conditional", [False, True])
def test_every_chunk_of_the_latent_reaches_the_image(conditional: bool) -> None:
    generator = tiny_generator("biggan", size=32, conditional=conditional).eval()
    z = torch.randn(2, generator.z_dim)
    y = torch.arange(2) if conditional else None
    for chunk in range(4):
        changed = z.clone()
        changed[:, 20 * chunk : 20 * (chunk + 1)] += 1
        assert not torch.allclose(generator(z, y), generator(changed, y), atol=1e-3)


# --- spectral norm --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "layers"),
    [
        (partial(tiny_discriminator, "sngan"), 10),
        (partial(tiny_discriminator, "biggan"), 14),
        (partial(tiny_generator, "biggan", conditional=True), 20),
    ],
    ids=["sngan-discriminator", "biggan-discriminator", "biggan-generator"],
)
def test_spectral_norm_is_one(network: partial, layers: int) -> None:
    made = network()
    normalised = [m for m in made.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert len(normalised) == layers
    if hasattr(made, "last_layer"):
        normalised.append(made.last_layer(3))
    with torch.no_grad():
        for _ in range(400):
            for layer in normalised:
                _ = layer.weight  # as a pass does, which in training mode makes a step of the power iteration
        made.eval()
        for layer in normalised:
            largest = torch.linalg.svdvals(layer.eval().weight.double().flatten(1))[0].item()
            assert largest == pytest.approx(1.0, abs=1e-3)


def test_passes_step_the_power_iteration_in_training_only() -> None:
    trunk = tiny_discriminator("sngan")
    trunk.blocks[1].conv1.parametrizations.weight.original.data.normal_()  # its old vectors are of no use now
    vectors = trunk.blocks[1].conv1.parametrizations.weight[0]._u
    before = vectors.clone()
    trunk.eval()(images())
    assert torch.equal(before, vectors)
    trunk.train()(images())
    assert not torch.equal(before, vectors)


# --- WGAN-GP --------------------------------------------------------------------------------------------------------


def squared_gradient(critic: HeadedNetwork, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).adv.sum(), x, create_graph=True)
    return gradient.square().sum((1, 2, 3))


def test_wgan_gp_has_no_batch_norm() -> None:
    """Its penalty is about the gradient at single images, and batch norm would make an image's output the batch's."""
    trunk = WGAN_GP(ImageShape(3, 16, 16, 0), width=8)
    assert not any(isinstance(m, BatchNorm) for m in trunk.modules())
    assert not any(hasattr(m, "parametrizations") for m in (*trunk.modules(), trunk.last_layer(1)))
    critic = HeadedNetwork(trunk, RealnessHead(trunk))
    assert not critic.batch_statistics
    together = squared_gradient(critic, images())
    alone = torch.cat([squared_gradient(critic, x) for x in images().split(1)])
    assert torch.allclose(together, alone, rtol=1e-4)


@pytest.mark.parametrize("network", [WGAN_GP, *DISCRIMINATORS.values()], ids=["wgan-gp", "sngan", "biggan"])
def test_gradient_penalties_have_gradients(network: type[nn.Module]) -> None:
    trunk = network(ImageShape(3, 16, 16, 0), width=8)
    for module in trunk.modules():
        if isinstance(module, biggan_generators.Attention):
            nn.init.ones_(module.gamma)  # at the start attention is off
    critic = HeadedNetwork(trunk, RealnessHead(trunk))
    (squared_gradient(critic, images()).sqrt() - 1).square().mean().backward()
    for where, weight in critic.named_parameters():
        if weight.ndim > 1:  # biases move no gradient of a network that is linear in pieces
            assert weight.grad is not None, where
            assert bool(weight.grad.isfinite().all()), where
            assert bool(weight.grad.any()), where


@pytest.mark.parametrize(("size", "places"), [(16, 4 * 4), (32, 8 * 8), (48, 3 * 3), (64, 2 * 2), (128, 4 * 4)])
def test_sum_and_mean_differ_by_the_number_of_places(size: int, places: int) -> None:
    made = [
        sngan_discriminators.Discriminator(ImageShape(3, size, size, 0), 4, pool=pool).eval()
        for pool in ("sum", "mean")
    ]
    made[1].load_state_dict(made[0].state_dict())
    summed, mean = (trunk(images(size=size)) for trunk in made)
    assert torch.allclose(summed, mean * places, rtol=1e-4, atol=1e-5)


# --- blocks ---------------------------------------------------------------------------------------------------------


def test_shortcuts_are_those_of_the_paper() -> None:
    """The paper convolves large maps (after doubling, before the mean); ours convolve small ones, to the same end."""
    x = images(6)
    up = sngan_generators.Block(6, 5, partial(sngan_generators.Norm, classes=0)).eval()
    down = sngan_discriminators.Block(6, 6, 5, down=True)
    for conv in (up.conv2, down.conv2):
        nn.init.zeros_(conv.weight)
        nn.init.zeros_(conv.bias)
    doubled = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.allclose(up(x, None), up.shortcut(doubled), atol=1e-6)
    assert torch.allclose(down(x), F.avg_pool2d(down.shortcut(x), 2), atol=1e-6)


def test_attention_is_the_formula() -> None:
    attention = biggan_generators.Attention(16)
    x = images(16, 8, 2)
    assert torch.equal(attention(x), x)
    nn.init.constant_(attention.gamma, 0.5)
    theta, phi, g = (conv.weight.flatten(1) for conv in (attention.theta, attention.phi, attention.g))
    pooled = lambda maps: F.max_pool2d(maps, 2).flatten(1)  # noqa: E731
    for one, out in zip(x, attention(x), strict=True):
        query = theta @ one.flatten(1)
        key, value = (pooled((w @ one.flatten(1)).unflatten(1, (8, 8))) for w in (phi, g))
        seen = value @ torch.softmax(query.T @ key, dim=1).T
        expected = one.flatten(1) + 0.5 * attention.o.weight.flatten(1) @ seen
        assert torch.allclose(out.flatten(1), expected, atol=1e-5)

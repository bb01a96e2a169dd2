"""Every registered component keeps its contract, and its mathematics."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from ganzoo_zoo.layers import Noise, WeightNorm
from ganzoo_zoo.penalties.gradient import one_lipschitz, squared_gradient
from torch import Tensor, nn

import ganzoo
from benchmarks.matrix import tiny
from ganzoo import Component, ImageShape, configure, create
from ganzoo.base.pictures import from_uint8
from ganzoo.errors import GanzooError
from ganzoo.registry.component import NAME
from ganzoo.registry.discovery import Plugin, Registered, installed
from ganzoo.registry.hookspecs import KINDS
from ganzoo.strategy.heads import RealnessHead
from ganzoo.strategy.networks import HeadedNetwork
from ganzoo.testing import check_component
from ganzoo.training.assemble import assemble
from ganzoo.training.trainer import Trainer
from tests.conftest import everything

ALL = [
    installed().get(r.kind, f"{r.component.name}/test_resnet") if r.component.family else r
    for r in ganzoo.list_components()
]
F64 = torch.float64


@pytest.mark.parametrize("registered", ALL, ids=lambda r: f"{r.kind}/{r.qualified}")
def test_contract(registered: Registered) -> None:
    quick = {"zoo/timm/test_resnet": {"pretrained": False}, "zoo/classifier": {"steps": 2}}
    options = quick.get(registered.qualified, {}) if registered.kind == "extractor" else {}
    options = {"steps": 2} if registered.qualified == "zoo/cas" else options
    check_component(registered, **tiny(registered.kind, registered.qualified), **options)
    assert NAME.fullmatch(registered.component.name)


def test_dcgan_discriminator_with_minibatch_discrimination() -> None:
    trunk = create("discriminator", "dcgan", ImageShape(1, 16, 16, 3), width=8, norm="none", minibatch=5).train()
    alike, apart = torch.zeros(4, 1, 16, 16), torch.randn(4, 1, 16, 16) * 50
    closeness = [trunk(x)[:, -5:].mean().item() for x in (alike, apart)]
    assert closeness[0] == pytest.approx(4)  # each is as near to the three others as to itself
    assert 1 <= closeness[1] < closeness[0]
    critic = HeadedNetwork(trunk, RealnessHead(trunk))
    assert (critic.batch_statistics, critic.batch_norm) == (True, False)


@pytest.mark.parametrize("norm", ["batch", "group", "spectral", "none"])
def test_dcgan_discriminator_with_every_norm(norm: str) -> None:
    check_component("discriminator", "dcgan", norm=norm, width=8)


@pytest.mark.parametrize("name", ["dcgan", "mlp"])
def test_conditional_generators(name: str) -> None:
    check_component("generator", name, conditional=True)
    made = create("generator", name, ImageShape(1, 16, 16, 3), conditional=True).eval()
    z = torch.rand(2, made.z_dim)
    one, two = made(z, torch.tensor([0, 0])), made(z, torch.tensor([1, 1]))
    assert not torch.equal(one, two)
    assert torch.equal(one, made(z, torch.tensor([[1.0, 0, 0], [1.0, 0, 0]])))


class Affine(nn.Module):
    """A generator without a fault."""

    z_dim = 2

    def __init__(self, shape: ImageShape) -> None:
        super().__init__()
        self.shape, self.layer = shape, nn.Linear(2, shape.pixels)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.layer(z).reshape(-1, *self.shape.dimensions)


class Forgetful(Affine):
    """Draws its weights anew in each copy."""

    def __init__(self, shape: ImageShape) -> None:
        super().__init__(shape)
        self.scale = torch.rand(1)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return super().forward(z, y) * self.scale


class Fickle(Affine):
    """Draws noise in evaluation mode, of strength 0 before it is trained."""

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return super().forward(z, y) + 0 * torch.randn(1)


class Mixing(Affine):
    """Adds the mean of the batch."""

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        x = super().forward(z, y)
        return x + x.mean(0)


class Careless(Affine):
    """Draws latents from torch's global random number generator."""

    def latent(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        return torch.rand(n, self.z_dim)


class Square(nn.Module):
    """Returns images as features."""

    num_features = 5

    def __init__(self, shape: ImageShape) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x[..., None])[..., 0]


def undocumented(margin: float = 1.0) -> Any:
    return margin


@pytest.mark.parametrize(
    ("kind", "target", "said"),
    [
        ("generator", "Forgetful", "state_dict is incomplete"),
        ("generator", "Fickle", "in evaluation mode, it draws random numbers"),
        ("generator", "Mixing", "in evaluation mode, the image of a latent depends on its batch"),
        ("generator", "Careless", "latents are not drawn from `rng` alone"),
        ("discriminator", "Square", r"features are \[16, 1, 16, 16\], not \[16, 5\]"),
        ("loss", "undocumented", r"missing under Args of its docstring: \['margin'\]"),
    ],
)
def test_checker_finds_faults(kind: str, target: str, said: str) -> None:
    component = Component("wrong", f"{__name__}:{target}", summary="is wrong")
    with pytest.raises(AssertionError, match=said):
        check_component(Registered(kind, Plugin("me", None), component))


def test_checker_finds_no_fault_where_there_is_none() -> None:
    component = Component("right", f"{__name__}:Affine", summary="is right")
    check_component(Registered("generator", Plugin("me", None), component))


def test_checker_wants_a_summary() -> None:
    with pytest.raises(AssertionError, match="has no summary"):
        check_component(Registered("loss", Plugin("me", None), Component("l", f"{__name__}:undocumented")))


def test_every_kind_has_a_hook_and_a_built_in() -> None:
    assert {r.kind for r in ALL} == set(KINDS.values())


# --- losses against closed forms ---------------------------------------------------------------------------------

REAL, FAKE = torch.tensor([0.5, -1.5, 3.0], dtype=F64), torch.tensor([-0.25, 2.0, 0.0], dtype=F64)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        (
            "nonsaturating",
            -sum(math.log(sigmoid(x)) for x in REAL.tolist()) / 3
            - sum(math.log(sigmoid(-x)) for x in FAKE.tolist()) / 3,
            -sum(math.log(sigmoid(x)) for x in FAKE.tolist()) / 3,
        ),
        ("hinge", (0.5 + 2.5 + 0) / 3 + (0.75 + 3 + 1) / 3, -1.75 / 3),
        ("wasserstein", 1.75 / 3 - 2 / 3, -1.75 / 3),
    ],
)
def test_losses(name: str, discriminator: float, generator: float) -> None:
    loss = create("loss", name)
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(discriminator, abs=1e-12)
    assert loss.generator(REAL, FAKE).item() == pytest.approx(generator, abs=1e-12)


# --- penalties against gradients known by hand ---------------------------------------------------------------------

W = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=F64)


def quadratic(x: Tensor) -> Tensor:
    """D(x) = ½ Σ wᵢ xᵢ², whose gradient is w·x."""
    return (W * x.flatten(1).square()).sum(1) / 2


def test_r1() -> None:
    x = torch.tensor([[1.0, 2, 3, 4], [0, -1, 2, 0]], dtype=F64).reshape(2, 1, 2, 2)
    expected = sum(((W * row).square().sum() for row in x.flatten(1)), torch.zeros((), dtype=F64)) / 2
    assert squared_gradient(quadratic, x).mean().item() == pytest.approx(expected.item())


def test_gradient_penalty() -> None:
    x = torch.tensor([[1.0, 2, 3, 4], [0, -1, 2, 0]], dtype=F64).reshape(2, 1, 2, 2)
    norms = [(W * row).square().sum().sqrt().item() for row in x.flatten(1)]
    value = one_lipschitz(quadratic, x, x)  # every point between is x itself
    assert value.item() == pytest.approx(sum((n - 1) ** 2 for n in norms) / 2, rel=1e-5)


# --- networks -------------------------------------------------------------------------------------------------------


def test_dcgan_matches_the_reference_to_the_parameter() -> None:
    shape = ImageShape(3, 64, 64, 0)
    count = lambda m: sum(p.numel() for p in m.parameters())  # noqa: E731
    assert count(create("generator", "dcgan", shape)) == 3_576_704
    trunk = create("discriminator", "dcgan", shape)
    assert count(trunk) + count(trunk.last_layer(1)) == 2_765_568


def test_improved_gan_discriminator_has_noise_in_training_only() -> None:
    trunk = create("discriminator", "mlp", ImageShape(1, 28, 28, 10))
    x = torch.rand(3, 1, 28, 28)
    assert not torch.equal(trunk(x), trunk(x))
    trunk.eval()
    assert torch.equal(trunk(x), trunk(x))
    assert [m.deviation for m in trunk.layers if isinstance(m, Noise)] == [0.3, 0.5, 0.5, 0.5, 0.5]
    assert trunk.last_layer(10)[0].deviation == 0.5


def test_improved_gan_discriminator_is_initialised_from_data() -> None:
    experiment = assemble(configure(values={"disc": "mlp", "gen": "mlp", "data.size": 8, "precision": "fp32"}))
    critic = experiment.gan.networks["discriminator"].train()
    x = from_uint8(everything(experiment.data.train)[:500])
    seen: dict[str, Tensor] = {}
    layers = {n: m for n, m in critic.named_modules() if isinstance(m, WeightNorm)}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda m, i, o, name=name: seen.update({name: o}))
    critic(x)
    assert len(layers) == 6
    for name, y in seen.items():
        deviation = 0.1 if "head" in name else 1.0
        assert y.mean(0).abs().mean() < 0.15 * deviation, name
        assert (y.std(0) / deviation - 1).abs().mean() < 0.1, name
    learnt = [n for n, p in critic.named_parameters() if n.endswith(".g") and p.requires_grad]
    assert learnt == ["head.classes.1.g"]


def test_a_fixed_scale_stays_fixed() -> None:
    trainer = Trainer(assemble(configure(values={"disc": "mlp", "gen": "mlp", "data.size": 8, "precision": "fp32"})))
    parameters = dict(trainer.gan.networks["discriminator"].named_parameters())
    before = {n: p.clone() for n, p in parameters.items()}
    trainer.train_step()
    changed = {n for n, p in parameters.items() if not torch.equal(p, before[n])}
    assert {n for n in parameters if n.endswith(".g")} - changed == {f"trunk.layers.{i}.g" for i in (1, 4, 7, 10, 13)}


def test_diffaugment_cuts_a_square_and_shifts() -> None:
    torch.manual_seed(0)
    x = torch.ones(200, 1, 16, 16)
    cut = create("augment", "diffaugment", color=False, translation=False)(x, "real", None)
    blanked = (cut == 0).flatten(1).sum(1)
    assert int(blanked.max()) == 8 * 8
    assert int(blanked.min()) >= 4 * 4  # a corner
    point = torch.zeros(500, 1, 16, 16)
    point[:, :, 8, 8] = 1
    moved = create("augment", "diffaugment", color=False, cutout=False)(point, "real", None)
    where = {tuple(p[2:]) for p in moved.nonzero().tolist()}
    assert where == {(r, c) for r in range(6, 11) for c in range(6, 11)}


def test_impossible_sizes_and_shapes_are_refused() -> None:
    with pytest.raises(GanzooError, match="cannot be created with"):
        create("generator", "mlp", ImageShape(1, 16, 16, 3), hidden=-1)

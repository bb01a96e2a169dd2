"""R3GAN's networks to the parameter, its resampling, its penalty against closed forms in float64, and its preset."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganzoo import ImageShape, configure, create
from ganzoo.assemble import assemble
from ganzoo.contracts import AdversarialLoss
from ganzoo.critic import Critic
from ganzoo.errors import BadOption, Incompatible
from ganzoo.optimizers import schedule
from ganzoo.step import Step
from ganzoo.strategy import RealnessHead
from ganzoo.testing import check_component
from ganzoo.trainer import Trainer

pytest.importorskip("ganzoo_r3gan")

from ganzoo_r3gan.discriminator import Discriminator
from ganzoo_r3gan.generator import Generator
from ganzoo_r3gan.layers import Block, Resample, channels_of
from ganzoo_r3gan.penalty import ZeroCentred, cosine
from ganzoo_zoo.ssl.conditional import ProjectionHead

F64 = torch.float64
CIFAR10 = ImageShape(3, 32, 10)
BLOCK = 768 * 1536 + 1536 + 1536 * 16 * 9 + 1536 + 1536 * 768


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# --- parameters -----------------------------------------------------------------------------------------------------


def test_generator_has_the_papers_parameters() -> None:
    with torch.device("meta"):
        conditional, plain = Generator(CIFAR10, conditional=True), Generator(CIFAR10)
    assert BLOCK == 2_583_552
    assert count(conditional) == 10 * 64 + 128 * 768 + 768 * 16 + 8 * BLOCK + 768 * 3 == 20_781_952
    assert count(plain) == 64 * 768 + 768 * 16 + 8 * BLOCK + 768 * 3 == 20_732_160


def test_discriminator_has_the_papers_parameters() -> None:
    with torch.device("meta"):
        plain, projection = Discriminator(CIFAR10), Discriminator(CIFAR10, projection=True)
        realness, pairs = RealnessHead(plain), ProjectionHead(projection, CIFAR10)
    assert count(plain) == 3 * 768 + 8 * BLOCK + 768 * 16 == 20_683_008
    assert count(plain) + count(realness) == 20_683_008 + 768 == 20_683_776
    assert count(projection) == 20_683_008 + 768 * 768 == 21_272_832
    assert count(projection) + count(pairs.embedding) == 21_272_832 + 10 * 768 == 21_280_512
    assert count(projection) + count(pairs) == 21_280_512 + 768  # the zoo's head has ψ besides


def test_it_is_96_groups_wide_and_two_blocks_deep() -> None:
    with torch.device("meta"):
        networks = Generator(CIFAR10), Discriminator(CIFAR10)
    for network in networks:
        blocks = [m for m in network.modules() if isinstance(m, Block)]
        assert [m.grouped.groups for m in blocks] == [96] * 8
        assert [m.up for m in network.modules() if isinstance(m, Resample)] == [isinstance(network, Generator)] * 3
    names = [type(m).__name__ for m in networks[0].layers]
    assert names == ["Block", "Block", *["Resample", "Block", "Block"] * 3, "Conv2d"]
    names = [type(m).__name__ for m in networks[1].layers]
    assert names == ["Conv2d", "Block", "Block", *["Resample", "Block", "Block"] * 3, "Conv2d", "Flatten"]


@pytest.mark.parametrize(
    ("size", "width", "wanted"),
    [(8, 768, [768] * 2), (32, 768, [768] * 4), (256, 768, [768] * 4 + [384, 192, 96]), (128, 1, [1] * 6)],
)
def test_widths_by_default(size: int, width: int, wanted: list[int]) -> None:
    assert channels_of(size, width, None) == wanted


def test_impossible_shapes_are_refused() -> None:
    for size in (4, 12, 28, 33):
        with pytest.raises(Incompatible, match=f"not {size}"):
            create("generator", "r3gan", ImageShape(3, size, 0), width=8)
    with pytest.raises(BadOption, match=r"for each of the sides \[4, 8, 16\], that is 3, not 2"):
        create("discriminator", "r3gan", ImageShape(3, 16, 0), widths=[8, 8])
    for cardinality in (3, 0, -2):
        with pytest.raises(BadOption, match=f"16 channels cannot be convolved in {cardinality} groups"):
            create("generator", "r3gan", ImageShape(3, 8, 0), width=8, cardinality=cardinality)


# --- what they compute ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [None, "falling"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_shapes(size: int, channels: int, widths: str | None) -> None:
    torch.manual_seed(0)
    shape = ImageShape(channels, size, 3)
    table = tuple(16 >> min(i, 2) for i in range(size.bit_length() - 2)) if widths else None
    options: dict[str, Any] = {"widths": table, "cardinality": 4} if widths else {"width": 12}
    generator = Generator(shape, conditional=True, **options)
    critic = Discriminator(shape, projection=True, **options)
    x = generator(torch.randn(2, 64), torch.tensor([0, 2]))
    assert x.shape == (2, channels, size, size)
    assert critic(x).shape == (2, critic.num_features) == (2, 16 if widths else 12)
    assert critic.last_layer(5)(critic(x)).shape == (2, 5)
    assert {m.grouped.groups for m in critic.modules() if isinstance(m, Block)} == ({4} if widths else {3})


def test_contracts() -> None:
    check_component("generator", "r3gan", width=8, conditional=True)
    check_component("discriminator", "r3gan", width=8, projection=True)
    check_component("penalty", "r3gan")


def test_weights_at_the_start() -> None:
    torch.manual_seed(0)
    shape, width = ImageShape(3, 32, 10), 192
    gain = math.sqrt(2 / 1.04) * 8**-0.25
    generator = Generator(shape, width, conditional=True)
    critic = Discriminator(shape, width, projection=True)
    for network in (generator, critic):
        for block in (m for m in network.modules() if isinstance(m, Block)):
            assert block.expand.weight.std().item() == pytest.approx(gain / math.sqrt(width), rel=0.02)
            assert block.grouped.weight.std().item() == pytest.approx(gain / math.sqrt(16 * 9), rel=0.02)
            for zero in (block.expand.bias, block.grouped.bias, block.reduce.weight):
                assert zero is not None
                assert not zero.any()
            assert block.reduce.bias is None
    for weight, wanted in (
        (generator.embedding, 1),
        (generator.basis, 1),
        (generator.linear.weight, 1 / math.sqrt(128)),
        (generator.layers[-1].weight, 1 / math.sqrt(width)),
        (critic.layers[0].weight, 1 / math.sqrt(3)),
        (critic.layers[-3].weight, 1 / 4),
        (critic.layers[-1].weight, 1 / math.sqrt(width)),
        (critic.last_layer(50).weight, 1 / math.sqrt(width)),
    ):
        assert isinstance(weight, Tensor)
        assert weight.mean().item() == pytest.approx(0, abs=0.1 * wanted)
        assert weight.std().item() == pytest.approx(wanted, rel=0.1)
    biased = {n.rpartition(".")[0] for net in (generator, critic) for n, _ in net.named_parameters() if "bias" in n}
    assert all(n.endswith((".expand", ".grouped")) for n in biased)


def test_fewer_blocks_have_larger_weights() -> None:
    torch.manual_seed(0)
    block = next(m for m in Generator(ImageShape(3, 8, 0), 192).modules() if isinstance(m, Block))
    wanted = math.sqrt(2 / 1.04) * 4**-0.25 / math.sqrt(192)
    assert block.expand.weight.std().item() == pytest.approx(wanted, rel=0.02)


def test_blocks_are_the_identity_at_the_start_and_then_the_formula() -> None:
    torch.manual_seed(0)
    block, x = Block(4, None, 1.0).double(), torch.randn(2, 4, 5, 5, dtype=F64)
    assert torch.equal(block(x), x)
    for p in block.parameters():
        nn.init.normal_(p)
    a = lambda t: torch.where(t > 0, t, 0.2 * t)  # noqa: E731
    first = a(torch.einsum("oi,bihw->bohw", block.expand.weight[:, :, 0, 0], x) + block.expand.bias[:, None, None])
    second = a(F.conv2d(first, block.grouped.weight, block.grouped.bias, padding=1, groups=block.grouped.groups))
    wanted = x + torch.einsum("oi,bihw->bohw", block.reduce.weight[:, :, 0, 0], second)
    torch.testing.assert_close(block(x), wanted)


def test_the_generator_starts_as_its_basis_resampled() -> None:
    torch.manual_seed(0)
    generator, z = Generator(ImageShape(3, 16, 0), 8), torch.randn(2, 64)
    maps = torch.einsum("oi,bi->bo", generator.linear.weight, z)[:, :, None, None] * generator.basis
    maps = Resample(up=True)(Resample(up=True)(maps))
    torch.testing.assert_close(generator(z), F.conv2d(maps, generator.layers[-1].weight))


@pytest.mark.parametrize("up", [True, False])
def test_resampling_is_the_naive_convolution(up: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 6, dtype=F64)
    box, smooth = [1.0, 1.0], [1.0, 2.0, 1.0]
    taps = [sum(box[i] * smooth[k - i] for i in range(2) if 0 <= k - i < 3) for k in range(4)]
    assert taps == [1, 3, 3, 1]
    side = 12 if up else 3
    wanted = torch.zeros(2, 3, side, side, dtype=F64)
    for r in range(side):
        for c in range(side):
            for i in range(4):
                for j in range(4):
                    # up: image pixel n lies at 2n among zeros, and the filter's middle half a place behind
                    row, column = ((r + i - 2) / 2, (c + j - 2) / 2) if up else (2 * r + i - 1, 2 * c + j - 1)
                    if row % 1 or column % 1 or not (0 <= row < 6 and 0 <= column < 6):
                        continue
                    weight = taps[i] * taps[j] / (16 if up else 64)
                    wanted[:, :, r, c] += weight * x[:, :, int(row), int(column)]
    torch.testing.assert_close(Resample(up).double()(x), wanted)
    if up:  # within the border it is bilinear
        bilinear = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        torch.testing.assert_close(Resample(up).double()(x)[:, :, 1:-1, 1:-1], bilinear[:, :, 1:-1, 1:-1])


def test_resampling_keeps_what_is_even() -> None:
    x = torch.ones(1, 2, 8, 8)
    for up in (True, False):
        y = Resample(up)(x)
        torch.testing.assert_close(y[:, :, 1:-1, 1:-1], torch.ones_like(y[:, :, 1:-1, 1:-1]))


def test_hard_and_soft_labels_are_one() -> None:
    torch.manual_seed(0)
    generator = trained(Generator(ImageShape(3, 8, 4), 8, conditional=True)).eval()
    z, y = torch.randn(4, 64), torch.arange(4)
    soft = F.one_hot(y, 4).float()
    assert torch.equal(generator(z, y), generator(z, soft))
    assert not torch.allclose(generator(z, y), generator(z, y.flip(0)))
    half = generator(z, (soft + soft.flip(0)) / 2)
    assert torch.isfinite(half).all()


def test_images_are_in_range_in_evaluation_alone() -> None:
    torch.manual_seed(0)
    generator, z = trained(Generator(ImageShape(3, 16, 0), 8)), 5 * torch.randn(16, 64)
    free, kept = generator(z), generator.eval()(z)
    assert free.abs().max() > 1
    assert kept.min() >= -1
    assert kept.max() <= 1
    assert torch.equal(kept, free.clamp(-1, 1))


def trained(network: nn.Module) -> nn.Module:
    """Return a network whose blocks do something."""
    for block in network.modules():
        if isinstance(block, Block):
            nn.init.normal_(block.reduce.weight, 0.0, 0.3)
            nn.init.normal_(block.grouped.bias, 0.0, 0.3)
    return network


# --- the penalty ----------------------------------------------------------------------------------------------------


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # The critic's head is fp32 by `.float()`; were it so here, 1e-9 would mean nothing.
    monkeypatch.setattr(Tensor, "float", lambda self: self.double())
    torch.set_default_dtype(F64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


class Images:
    """Labelled images of which there are more than others."""

    def __init__(self, shape: ImageShape) -> None:
        self.labels = torch.arange(5) % max(shape.classes, 1)
        self.labelled, self.weak = (torch.rand(n, shape.channels, shape.size, shape.size) * 2 - 1 for n in (5, 3))

    def view(self, name: str) -> Tensor:
        return self.weak


def step(shape: ImageShape, critic: Critic, conditional: bool, progress: float = 0.0) -> Step:
    """Return what the discriminator sees when it moves; the loss takes no part."""
    networks = {"generator": Generator(shape, 4, conditional=conditional).double(), "discriminator": critic}
    loss = AdversarialLoss(lambda r, f: F.softplus(f - r).mean(), lambda r, f: F.softplus(r - f).mean(), True)
    return Step(
        batch=Images(shape),
        networks=networks,
        averaged=networks,
        moving=("discriminator",),
        loss=loss,
        augment=None,
        shape=shape,
        size=4,
        real_view="labelled" if conditional else "weak",
        iteration=0,
        progress=progress,
        device=torch.device("cpu"),
    )


class Analytic(nn.Module):
    """Features tanh(W x), of which every derivative is known."""

    num_features = 5

    def __init__(self, shape: ImageShape) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.1 * torch.randn(5, shape.channels * shape.size**2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x.flatten(1) @ self.weight.T)


@pytest.mark.parametrize("conditional", [False, True])
def test_penalty_is_the_closed_form_with_its_gradient(double: None, conditional: bool) -> None:
    shape = ImageShape(1, 8, 3)
    trunk = Analytic(shape)
    critic = Critic(trunk, ProjectionHead(trunk, shape) if conditional else RealnessHead(trunk))
    for p in critic.head.parameters():
        nn.init.normal_(p)
    s = step(shape, critic, conditional, progress=0.25)

    def wanted(x: Tensor, y: Tensor | None) -> Tensor:
        # D = ⟨u, tanh(W x)⟩ with u = ψ + v_y, so ∇D = Wᵀ (u (1 - tanh²))
        u = critic.head.adv.weight if y is None else critic.head.adv.weight + critic.head.embedding.weight[y]
        slope = (1 - torch.tanh(x.flatten(1) @ trunk.weight.T).square()) * u
        return (slope @ trunk.weight).square().sum(1).mean()

    gamma = 0.005 + 0.045 * (1 + math.cos(math.pi / 4)) / 2
    batch = s.batch
    real = wanted(batch.labelled, batch.labels) if conditional else wanted(batch.view("weak"), None)
    fake = wanted(s.images("fake").detach(), s.y)
    value, closed = ZeroCentred()(s), gamma / 2 * (real + fake)
    torch.testing.assert_close(value, closed, rtol=1e-12, atol=0)
    assert (s.y is not None) == conditional
    moved = [p for n, p in critic.named_parameters() if "bias" not in n]
    for found, exact in zip(torch.autograd.grad(value, moved), torch.autograd.grad(closed, moved), strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-15)
        assert found.abs().sum() > 0


def test_penalty_of_the_network_image_by_image_and_to_the_second_order(double: None) -> None:
    shape = ImageShape(3, 8, 2)
    trunk = trained(Discriminator(shape, 4, projection=True))
    critic = Critic(trunk, ProjectionHead(trunk, shape))
    s = step(shape, critic, conditional=True)
    penalty = ZeroCentred(gamma=0.8)
    sides = []
    for images, classes in ((s.batch.labelled, s.batch.labels), (s.images("fake").detach(), s.y)):
        assert classes is not None
        norms = []
        for x, y in zip(images, classes, strict=True):
            jacobian = torch.autograd.functional.jacobian(lambda t, y=y: critic(t[None], y[None]).adv[0], x)
            norms.append(jacobian.square().sum())
        sides.append(torch.stack(norms).mean())
    value = penalty(s)
    torch.testing.assert_close(value, 0.4 * (sides[0] + sides[1]), rtol=1e-10, atol=0)

    # along one direction of all weights, against the central difference
    weights = [p for p in critic.parameters()]  # noqa: C416
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


@pytest.mark.parametrize(("progress", "wanted"), [(0.0, 0.05), (0.5, 0.0275), (1 / 3, 0.03875), (1 - 1e-9, 0.005)])
def test_gamma_follows_a_cosine(double: None, progress: float, wanted: float) -> None:
    assert cosine(0.05, 0.005, progress) == pytest.approx(wanted, rel=1e-9)
    shape = ImageShape(1, 8, 0)
    trunk = Analytic(shape)
    critic = Critic(trunk, RealnessHead(trunk))
    s = step(shape, critic, conditional=False, progress=progress)
    assert ZeroCentred()(s).item() == pytest.approx(wanted * ZeroCentred(1.0, 1.0)(s).item(), rel=1e-9)


# --- the preset -----------------------------------------------------------------------------------------------------


def test_preset_is_the_papers_recipe() -> None:
    config = configure(preset="r3gan-cifar10")
    assert config.batch * config.steps == pytest.approx(250e6, rel=1e-4)
    assert config.ema is not None
    assert config.ema ** (5e6 / 512) == pytest.approx(0.5)
    assert config.data.flip
    assert config.data.labels == "all"
    assert config.penalties == {"r3gan/r3gan": {"gamma": 0.05, "final_gamma": 0.005, "until": 0.08}}
    for player in ("discriminator", "generator"):
        adam = config.optimizer_of(player)
        assert (adam.beta1, adam.beta2, adam.beta2_final, adam.eps) == (0.0, 0.9, 0.99, 1e-8)
        assert adam.lr == pytest.approx(2e-4)
        assert adam.lr * adam.final == pytest.approx(5e-5)
        rest = [schedule(adam.schedule, images / 250, adam.hold, adam.until) for images in (0, 10, 20, 200)]
        assert rest == pytest.approx([1, 0.5, 0, 0])


def test_preset_trains_when_it_is_small() -> None:
    tiny = {"gen.width": 8, "disc.width": 8, "data.source": "digits", "data.size": 8, "batch": 8, "steps": 2}
    experiment = assemble(configure(preset="r3gan-cifar10", values={**tiny, "precision": "fp32"}))
    trainer = Trainer(experiment)
    for _ in range(2):
        trainer.iterate()
    terms = {name for name in trainer._terms() if "/" in name}
    assert terms == {"discriminator/adversarial", "discriminator/r3gan", "generator/adversarial"}
    trained(experiment.averaged.networks["generator"])
    x = experiment.averaged.sample(4, y=[0, 1, 2, 3], seed=0)
    assert x.shape == (4, 1, 8, 8)
    assert x.abs().max() <= 1

"""Sizes, generator, discriminators and contracts of StyleGAN2 and of the patch discriminator."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from ganzoo_zoo.discriminators import patch
from ganzoo_zoo.discriminators.stylegan2 import Discriminator
from ganzoo_zoo.generators.stylegan2 import Generator
from ganzoo_zoo.minibatch import MinibatchStd
from torch import Tensor, nn

from ganzoo import Component, ImageShape
from ganzoo.registry.discovery import Plugin, Registered
from ganzoo.testing import check_component
from tests.zoo.stylegan2.support import F64, RGB32, TINY, small


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for m in modules for p in m.parameters())


def test_parameter_counts_at_32_pixels() -> None:
    """CIFAR-10, 512 channels everywhere. A style is 512·512 weights and 512 biases: 262,656.

    | generator                                          |     each | ×  |      total |
    |----------------------------------------------------|----------|----|------------|
    | mapping: a linear layer, as large as a style       |  262,656 | 2  |    525,312 |
    | constant: 512·4·4                                  |    8,192 | 1  |      8,192 |
    | convolution: 512·512·9, a style, 512 biases, noise | 2,622,465| 7  | 18,357,255 |
    | to image: 512·3, a style, 3 biases                 |  264,195 | 4  |  1,056,780 |
    | sum                                                |          |    | 19,947,539 |
    | conditional: 10·512 + 512, and 512·512 more inputs |  267,776 | 1  | 20,215,315 |

    | discriminator                                      |     each | ×  |      total |
    |----------------------------------------------------|----------|----|------------|
    | from image: 3·512 + 512                            |    2,048 | 1  |      2,048 |
    | convolution: 512·512·9 + 512                       | 2,359,808| 6  | 14,158,848 |
    | convolution of 513: 513·512·9 + 512                | 2,364,416| 1  |  2,364,416 |
    | linear: 8192·512 + 512                             | 4,194,816| 1  |  4,194,816 |
    | last layer: 512 + 1                                |      513 | 1  |        513 |
    | sum, "orig"                                        |          |    | 20,720,641 |
    | "resnet": 512·512 beside each block                |  262,144 | 3  | 21,507,073 |
    """
    with torch.device("meta"):
        made, conditional = Generator(RGB32), Generator(RGB32, conditional=True)
        trunks = [Discriminator(RGB32, architecture=a) for a in ("orig", "resnet")]
        sizes = [count(trunk, trunk.last_layer(1)) for trunk in trunks]
        without = Discriminator(RGB32, architecture="orig", group=0)
    style, constant, convolution, to_image = 512 * 512 + 512, 512 * 16, 512 * 512 * 9, 512 * 3
    wanted = 2 * style + constant + 7 * (convolution + style + 512 + 1) + 4 * (to_image + style + 3)
    assert count(made) == wanted == 19_947_539
    assert count(conditional) == wanted + 10 * 512 + 512 + 512 * 512 == 20_215_315
    orig = 3 * 512 + 512 + 6 * (convolution + 512) + (513 * 512 * 9 + 512) + (8192 * 512 + 512) + 513
    assert sizes == [orig, orig + 3 * 512 * 512] == [20_720_641, 21_507_073]
    assert count(without) == orig - 513 - 512 * 9
    assert count(made.blocks[1].layers[0]) == 2_622_465
    assert trunks[0].num_features == 512


def test_parameter_counts_at_1024_pixels() -> None:
    """The papers' largest: mapping of 8, and from 64 to 1024 pixels 512, 256, 128, 64 and 32 channels.

    | generator, side (channels)   | first convolution | second    | to image |     sum    |
    |------------------------------|-------------------|-----------|----------|------------|
    | mapping, constant            |                   |           |          |  2,109,440 |
    | 4                            |                   | 2,622,465 |  264,195 |  2,886,660 |
    | 8, 16, 32, 64 (512), each    |         2,622,465 | 2,622,465 |  264,195 | 22,036,500 |
    | 128 (256)                    |         1,442,561 |   721,409 |  132,099 |  2,296,069 |
    | 256 (128)                    |           426,369 |   213,249 |   66,051 |    705,669 |
    | 512 (64)                     |           139,457 |    69,761 |   33,027 |    242,245 |
    | 1024 (32)                    |            51,297 |    25,665 |   16,515 |     93,477 |
    | sum                          |                   |           |          | 30,370,060 |

    | discriminator, side          | first convolution | second    | beside   |     sum    |
    |------------------------------|-------------------|-----------|----------|------------|
    | from image                   |                   |           |          |        128 |
    | 1024 (32 → 64)               |             9,248 |    18,496 |    2,048 |     29,792 |
    | 512 (64 → 128)               |            36,928 |    73,856 |    8,192 |    118,976 |
    | 256 (128 → 256)              |           147,584 |   295,168 |   32,768 |    475,520 |
    | 128 (256 → 512)              |           590,080 | 1,180,160 |  131,072 |  1,901,312 |
    | 64, 32, 16, 8 (512), each    |         2,359,808 | 2,359,808 |  262,144 | 19,927,040 |
    | 4: convolution, linear, last |         2,364,416 | 4,194,816 |      513 |  6,559,745 |
    | sum                          |                   |           |          | 29,012,513 |
    """
    shape = ImageShape(3, 1024, 1024, 0)
    with torch.device("meta"):
        made, trunk = Generator(shape, mapping=8), Discriminator(shape)
        assert count(made) == 30_370_060
        assert count(trunk, trunk.last_layer(1)) == 29_012_513
    assert [count(layer) for block in made.blocks[5:] for layer in [*block.layers, block.to_image]] == [
        *(1_442_561, 721_409, 132_099, 426_369, 213_249, 66_051),
        *(139_457, 69_761, 33_027, 51_297, 25_665, 16_515),
    ]
    assert [count(block) for block in list(trunk.layers)[1:5]] == [29_792, 118_976, 475_520, 1_901_312]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [8, 16, 32, 64, 128, 256])
def test_every_power_of_two(size: int, channels: int) -> None:
    shape = ImageShape(channels, size, size, 3)
    made = Generator(shape, **TINY)
    x = made(torch.randn(2, 6))
    assert x.shape == (2, channels, size, size)
    assert made.eval()(torch.randn(2, 6) * 100).abs().max() <= 1
    for architecture in ("resnet", "orig"):
        trunk = Discriminator(shape, width=4, architecture=architecture, base=256)
        assert trunk(x).shape == (2, trunk.num_features) == (2, 4)


def test_images_leave_the_range_in_training_alone() -> None:
    made = small()
    with torch.no_grad():
        made.blocks[0].to_image.bias.fill_(3.0)
    z = torch.randn(4, 6)
    x = made(z)
    assert x.max() > 1
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(x[x > 1].sum(), list(made.mapping.parameters())))
    made.eval()
    assert made(z).max() == 1
    assert made.synthesize(made.map(z)).max() > 1


@pytest.mark.parametrize("mapping", [1, 3])
def test_hard_and_soft_labels_agree(mapping: int) -> None:
    made = small(conditional=True, mapping=mapping).eval()
    z, y = torch.randn(4, 6), torch.tensor([0, 2, 1, 2])
    x = made(z, y)
    assert torch.equal(x, made(z, F.one_hot(y, 3).float()))
    assert not torch.equal(x, made(z, (y + 1) % 3))
    soft = torch.full((4, 3), 1 / 3, requires_grad=True)
    assert made(z, soft).shape == x.shape
    assert torch.autograd.grad(made(z, soft).sum(), soft)[0].abs().sum() > 0


@pytest.mark.parametrize("conditional", [False, True])
def test_in_evaluation_an_image_is_its_own(conditional: bool) -> None:
    made, z = small(conditional=conditional), torch.randn(5, 6)
    y = torch.arange(5) % 3 if conditional else None
    assert not torch.equal(made(z, y), made(z, y))
    made.eval()
    together = made(z, y)
    assert torch.equal(together, made(z, y))
    for i in range(5):
        alone = made(z[i : i + 1], None if y is None else y[i : i + 1])
        torch.testing.assert_close(alone, together[i : i + 1], atol=1e-5, rtol=0)
    torch.manual_seed(3)
    one = Generator(RGB32, **TINY).eval()
    torch.manual_seed(3)
    assert torch.equal(one(z), Generator(RGB32, **TINY).eval()(z))


def test_each_image_meets_its_own_noise_in_training() -> None:
    made, z = small(), torch.randn(1, 6)
    x = made(z.expand(2, -1))
    assert not torch.equal(x[0], x[1])
    torch.testing.assert_close(*made.eval()(z.expand(2, -1)), atol=1e-5, rtol=0)


def test_the_average_of_w_moves_in_training_alone() -> None:
    made, z = small(), torch.randn(64, 6)
    made.eval()
    w = made.map(z)
    assert not made.w_average.any()
    made.train()
    torch.testing.assert_close(made.map(z), w)
    torch.testing.assert_close(made.w_average, 0.005 * w.mean(0))
    assert not made.w_average.requires_grad
    for _ in range(2000):
        made.map(z)
    torch.testing.assert_close(made.w_average, w.mean(0), atol=1e-4, rtol=1e-3)
    assert "w_average" in made.state_dict()


def test_truncation() -> None:
    made, z = small(), torch.randn(3, 6)
    made(z)
    made.eval()
    w = made.map(z)
    torch.testing.assert_close(made.truncate(w, 1.0), w)
    torch.testing.assert_close(made.synthesize(made.truncate(w, 1.0)).clamp(-1, 1), made(z))
    same = made.synthesize(made.truncate(w, 0.0))
    assert torch.equal(same[0], same[1])


def test_z_counts_by_its_direction() -> None:
    made, z = small().eval(), torch.randn(3, 6)
    torch.testing.assert_close(made(z), made(7 * z), atol=1e-4, rtol=0)


def test_w_can_be_found_again_from_an_image() -> None:
    torch.manual_seed(0)
    made = small(size=8).eval()
    target, w = made.synthesize(made.map(torch.randn(1, 6))).detach(), made.map(torch.randn(1, 6)).detach()
    w.requires_grad_()
    adam, losses = torch.optim.Adam([w], 0.05), []
    for _ in range(100):
        adam.zero_grad()
        loss = (made.synthesize(w) - target).square().mean()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 20


def test_both_networks_in_bf16() -> None:
    shape = ImageShape(3, 16, 16, 0)
    made, trunk = small().eval(), Discriminator(shape, width=8).eval()
    z = torch.randn(4, 6)
    x = made(z)
    features = trunk(x)
    for network in (made, trunk):
        network.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        again = made(z)
        assert again.dtype == torch.float32  # the image is a sum over the sides
        assert (again - x).abs().mean() < 0.02
        assert (trunk(x) - features).abs().mean() < 0.02
        made.train()
        trunk.train()
        loss = trunk(made(z)).float().square().mean()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for n in (made, trunk) for p in n.parameters())


@pytest.mark.parametrize("architecture", ["resnet", "orig"])
def test_r1_passes_through_the_discriminator(architecture: Any) -> None:
    trunk = Discriminator(ImageShape(1, 8, 8, 0), width=3, architecture=architecture, group=2).double()
    last = trunk.last_layer(1).double()
    x = torch.randn(4, 1, 8, 8, dtype=F64, requires_grad=True)

    def penalty() -> Tensor:
        (gradient,) = torch.autograd.grad(last(trunk(x)).sum(), x, create_graph=True)
        return gradient.square().sum((1, 2, 3)).mean()

    value = penalty()
    weights = [p for n, p in trunk.named_parameters() if "weight" in n]
    gradients = torch.autograd.grad(value, weights)
    assert all(g.abs().sum() > 0 for g in gradients)
    for weight, gradient in zip(weights, gradients, strict=True):
        step = torch.randn_like(weight)
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight.add_(step, alpha=sign * 1e-6)
            values.append(penalty().item())
            with torch.no_grad():
                weight.sub_(step, alpha=sign * 1e-6)
        assert (values[0] - values[1]) / 2e-6 == pytest.approx((gradient * step).sum().item(), rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("architecture", ["resnet", "orig"])
def test_the_discriminator_sees_the_batch_in_training_alone(architecture: Any) -> None:
    trunk = Discriminator(ImageShape(3, 16, 16, 0), width=8, architecture=architecture, group=4)
    x = torch.randn(8, 3, 16, 16)
    mixed = trunk(x)
    assert not torch.allclose(mixed[:4], trunk(torch.cat([x[:2], x[:2]])[[0, 1, 2, 3]]))
    torch.testing.assert_close(mixed[:4], trunk(x[:4]), atol=1e-5, rtol=1e-5)  # a group is on its own
    trunk.eval()
    together = trunk(x)
    for i in range(8):
        torch.testing.assert_close(trunk(x[i : i + 1]), together[i : i + 1], atol=1e-5, rtol=0)
    assert sum(isinstance(m, MinibatchStd) for m in trunk.modules()) == 1


def test_without_groups_nothing_mixes_the_batch() -> None:
    trunk = Discriminator(ImageShape(3, 16, 16, 0), width=8, group=0)
    assert not any(getattr(m, "mixes_batch", False) for m in trunk.modules())
    x = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(trunk(x)[:1], trunk(x[:1]), atol=1e-5, rtol=0)


def test_activations_neither_grow_nor_fade() -> None:
    made, trunk = Generator(RGB32, width=64), Discriminator(RGB32, width=64, group=0)
    x = made(torch.randn(8, 512))
    assert 0.2 < x.std().item() < 5
    smooth = F.interpolate(torch.randn(8, 3, 4, 4), size=32, mode="bicubic")  # of white noise, blurs leave little
    assert 0.2 < trunk(smooth).square().mean().item() < 5


@pytest.mark.parametrize("norm", ["batch", "instance", "spectral", "none"])
@pytest.mark.parametrize("size", [8, 28, 32, 64])
def test_the_mean_patch_logit_is_the_logit_of_the_mean(size: int, norm: Any) -> None:
    trunk = patch.Discriminator(ImageShape(3, size, size, 0), width=4, norm=norm).double()
    last = trunk.last_layer(2).double()
    x = torch.rand(3, 3, size, size, dtype=F64) * 2 - 1
    with torch.no_grad():
        trunk(x), last(trunk(x))
    trunk.eval()
    last.eval()
    weight = last.weight.reshape(2, -1, 4, 4)
    patches = F.conv2d(trunk.maps(x), weight, last.bias)
    assert min(patches.shape[2:]) > 1
    torch.testing.assert_close(last(trunk(x)), patches.mean((2, 3)), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize(("strides", "side"), [(0, 7), (1, 16), (2, 34), (3, 70)])
def test_a_patch_is_as_large_as_it_says(strides: int, side: int) -> None:
    trunk = patch.Discriminator(ImageShape(1, 128, 128, 0), width=1, strides=strides, norm="none")
    assert trunk.patch == patch.patch_side(strides) == side
    for p in trunk.parameters():  # so that nothing cancels, and the leaky ReLU passes all
        p.data.fill_(0.1)
    x = torch.rand(1, 1, 128, 128, requires_grad=True)
    maps = trunk.maps(x)
    middle = maps.shape[2] // 2 - 2
    (seen,) = torch.autograd.grad(maps[:, :, middle : middle + 4, middle : middle + 4].sum(), x)
    rows = seen[0, 0].abs().sum(1).nonzero()
    assert len(rows) == int(rows.max() - rows.min()) + 1 == side


@pytest.mark.parametrize(
    ("size", "side"), [(8, 7), (16, 16), (28, 16), (32, 16), (34, 34), (64, 34), (70, 70), (256, 70)]
)
def test_a_patch_fits_the_image(size: int, side: int) -> None:
    with torch.device("meta"):
        trunk = patch.Discriminator(ImageShape(3, size, size, 0), norm="none")
        total = count(trunk, trunk.last_layer(1))
    assert trunk.patch == side
    if side == 70:
        layers = [(3, 64), (64, 128), (128, 256), (256, 512), (512, 1)]
        assert total == sum(16 * a * b + b for a, b in layers) == 2_764_737


@pytest.mark.parametrize(
    ("kind", "target", "options"),
    [
        ("generator", "generators.stylegan2:Generator", TINY),
        ("generator", "generators.stylegan2:Generator", {**TINY, "conditional": True}),
        ("discriminator", "discriminators.stylegan2:Discriminator", {"width": 4}),
        ("discriminator", "discriminators.stylegan2:Discriminator", {"width": 4, "architecture": "orig", "group": 32}),
        ("discriminator", "discriminators.patch:Discriminator", {"width": 4}),
        ("discriminator", "discriminators.patch:Discriminator", {"width": 4, "norm": "instance"}),
        ("discriminator", "discriminators.patch:Discriminator", {"width": 4, "norm": "spectral"}),
    ],
)
@pytest.mark.parametrize("size", [8, 16])
def test_contract(kind: str, target: str, options: dict[str, Any], size: int) -> None:
    component = Component("made", f"ganzoo_zoo.{target}", "one to check", sizes=(size,))
    check_component(Registered(kind, Plugin("test", None), component), **options)

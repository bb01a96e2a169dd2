"""Same weights in, same outputs out, as independent public implementations gave; their numbers are in `fixtures`.

A fixture says under `provenance` whose code ran, what was done to it and where it differs from ours. Its other entries
are what came out: single numbers, and tensors, of which `sample` keeps some values.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from ganzoo_zoo.augments import diffaugment as diff
from ganzoo_zoo.discriminators import biggan as biggan_discriminator
from ganzoo_zoo.discriminators import cnn13 as cnn13_discriminator
from ganzoo_zoo.discriminators import conv_small as conv_discriminator
from ganzoo_zoo.discriminators import dcgan as dcgan_discriminator
from ganzoo_zoo.discriminators import mlp as mlp_discriminator
from ganzoo_zoo.discriminators import patch as patch_discriminator
from ganzoo_zoo.discriminators import sngan as sngan_discriminator
from ganzoo_zoo.discriminators import stylegan2 as stylegan2_discriminator
from ganzoo_zoo.generators import biggan as biggan_generator
from ganzoo_zoo.generators import conv_small as conv_generator
from ganzoo_zoo.generators import dcgan as dcgan_generator
from ganzoo_zoo.generators import mlp as mlp_generator
from ganzoo_zoo.generators import sngan as sngan_generator
from ganzoo_zoo.generators import stylegan2 as stylegan2_generator
from ganzoo_zoo.losses import gan
from ganzoo_zoo.minibatch import MinibatchDiscrimination
from ganzoo_zoo.penalties.classifier import local_smoothness
from ganzoo_zoo.penalties.gradient import around, one_lipschitz, squared_gradient
from ganzoo_zoo.penalties.realness import lecam
from ganzoo_zoo.penalties.weights import orthogonality_loss
from ganzoo_zoo.ssl.heads import ClassHead, Projection
from ganzoo_zoo.ssl.kplus1 import feature_matching
from torch import Tensor, nn

from ganzoo import ImageShape

FIXTURES = Path(__file__).parents[1] / "fixtures"
GOLDEN = (math.sqrt(5) - 1) / 2
SHAPE = ImageShape(3, 32, 32, 5)
CLASSES = torch.tensor([0, 3, 4, 1])

Found = dict[str, Tensor]


def rule(shape: Iterable[int], number: int, power: int = 2) -> Tensor:
    """Return what number `number` of all tensors is filled with: sin(0.37 iᵖ + 1.3 number)."""
    size = [*shape]
    i = torch.arange(math.prod(size), dtype=torch.float64)
    return torch.sin(0.37 * i**power + 1.3 * number).reshape(size)


def given(number: int, *shape: int, power: int = 2) -> Tensor:
    """Return a network's input."""
    return rule(shape, number, power).float()


def fill(tensors: Iterable[Tensor], scaled: bool = True, power: int = 2) -> None:
    """Fill parameters in their order: vectors by a tenth, gains 1 more, matrices scaled by √(1.5 / inputs) or √1.5."""
    with torch.no_grad():
        for number, tensor in enumerate(tensors):
            inputs = math.prod(tensor.shape[1:]) if scaled else 1
            size = math.sqrt(1.5 / inputs) if tensor.ndim > 1 else 0.1
            gain = tensor.ndim == 1 and bool(tensor.mean() > 0.5)  # they begin at 1, or near it
            tensor.copy_(size * rule(tensor.shape, number, power) + gain)


def settle(*networks: nn.Module) -> None:
    """Give spectral norm the first singular vectors, to which its power iteration goes."""
    for name, norm in (pair for network in networks for pair in network.named_modules()):
        if name.endswith("parametrizations.weight"):
            left, _, right = torch.linalg.svd(norm.original.detach().flatten(1), full_matrices=False)
            norm[0]._u.copy_(left[:, 0])
            norm[0]._v.copy_(right[0])


@contextmanager
def dealt() -> Iterator[None]:
    """Let random numbers be the fractions of 0.618 k, k = 1, 2, … as they are asked for, or for all pixels from 1."""
    deck = itertools.count(1)

    def rand(*size: int, **_: Any) -> Tensor:
        return torch.tensor([next(deck) * GOLDEN % 1 for _ in range(math.prod(size))]).reshape(size)

    def randint(high: int, size: tuple[int, ...], **_: Any) -> Tensor:
        return (high * rand(*size)).long()

    with mock.patch.multiple(torch, rand=rand, randint=randint, rand_like=pixels):
        yield


def pixels(x: Tensor) -> Tensor:
    """Return a random number for each pixel of images."""
    return (torch.arange(1, x.numel() + 1, dtype=torch.float64) * GOLDEN % 1).reshape(x.shape).to(x)


def sample(x: Tensor) -> Tensor:
    """Return about 32 values of a tensor, evenly."""
    values = x.detach().double().flatten()
    return values[:: len(values) // 32 | 1]


# --- networks -------------------------------------------------------------------------------------------------------


def sngan() -> Found:
    made = sngan_generator.Generator(SHAPE, width=8, z_dim=16)
    trunk = sngan_discriminator.Discriminator(SHAPE, width=8, norm="none")
    last = trunk.last_layer(1)
    fill(made.parameters(), power=1)
    fill([*trunk.parameters(), *last.parameters()], power=1)
    images = made(given(50, 4, 16, power=1))
    realness = last(trunk(given(51, 4, 3, 32, 32, power=1)))
    return {"image_values": images.flatten()[::401], "image_mean": images.mean(), "realness": realness}


def sngan_projection() -> Found:
    made = sngan_generator.Generator(SHAPE, width=8, z_dim=16, conditional=True)
    trunk = sngan_discriminator.Discriminator(SHAPE, width=8)
    head = Projection(trunk, SHAPE)
    nn.init.zeros_(head.adv.bias)
    fill(made.parameters())
    fill([*trunk.parameters(), *(p for p in head.parameters() if p is not head.adv.bias)])
    settle(trunk, head)
    features = trunk(given(51, 4, 3, 32, 32))
    return {
        "images": made(given(50, 4, 16), CLASSES),
        "realness": head.project(features, CLASSES),
        "unlabelled": head.project(features, None),
    }


def wgan_gp() -> Found:
    trunk = sngan_discriminator.Discriminator(SHAPE, width=8, norm="none", pool="mean")
    last = trunk.last_layer(1)
    fill([*trunk.parameters(), *last.parameters()])
    real, fake = given(51, 4, 3, 32, 32), given(52, 4, 3, 32, 32)
    with dealt():
        penalty = 10 * one_lipschitz(lambda x: last(trunk(x)), fake, real)  # their random part is the real image's
    (gradient,) = torch.autograd.grad(penalty, trunk.blocks[0].conv1.weight)
    return {"realness": last(trunk(real)), "penalty": penalty, "penalty_gradient": gradient}


def dcgan() -> Found:
    shape = ImageShape(3, 64, 64, 0)
    made = dcgan_generator.Generator(shape, width=8, z_dim=10)
    trunk = dcgan_discriminator.Discriminator(shape, width=8)
    last = trunk.last_layer(1)
    fill(made.parameters())
    fill([*trunk.parameters(), *last.parameters()])
    return {"images": made(given(50, 4, 10)), "probability": last(trunk(given(51, 4, 3, 64, 64))).sigmoid()}


def biggan() -> Found:
    weight = given(53, 6, 4, 3, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(orthogonality_loss(weight.flatten(1)), weight)
    return {**biggan_at(32, widths=(4, 8), z_dim=12), "orthogonal_gradient": gradient / 2}


def biggan_64() -> Found:
    return biggan_at(64, widths=(2, 8), z_dim=15)


def biggan_at(size: int, widths: tuple[int, int], z_dim: int) -> Found:
    shape = ImageShape(3, size, size, 5)
    made = biggan_generator.Generator(shape, width=widths[0], z_chunk=3, embedding=6, conditional=True)
    trunk = biggan_discriminator.Discriminator(shape, width=widths[1])
    head = Projection(trunk, shape)
    fill(made.parameters())
    fill([*trunk.parameters(), *head.parameters()])
    settle(made, trunk, head)
    return {
        "images": made(given(50, 4, z_dim), CLASSES),
        "realness": head.project(trunk(given(51, 4, 3, size, size)), CLASSES),
    }


def stylegan2() -> Found:
    shape = ImageShape(3, 16, 16, 0)
    made = stylegan2_generator.Generator(shape, width=8, z_dim=6, w_dim=6).eval()
    fill(made.parameters(), scaled=False)
    noises = [m for m in made.modules() if isinstance(m, stylegan2_generator.StyledConvolution)]
    for number, layer in enumerate(noises, start=60):
        layer.noise.copy_(rule(layer.noise.shape, number))
    x, critics = given(51, 4, 3, 16, 16), []
    for architecture in ("resnet", "orig"):
        trunk = stylegan2_discriminator.Discriminator(shape, width=8, architecture=architecture)
        critics.append(nn.Sequential(trunk, trunk.last_layer(1)))
        fill(critics[-1].parameters(), scaled=False)
    r1 = squared_gradient(critics[0], x).mean()
    (gradient,) = torch.autograd.grad(r1, critics[0][0].layers[1].layers[0].weight)
    return {
        "images": made.synthesize(made.map(given(50, 4, 6))),
        "realness": critics[0](x),
        "r1": r1,
        "r1_gradient": gradient,
        "orig": critics[1](x),
    }


def conv2dmod() -> Found:
    weight, x, style = given(40, 6, 5, 3, 3), given(41, 4, 5, 8, 8), 1 + given(42, 4, 5)
    convolve = stylegan2_generator.modulated_convolution
    return {"demodulated": convolve(x, weight, style), "modulated": convolve(x, weight, style, demodulate=False)}


def r3gan() -> Found:
    plugin = pytest.importorskip("ganzoo_r3gan.generator"), pytest.importorskip("ganzoo_r3gan.discriminator")
    shape, widths = ImageShape(3, 16, 16, 5), (16, 8, 8)
    made = plugin[0].Generator(shape, widths=widths, cardinality=4, z_dim=6, conditional=True)
    trunk = plugin[1].Discriminator(shape, widths=widths, cardinality=4, projection=True)
    head = Projection(trunk, shape)
    nn.init.zeros_(head.adv.weight)
    fill(made.parameters())
    fill([*trunk.parameters(), head.embedding.weight])

    def judge(x: Tensor) -> Tensor:
        return head.project(trunk(x), CLASSES)

    loss, real, fake = gan.relativistic(), given(51, 4, 3, 16, 16), made(given(50, 4, 6), CLASSES)
    r1, r2 = (squared_gradient(judge, x).mean() for x in (real, fake))
    total = loss.discriminator(judge(real), judge(fake.detach())) + 0.05 / 2 * (r1 + r2)
    (gradient,) = torch.autograd.grad(total, trunk.layers[0].weight)
    return {
        "images": fake,
        "realness": judge(real),
        "discriminator_loss": loss.discriminator(judge(real), judge(fake)),
        "r1": r1,
        "r2": r2,
        "discriminator_gradient": gradient,
        "generator_loss": loss.generator(judge(real), judge(fake)),
    }


def patch() -> Found:
    trunk = patch_discriminator.Discriminator(ImageShape(3, 40, 40, 0), width=4, strides=2)
    last = trunk.last_layer(1)
    fill([*trunk.parameters(), *last.parameters()])
    return {"realness": last(trunk(given(51, 4, 3, 40, 40)))}


def conv_small() -> Found:
    made = conv_generator.Generator(SHAPE, width=4, z_dim=10)
    trunk = conv_discriminator.Discriminator(SHAPE, width=4, input_dropout=0.0, dropout=0.0)
    return {"images": improved_generator(made, norms=(1, 5, 8)), **improved_classifier(trunk, SHAPE, "l1", 0.1)}


def cnn_13() -> Found:
    trunk = cnn13_discriminator.Discriminator(SHAPE, width=4, dropout=0.0, noise=0.0)
    head = ClassHead(trunk, SHAPE)
    fill([*trunk.parameters(), *head.parameters()])
    return {"logits": head(trunk(given(51, 4, 3, 32, 32)))[1]}


def improved_gan_mlp() -> Found:
    shape = ImageShape(1, 8, 8, 5)
    made = mlp_generator.Generator(shape, hidden=12, z_dim=10)
    trunk = mlp_discriminator.Discriminator(shape, hidden=(20, 16, 12, 12, 12), input_noise=0.0, noise=0.0)
    return {"images": improved_generator(made, norms=(1, 4)), **improved_classifier(trunk, shape, "l2", 1.0)}


def improved_generator(made: Any, norms: tuple[int, ...]) -> Tensor:
    """Return images. Batch norm has no gain there, so ours stays 1, and another ε; weight norm's scale is near 1."""
    *_, last = (m for m in made.layers if nn.utils.parametrize.is_parametrized(m))
    scale, direction = last.parametrizations.weight.original0, last.parametrizations.weight.original1
    nn.init.ones_(scale)
    filled = [t for i in norms for t in (made.layers[i - 1].weight, made.layers[i].bias)]
    for i in norms:
        made.layers[i].eps = 1e-6
    fill([*filled, direction, last.bias, scale.view(-1)])
    return made(given(50, 4, 10))


def improved_classifier(trunk: nn.Module, shape: ImageShape, distance: str, deviation: float) -> Found:
    """Return what a K+1 discriminator says after a first batch has set its scales, and the losses of §3.1 and §5."""
    head = ClassHead(trunk, shape)
    *_, last = head.modules()
    last.deviation = deviation
    fill([layer.v for layer in (*trunk.modules(), *head.modules()) if hasattr(layer, "v")])
    first, unlabelled, fake = (given(n, 8, *shape.dimensions) for n in (51, 52, 53))
    head(trunk(first))
    features = [trunk(x) for x in (unlabelled, fake)]
    (adv, logits), (fake_adv, _) = (head(f) for f in features)
    return {
        "logits": logits,
        "features": features[0],
        "unlabelled_loss": 0.5 * gan.nonsaturating().discriminator(adv, fake_adv),
        "label_loss": F.cross_entropy(logits, torch.arange(8) % 5),
        "feature_matching": feature_matching(*features, distance),
    }


# --- losses, penalties, augmentations -------------------------------------------------------------------------------


def losses() -> Found:
    both = 2 * given(43, 8), 2 * given(44, 8)
    made = {
        "hinge": gan.hinge(),
        "nonsaturating": gan.nonsaturating(),
        "smoothed": gan.nonsaturating(smooth=0.1),
        "minimax": gan.minimax(),
        "lsgan": gan.lsgan(),
        "lsgan_pearson": gan.lsgan(fake_target=-1.0, real_target=1.0, wanted=0.0),
        "wasserstein": gan.wasserstein(),
        "relativistic": gan.relativistic(),
        "relativistic_average": gan.relativistic_average(),
        "energy": gan.energy(margin=1.0),
    }
    return {name: torch.stack([loss.discriminator(*both), loss.generator(*both)]) for name, loss in made.items()}


def terms() -> Found:
    network = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Softplus(), nn.Flatten(), nn.Linear(6 * 64, 5))
    fill(network.parameters())
    x, features = given(51, 4, 3, 8, 8), given(45, 8, 6)
    closeness = MinibatchDiscrimination(6, kernels=7, dims=3)
    closeness.T.data = 0.3 * given(47, 6, 21)
    with dealt():
        dragan = one_lipschitz(lambda i: network(i).sum(1), x, around(x, 0.5))
    return {
        "lecam": lecam(1 + given(43, 8), given(44, 8) - 1, torch.tensor([0.1, -0.2])),
        "feature_matching_l1": feature_matching(features, given(46, 8, 6), "l1"),
        "dragan": dragan,
        "virtual_adversarial": local_smoothness(network, x, pixels(x) - 0.5, epsilon=2.5, xi=1.0, powers=2),
        "minibatch_discrimination": closeness(features) - F.pad(torch.ones(7), (6, 0)),  # of an image with itself
    }


def diffaugment() -> Found:
    parts = ("color", "translation", "cutout")
    found = {}
    for chosen in (*((part,) for part in parts), parts):
        change: Any = diff.DiffAugment(**{part: part in chosen for part in parts})
        with dealt():
            found["_".join(chosen)] = change(given(51, 4, 3, 32, 32), "real", None)
    return found


SNGANS = (sngan, sngan_projection, wgan_gp)
NETWORKS = (dcgan, biggan, biggan_64, stylegan2, conv2dmod, r3gan, patch, cnn_13, conv_small, improved_gan_mlp)
TERMS = (losses, terms, diffaugment)


@pytest.mark.parametrize("case", [*SNGANS, *NETWORKS, *TERMS], ids=lambda case: case.__name__)
def test_outputs_are_theirs(case: Callable[[], Found]) -> None:
    wanted = json.loads((FIXTURES / f"{case.__name__}.json").read_text())
    assert wanted.pop("provenance")
    found = case()
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        theirs = torch.tensor(values, dtype=torch.float64).flatten()
        atol = 1e-5 * theirs.abs().max().item()
        torch.testing.assert_close(sample(found[name]), theirs, rtol=1e-5, atol=atol, msg=lambda m, n=name: f"{n}: {m}")

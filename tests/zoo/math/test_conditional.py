"""Conditional GANs, and trunks whose images depend on each other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ganzoo_zoo.minibatch import MinibatchDiscrimination
from ganzoo_zoo.penalties.gradient import R1, R2, Dragan, GradientPenalty
from ganzoo_zoo.ssl.conditional import AuxiliaryClassifierGAN, ProjectionGAN
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo import configure
from ganzoo.errors import Incompatible
from ganzoo.strategy.base import Strategy
from ganzoo.training.checks import check_compatible
from tests.zoo.math.reference import (
    CLASSES,
    FEATURES,
    LABELLED,
    UNLABELLED,
    Images,
    Normalised,
    Trunk,
    assert_agree,
    assert_close,
    build,
    cross_entropy,
    features,
    gradients,
    logits,
    move,
    plain,
    projection,
    said_fake,
    said_real,
    step,
)
from tests.zoo.math.support import LOSSES


class Known(Images):
    """Nobody may ask for images without a label."""

    def view(self, name: str) -> Tensor:
        raise AssertionError(name)


def conditional(strategy: Strategy, monkeypatch: pytest.MonkeyPatch) -> dict[str, nn.Module]:
    monkeypatch.setattr("tests.zoo.math.reference.Images", Known)
    return build(strategy, conditional=True)


@pytest.mark.parametrize("name", ["nonsaturating", "hinge", "lsgan"])
def test_projection_judges_each_image_as_one_of_its_class(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, discriminator, generator = LOSSES[name]
    strategy = ProjectionGAN()
    networks = conditional(strategy, monkeypatch)
    s, terms = move(strategy, "discriminator", networks, loss=loss)
    real = projection(s.discriminator, s.batch.labelled, s.batch.labels)
    fake = projection(s.discriminator, networks["generator"](s.z, s.y), s.y)
    assert (len(real), len(fake)) == (LABELLED, UNLABELLED)
    assert_agree(terms, {"adversarial": discriminator([*real], [*fake])}, networks)
    s, terms = move(strategy, "generator", networks, loss=loss)
    fake = projection(s.discriminator, networks["generator"](s.z, s.y), s.y)
    assert_agree(terms, {"adversarial": generator([*real], [*fake])}, networks)


def test_projection_of_an_unknown_class_is_the_rest_alone() -> None:
    networks = build(ProjectionGAN(), conditional=True)
    critic: Any = networks["discriminator"]
    x, y = Images().view("weak"), torch.tensor([0, -1, 2, -1, 1, 0])
    alone = plain(critic, x)
    assert_close(critic(x).adv, alone)
    assert_close(critic(x, y).adv, torch.where(y < 0, alone, projection(critic, x, y.clamp_min(0))))
    (g,) = gradients(critic(x[1:2], y[1:2]).adv.sum(), [critic.head.embedding.weight])
    assert not g.any()


@pytest.mark.parametrize("options", [{}, {"weight": 0.4, "generator_weight": 0.3}, {"on_fakes": False}])
def test_acgan(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = AuxiliaryClassifierGAN(**options)
    networks = conditional(strategy, monkeypatch)
    critic: Any = networks["discriminator"]
    s, terms = move(strategy, "discriminator", networks)
    fakes = networks["generator"](s.z, s.y)
    wanted = {
        "adversarial": said_real(plain(critic, s.batch.labelled)) + said_fake(plain(critic, fakes)),
        "label": strategy.weight * cross_entropy(logits(critic, s.batch.labelled), s.batch.labels),
    }
    if strategy.on_fakes:
        wanted["fake_label"] = strategy.weight * cross_entropy(logits(critic, fakes), s.y)
    assert_agree(terms, wanted, networks)
    s, terms = move(strategy, "generator", networks)
    fakes = networks["generator"](s.z, s.y)
    wanted = {
        "adversarial": said_real(plain(critic, fakes)),
        "class": strategy.generator_weight * cross_entropy(logits(critic, fakes), s.y),
    }
    assert_agree(terms, wanted, networks)
    assert_close(strategy.classify(networks, s.batch.labelled), logits(critic, s.batch.labelled))


class Spectral(Trunk):
    def last_layer(self, outputs: int) -> nn.Module:
        return spectral_norm(nn.Linear(FEATURES, outputs))


def test_where_the_last_layer_is_spectrally_normalised_so_are_the_class_vectors() -> None:
    networks = build(ProjectionGAN(), conditional=True, trunk=Spectral)
    critic: Any = networks["discriminator"]
    x, y = Images().view("weak"), torch.tensor([0, 1, 2, 2, 1, 0])
    for _ in range(300):  # let the power iteration end: `build` has exchanged the weights
        critic(x, y)
    critic.eval()
    raw = critic.head.adv.parametrizations.weight.original, critic.head.embedding.parametrizations.weight.original
    w, v = (m / torch.linalg.svdvals(m)[0] for m in raw)
    assert v.shape == (CLASSES, FEATURES)
    f = features(critic, x)
    naive = torch.stack([row @ w[0] + critic.head.adv.bias[0] + row @ v[c] for row, c in zip(f, y, strict=True)])
    assert_close(critic(x, y).adv, naive, 1e-7)
    of = [*raw, critic.trunk.layer.weight]
    towards = torch.randn(len(x))
    for one, two in zip(gradients(critic(x, y).adv @ towards, of), gradients(naive @ towards, of), strict=True):
        assert_close(one, two, 1e-6)
    loose: Any = build(ProjectionGAN(), conditional=True)["discriminator"]
    assert not hasattr(loose.head.embedding, "parametrizations")


class Meeting(nn.Module):
    """Subtracts the mean of the batch."""

    mixes_batch = True

    def forward(self, f: Tensor) -> Tensor:
        return f - f.mean(0)


class Together(Trunk):
    def __init__(self) -> None:
        super().__init__()
        self.meeting = Meeting()

    def forward(self, x: Tensor) -> Tensor:
        return self.meeting(super().forward(x))


def met(critic: Any, x: Tensor) -> Tensor:
    f = features(critic, x)
    return (f - f.mean(0)) @ critic.head.adv.weight[0] + critic.head.adv.bias[0]


def test_a_layer_that_mixes_the_batch_is_known_and_is_no_batch_norm() -> None:
    found = {}
    for trunk in (Trunk, Normalised, Together):
        critic: Any = build(Strategy(), trunk=trunk)["discriminator"]
        found[trunk] = critic.batch_statistics, critic.batch_norm
    assert found == {Trunk: (False, False), Normalised: (True, True), Together: (True, False)}


def test_where_images_meet_fakes_pass_alone() -> None:
    strategy = Strategy()
    networks = build(strategy, trunk=Together)
    s, terms = move(strategy, "discriminator", networks)
    assert networks["discriminator"].trunk.passes == 2
    real, fake = (met(s.discriminator, s.images(n)) for n in ("real", "fake"))
    assert_agree(terms, {"adversarial": said_real(real) + said_fake(fake)}, networks)
    other = s.discriminate_images(s.images("real"), s.images("fake"))
    assert_close(other[0].adv, real)
    assert_close(other[1].adv, fake)


@pytest.mark.parametrize("penalty", [R1(), R2(), GradientPenalty(), Dragan()], ids=lambda p: type(p).__name__)
def test_penalties_of_single_images_are_refused_with_batch_norm_alone(penalty: Any) -> None:
    config = configure(values={"disc": "dcgan"})
    for trunk in (Trunk, Together, Normalised):
        networks = build(Strategy(), trunk=trunk)
        given: Any = (config, SimpleNamespace(networks=networks, strategy=Strategy()), {"p": penalty})
        if trunk is Normalised:
            with pytest.raises(Incompatible, match="batch norm"):
                check_compatible(*given)
        else:
            check_compatible(*given)
            assert penalty(step(Strategy(), networks, ("discriminator",))).isfinite()


class Discriminating(Trunk):
    num_features = FEATURES + 2

    def __init__(self) -> None:
        super().__init__()
        self.meeting = MinibatchDiscrimination(FEATURES, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.meeting(super().forward(x))


def test_only_real_images_move_what_a_layer_that_mixes_the_batch_remembers() -> None:
    networks = build(Strategy(), trunk=Discriminating)
    layer: Any = networks["discriminator"].trunk.meeting
    s = step(Strategy(), networks, ("discriminator",))
    m = (features(s.discriminator, s.images("real")) @ layer.T).reshape(UNLABELLED, 2, 3)
    closeness = (-(m[:, None] - m[None]).abs().sum(3)).exp().sum(1).mean(0)
    before = layer.running.clone()
    s.discriminate("real", "fake")
    assert_close(layer.running, (before + 0.1 * (closeness - before)).detach())
    after = layer.running.clone()
    s.discriminate_images(s.images("fake"))
    assert torch.equal(layer.running, after)
    assert layer.track_running_stats

"""Autoencoders, MarginGAN, S3GAN and strategies without the GAN against the papers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from ganzoo_zoo.losses.gan import nonsaturating
from ganzoo_zoo.ssl import aae, s3gan
from ganzoo_zoo.ssl.aae import AdversarialAutoencoder
from ganzoo_zoo.ssl.autoencoder import Autoencoder
from ganzoo_zoo.ssl.kplus1 import KPlusOne
from ganzoo_zoo.ssl.margingan import MarginGAN
from ganzoo_zoo.ssl.mdgan import ModeRegularized
from ganzoo_zoo.ssl.pseudolabel import PseudoLabel
from ganzoo_zoo.ssl.s3gan import CoTraining, rotate
from ganzoo_zoo.ssl.supervised import Supervised
from torch import Tensor

from ganzoo.strategy.base import SemiSupervised
from ganzoo.strategy.players import Terms
from ganzoo.strategy.step import AdversarialLoss, Step
from tests.zoo.math.reference import (
    CLASSES,
    LATENT,
    RELATIVISTIC,
    Images,
    Networks,
    assert_agree,
    assert_close,
    build,
    cross_entropy,
    decoded,
    features,
    gradients,
    guessed,
    linear,
    logits,
    move,
    naive_label,
    parameters,
    plain,
    probabilities,
    projection,
    said_fake,
    said_real,
    square_error,
    step,
)


def naive_critic_of_codes(network: Any, code: Tensor) -> Tensor:
    first, _, second, _, last = network.layers
    return linear(last, linear(second, linear(first, code).clamp_min(0)).clamp_min(0))[:, 0]


def codes(networks: Networks, x: Tensor) -> tuple[Tensor, Tensor]:
    encoder: Any = networks["encoder"]
    code = linear(encoder.code, torch.tanh(linear(encoder.trunk.layer, x.flatten(1))))
    return code[:, :CLASSES], code[:, CLASSES:]


@pytest.mark.parametrize("loss", [nonsaturating(), RELATIVISTIC], ids=["nonsaturating", "relativistic"])
def test_aae(loss: AdversarialLoss, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[Tensor, Tensor]] = []
    draw = aae.prior
    monkeypatch.setattr(aae, "prior", lambda s, n: drawn.append(draw(s, n)) or drawn[-1])
    strategy = AdversarialAutoencoder(hidden=4, label_weight=0.7, adversarial_weight=0.4)
    networks = build(strategy, conditional=True)
    x = Images().view("weak")

    s, terms = move(strategy, "autoencoder", networks, loss=loss)
    y, z = codes(networks, x)
    again = networks["generator"](z, probabilities(y))
    assert_agree(terms, {"reconstruction": square_error(again, x)}, networks)
    assert {n for n, m in networks.items() if next(m.parameters()).requires_grad} == {"encoder", "generator"}
    assert_close(strategy.reconstruct(networks, x), again)

    s, terms = move(strategy, "discriminator", networks, loss=loss)
    wanted = {}
    for name, real, fake in zip(aae.PRIORS, drawn.pop(), (probabilities(y), z), strict=True):
        real, fake = (naive_critic_of_codes(networks[name], c) for c in (real, fake))
        wanted[name] = said_real(real - fake) if loss.relativistic else said_real(real) + said_fake(fake)
    assert_agree(terms, wanted, networks)

    s, terms = move(strategy, "encoder", networks, loss=loss)
    wanted = {"label": 0.7 * cross_entropy(codes(networks, s.batch.labelled)[0], s.batch.labels)}
    y, z = codes(networks, x)
    for name, real, fake in zip(aae.PRIORS, drawn.pop(), (probabilities(y), z), strict=True):
        real, fake = (naive_critic_of_codes(networks[name], c) for c in (real, fake))
        wanted[name] = 0.4 * said_real(fake - real if loss.relativistic else fake)
    assert_agree(terms, wanted, networks)
    assert_close(strategy.classify(networks, x), y)


def test_aae_discriminators_teach_the_encoder_nothing() -> None:
    strategy = AdversarialAutoencoder(hidden=4)
    networks = build(strategy, conditional=True)
    s = step(strategy, networks, aae.PRIORS)
    for parameter in parameters(networks):
        parameter.requires_grad_()  # though the trainer would freeze it
    given = parameters({"e": networks["encoder"], "g": networks["generator"]})
    total = torch.stack([*strategy.discriminator(s).values()]).sum()
    assert not any(g.any() for g in gradients(total, given))


def test_aae_draws_classes_evenly_and_latents_as_the_generator_does() -> None:
    strategy = AdversarialAutoencoder(hidden=4)
    classes, z = aae.prior(step(strategy, build(strategy, conditional=True), ()), 3000)
    assert classes.shape == (3000, CLASSES)
    assert z.shape == (3000, LATENT)
    assert set(classes.flatten().tolist()) == {0, 1}
    assert (classes.sum(1) == 1).all()
    assert (classes.mean(0) - 1 / 3).abs().max() < 0.03
    assert z.mean(0).abs().max() < 0.06
    assert (z.std(0) - 1).abs().max() < 0.05


@pytest.mark.parametrize("conditional", [False, True])
def test_margingan(conditional: bool) -> None:
    strategy = MarginGAN(unlabelled_weight=0.3, margin_weight=0.2, class_weight=0.6)
    assert [p.name for p in strategy.players()] == ["discriminator", "classifier", "generator"]
    networks = build(strategy, conditional)
    critic, classifier = networks["discriminator"], networks["classifier"]

    s, terms = move(strategy, "discriminator", networks)
    real, fake = plain(critic, s.batch.view("weak")), plain(critic, s.images("fake"))
    assert_agree(terms, {"adversarial": said_real(real) + said_fake(fake)}, networks)

    s, terms = move(strategy, "classifier", networks)
    scores, of_fakes = logits(classifier, s.batch.view("weak")), logits(classifier, s.images("fake"))
    wanted = {
        "label": naive_label(s, "classifier"),
        "guess": 0.3 * cross_entropy(scores, guessed(scores)),
        "margin": -0.2 * (1 - probabilities(of_fakes).max(1).values).log().mean(),
    }
    assert_agree(terms, wanted, networks)

    s, terms = move(strategy, "generator", networks)
    fakes = networks["generator"](s.z, s.y)
    scores = logits(classifier, fakes)
    assert_agree(
        terms,
        {"adversarial": said_real(plain(critic, fakes)), "class": 0.6 * cross_entropy(scores, guessed(scores))},
        networks,
    )
    assert_close(strategy.classify(networks, fakes), scores)


@pytest.mark.parametrize("share", [0.1, 0.0, 1.0])
def test_s3gan_projects_true_and_guessed_classes(share: float) -> None:
    strategy = CoTraining(labelled_share=share, label_weight=0.7)
    networks = build(strategy, conditional=True)
    critic = networks["discriminator"]
    s, terms = move(strategy, "discriminator", networks)
    x, guess = s.batch.view("weak"), guessed(logits(critic, s.batch.view("weak")))
    known = guessed(logits(critic, s.batch.labelled))
    assert known.tolist() != s.batch.labels.tolist()  # so that it matters which is used
    assert guessed(logits(critic, s.images("fake"))).tolist() != s.y.tolist()
    labelled = projection(critic, s.batch.labelled, s.batch.labels)
    real, fake = projection(critic, x, guess), projection(critic, s.images("fake"), s.y)
    wanted = {
        "adversarial": (1 - share) * said_real(real) + share * said_real(labelled) + said_fake(fake),
        "label": 0.7 * naive_label(s),
    }
    assert_agree(terms, wanted, networks)
    s, terms = move(strategy, "generator", networks)
    fakes = networks["generator"](s.z, s.y)
    assert_agree(terms, {"adversarial": said_real(projection(critic, fakes, s.y))}, networks)


def test_s3gan_guesses_carry_no_gradient_to_the_class_layer() -> None:
    strategy = CoTraining(labelled_share=0)
    networks = build(strategy, conditional=True)
    _, terms = move(strategy, "discriminator", networks)
    classes: Any = networks["discriminator"].head.classes
    assert not any(g.any() for g in gradients(terms["adversarial"], list(classes.parameters())))


def test_s3gan_projects_each_image_by_what_is_known_of_it() -> None:
    networks = build(CoTraining(), conditional=True)
    critic: Any = networks["discriminator"]
    x = Images().view("weak")
    guess = guessed(logits(critic, x))
    assert_close(critic(x).adv, projection(critic, x, guess))
    y = (guess + 1) % CLASSES
    some = torch.where(torch.arange(len(x)) % 2 == 0, y, -1)
    assert_close(critic(x, some).adv, projection(critic, x, torch.where(some < 0, guess, y)))


def test_s3gan_rotations(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Tensor, Tensor]] = []
    monkeypatch.setattr(s3gan, "rotate", lambda x, q: asked.append((x, q)) or rotate(x, q))
    strategy = CoTraining(rotation_weight=0.5, rotation_weight_generator=0.2)
    networks = build(strategy, conditional=True)
    critic: Any = networks["discriminator"]

    def wanted(images: Tensor) -> Tensor:
        x, quarters = asked.pop()
        assert torch.equal(x, images)
        assert not asked
        assert len(set(quarters.tolist())) > 1
        p = torch.cat([probabilities(linear(critic.head.turns, features(critic, rotate(images, quarters))))])
        return -torch.stack([p[i, q].log() for i, q in enumerate(quarters.tolist())]).mean()

    s, terms = move(strategy, "discriminator", networks)
    assert terms.keys() == {"adversarial", "rotation", "label"}
    assert_agree({"rotation": terms["rotation"]}, {"rotation": 0.5 * wanted(s.batch.view("weak"))}, networks)
    s, terms = move(strategy, "generator", networks)
    fakes = networks["generator"](s.z, s.y)
    got = {"rotation": terms["rotation"]}
    assert_agree(got, {"rotation": 0.2 * wanted(fakes)}, networks)
    assert not any(p.requires_grad for p in critic.parameters())


def without_gan(s: Step, by: str) -> Terms:
    """Every term that may be left."""
    x = s.batch.view("weak")
    scores = logits(s.networks[by], x)
    terms = {
        "label": naive_label(s, by),
        "guess": cross_entropy(scores, guessed(scores)),
    }
    return terms | ({"reconstruction": square_error(decoded(s), x)} if "decoder" in s.networks else {})


@pytest.mark.parametrize(
    ("make", "options", "networks", "terms"),
    [
        (Supervised, {}, ["discriminator"], {"label"}),
        (KPlusOne, {"gan": False}, ["discriminator"], {"label"}),
        (Autoencoder, {"gan": False}, ["discriminator", "decoder"], {"label", "reconstruction"}),
        (ModeRegularized, {"gan": False}, ["discriminator"], {"label"}),
        (PseudoLabel, {"gan": False, "weight": 1.0, "end": 0.5}, ["discriminator"], {"label", "guess"}),
        (MarginGAN, {"gan": False}, ["classifier"], {"label", "guess"}),
        (CoTraining, {"gan": False, "rotation_weight": 1.0}, ["discriminator"], {"label"}),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_without_the_gan_a_classifier_is_left(
    make: Callable[..., SemiSupervised], options: dict[str, Any], networks: list[str], terms: set[str]
) -> None:
    strategy = make(**options)
    built = build(strategy)
    assert list(built) == networks
    (player,) = strategy.players()
    assert player.name == networks[0]
    s, got = move(strategy, player.name, built)
    wanted = without_gan(s, networks[0])
    assert_agree(got, {name: wanted[name] for name in terms}, built)
    assert_close(strategy.classify(built, s.batch.labelled), logits(built[networks[0]], s.batch.labelled))


def test_without_the_gan_an_adversarial_autoencoder_is_an_encoder() -> None:
    strategy = AdversarialAutoencoder(gan=False)
    networks = build(strategy)
    assert list(networks) == ["encoder"]
    (player,) = strategy.players()
    s, terms = move(strategy, player.name, networks)
    assert_agree(terms, {"label": cross_entropy(codes(networks, s.batch.labelled)[0], s.batch.labels)}, networks)
    assert_close(strategy.classify(networks, s.batch.labelled), codes(networks, s.batch.labelled)[0])
    assert strategy.reconstruct(networks, s.batch.labelled) is None

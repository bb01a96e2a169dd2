"""Strategies built on K+1 against the papers: every term and its gradient."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from ganzoo_zoo.discriminators.mlp import Discriminator as Mlp
from ganzoo_zoo.ssl import noisystudent
from ganzoo_zoo.ssl.autoencoder import Autoencoder
from ganzoo_zoo.ssl.fixmatch import FixMatch, align_distribution
from ganzoo_zoo.ssl.kplus1 import KPlusOne
from ganzoo_zoo.ssl.mdgan import ModeRegularized
from ganzoo_zoo.ssl.noisystudent import NoisyStudent
from ganzoo_zoo.ssl.pseudolabel import PseudoLabel
from torch import Tensor

from ganzoo import ImageShape
from ganzoo.errors import BadOption, Incompatible
from ganzoo.strategy.base import NetworkBuilder
from ganzoo.strategy.players import Terms
from ganzoo.strategy.step import Step
from tests.zoo.math.reference import (
    CLASSES,
    LABELLED,
    RELATIVISTIC,
    UNLABELLED,
    Decoding,
    Images,
    Normalised,
    Trunk,
    assert_agree,
    assert_close,
    build,
    cross_entropy,
    decoded,
    features,
    guessed,
    linear,
    logits,
    move,
    naive_label,
    parameters,
    probabilities,
    realness,
    said_fake,
    said_real,
    sigmoid,
    square_error,
    step,
)


def kplus1_discriminator(s: Step, o: KPlusOne) -> Terms:
    critic, b = s.networks["discriminator"], s.batch
    real, fake = realness(critic, b.view("weak")), realness(critic, s.images("fake"))
    return {
        "label": o.label_weight * cross_entropy(logits(critic, b.labelled), b.labels),
        "adversarial": o.unlabelled_weight * (said_real(real) + said_fake(fake)),
    }


def kplus1_generator(s: Step, o: KPlusOne) -> Terms:
    critic, fake = s.networks["discriminator"], s.networks["generator"](s.z, s.y)
    difference = features(critic, s.batch.view("weak")).mean(0) - features(critic, fake).mean(0)
    terms = {
        "adversarial": o.adversarial_weight * said_real(realness(critic, fake)),
        "features": o.feature_weight * ((difference**2) if o.distance == "l2" else difference.abs()).mean(),
    }
    if s.y is not None:
        terms["class"] = o.class_weight * cross_entropy(logits(critic, fake), s.y)
    return terms


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"distance": "l1", "label_weight": 0.7, "unlabelled_weight": 0.3, "adversarial_weight": 0.2},
        {"feature_weight": 3.0, "class_weight": 0.4},
    ],
)
def test_kplus1(options: dict[str, Any], conditional: bool) -> None:
    strategy = KPlusOne(**options)
    networks = build(strategy, conditional)
    s, terms = move(strategy, "discriminator", networks)
    assert_agree(terms, kplus1_discriminator(s, strategy), networks)
    s, terms = move(strategy, "generator", networks)
    assert (s.y is not None) == conditional
    assert_agree(terms, kplus1_generator(s, strategy), networks)


def test_real_images_are_seen_without_a_gradient_while_the_discriminator_stands_still() -> None:
    networks = build(KPlusOne())
    s = step(KPlusOne(), networks, ("generator",))
    for parameter in parameters(networks):
        parameter.requires_grad_()  # though the trainer would freeze it
    real, fake, labelled = s.discriminate("real", "fake", "labelled")
    assert [out.features.requires_grad for out in (real, fake, labelled)] == [False, True, False]


@pytest.mark.parametrize("trunk", [Trunk, Normalised])
def test_what_is_taken_as_given_passes_without_a_gradient_unless_statistics_bind_it(trunk: type[Trunk]) -> None:
    networks = build(FixMatch(gan=False), trunk=trunk)
    s = step(FixMatch(gan=False), networks, ("discriminator",))
    labelled, guesses = s.discriminate("labelled", "real", detached=("real",))
    bound = trunk is Normalised
    assert (labelled.features.requires_grad, guesses.features.requires_grad) == (True, bound)
    (real,) = s.discriminate("real")
    assert real.features.requires_grad
    assert_close(real.features, guesses.features)
    passes = networks["discriminator"].trunk.passes
    assert passes == (1 if bound else 3)
    s.discriminate("real", "labelled", detached=("real",))
    assert networks["discriminator"].trunk.passes == passes


def test_kplus1_with_a_loss_that_compares() -> None:
    strategy = KPlusOne()
    networks = build(strategy)
    critic = networks["discriminator"]
    s, terms = move(strategy, "discriminator", networks, loss=RELATIVISTIC)
    lead = realness(critic, s.batch.view("weak")) - realness(critic, s.images("fake"))
    assert_agree({"a": terms["adversarial"]}, {"a": 0.5 * said_real(lead)}, networks)
    s, terms = move(strategy, "generator", networks, loss=RELATIVISTIC)
    lead = realness(critic, s.batch.view("weak")) - realness(critic, s.images("fake"))
    assert_agree({"a": terms["adversarial"]}, {"a": said_real(-lead)}, networks)


def test_kplus1_leaves_out_the_terms_of_no_weight() -> None:
    strategy = KPlusOne(adversarial_weight=0, class_weight=0)
    networks = build(strategy, conditional=True)
    assert move(strategy, "generator", networks)[1].keys() == {"features"}
    assert not move(KPlusOne(adversarial_weight=0, feature_weight=0, class_weight=0), "generator", networks)[1]


def test_kplus1_with_batch_statistics_normalises_fakes_alone() -> None:
    strategy = KPlusOne()
    networks = build(strategy, trunk=Normalised)
    s, terms = move(strategy, "discriminator", networks)
    head = networks["discriminator"].head

    def seen(x: Tensor) -> Tensor:
        f = features(networks["discriminator"], x)
        return linear(head.classes, (f - f.mean(0)) / (((f - f.mean(0)) ** 2).mean(0) + 1e-5).sqrt())

    together, fake = seen(torch.cat([s.batch.labelled, s.batch.view("weak")])), seen(s.images("fake"))
    real = together[LABELLED:].exp().sum(1).log()
    wanted = {
        "label": cross_entropy(together[:LABELLED], s.batch.labels),
        "adversarial": 0.5 * (said_real(real) + said_fake(fake.exp().sum(1).log())),
    }
    assert_agree(terms, wanted, networks)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(
    ("pretrain", "ramp", "progress", "weight"),
    [
        (0.0, 0.1, 0.0, 0.0),
        (0.0, 0.1, 0.05, 0.5),
        (0.0, 0.1, 0.1, 1.0),
        (0.0, 0.0, 0.0, 1.0),
        (0.2, 0.4, 0.2, 0.0),
        (0.2, 0.4, 0.3, 0.25),
        (0.2, 0.4, 0.8, 1.0),
    ],
)
def test_autoencoder(pretrain: float, ramp: float, progress: float, weight: float, conditional: bool) -> None:
    strategy = Autoencoder(reconstruction_weight=0.3, pretrain=pretrain, ramp=ramp, label_weight=0.7)
    networks = build(strategy, conditional)
    s, terms = move(strategy, "discriminator", networks, progress=progress)
    error = square_error(decoded(s), s.batch.view("weak"))
    assert_agree(terms, kplus1_discriminator(s, strategy) | {"reconstruction": 0.3 * weight * error}, networks)
    s, terms = move(strategy, "generator", networks, progress=progress)
    assert_agree(terms, kplus1_generator(s, strategy), networks)


@pytest.mark.parametrize("progress", [0.0, 0.19])
def test_autoencoder_alone_at_first(progress: float) -> None:
    strategy = Autoencoder(reconstruction_weight=0.3, pretrain=0.2)
    networks = build(strategy)
    s, terms = move(strategy, "discriminator", networks, progress=progress)
    assert_agree(terms, {"reconstruction": square_error(decoded(s), s.batch.view("weak"))}, networks)
    assert all(p.requires_grad for p in networks["decoder"].parameters())
    assert not move(strategy, "generator", networks, progress=progress)[1]


def test_autoencoder_reconstructs() -> None:
    strategy = Autoencoder()
    networks = build(strategy, conditional=True)
    s, _ = move(strategy, "discriminator", networks)
    assert_close(strategy.reconstruct(networks, s.batch.view("weak")), decoded(s))


@pytest.mark.parametrize("conditional", [False, True])
def test_mdgan(conditional: bool) -> None:
    strategy = ModeRegularized(reconstruction_weight=0.6, mode_weight=0.3, adversarial_weight=0.9)
    networks = build(strategy, conditional)
    s, terms = move(strategy, "discriminator", networks)
    assert_agree(terms, kplus1_discriminator(s, strategy), networks)
    s, terms = move(strategy, "generator", networks)
    critic, encoder, x = networks["discriminator"], networks["encoder"], s.batch.view("weak")
    code = linear(encoder.code, torch.tanh(linear(encoder.trunk.layer, x.flatten(1))))
    again = networks["generator"](code, probabilities(logits(critic, x)) if conditional else None)
    wanted = {
        "reconstruction": 0.6 * square_error(x, again),
        "mode": -0.3 * sigmoid(realness(critic, again)).log().mean(),
    }
    assert_agree(terms, kplus1_generator(s, strategy) | wanted, networks)
    assert all(p.requires_grad for p in encoder.parameters())
    assert_close(strategy.reconstruct(networks, x), again)


def test_mdgan_compares_modes_with_real_images() -> None:
    strategy = ModeRegularized()
    networks = build(strategy)
    s, terms = move(strategy, "generator", networks, loss=RELATIVISTIC)
    critic, x = networks["discriminator"], s.batch.view("weak")
    again = networks["generator"](networks["encoder"](x))
    assert_agree({"m": terms["mode"]}, {"m": 0.2 * said_real(realness(critic, again) - realness(critic, x))}, networks)


def halfway(surest: Tensor) -> float:
    """Return a threshold that half of them reach, far from each."""
    return float(surest.detach().sort().values[2:4].mean())


@pytest.mark.parametrize(
    ("progress", "alpha"), [(0.0, 0.0), (0.1, 0.0), (0.2, 0.6), (0.35, 1.5), (0.6, 3.0), (0.95, 3.0)]
)
@pytest.mark.parametrize("some", [False, True])
def test_pseudolabel(progress: float, alpha: float, some: bool) -> None:
    strategy = PseudoLabel()
    networks = build(strategy)
    surest = probabilities(logits(networks["discriminator"], Images().view("weak"))).max(1).values
    strategy.threshold = halfway(surest) if some else 0.0
    s, terms = move(strategy, "discriminator", networks, progress=progress)
    kept = [-p.log() for p in surest if p >= strategy.threshold]
    assert len(kept) == (3 if some else UNLABELLED)
    guess = torch.stack(kept).sum() / UNLABELLED
    assert_agree(terms, kplus1_discriminator(s, strategy) | {"guess": alpha * guess}, networks)
    s, terms = move(strategy, "generator", networks, progress=progress)
    assert_agree(terms, kplus1_generator(s, strategy), networks)


def test_aligned_guesses_of_a_batch_favour_what_is_seldom_guessed() -> None:
    strategy = FixMatch(gan=False, align=True, threshold=0.0)
    networks = build(strategy)
    s, terms = move(strategy, "discriminator", networks)
    q = probabilities(logits(networks["discriminator"], s.batch.view("weak"))).detach()
    fair = q / q.mean(0)
    fair = fair / fair.sum(1, keepdim=True)
    assert fair.argmax(1).tolist() != q.argmax(1).tolist()  # so that it matters
    strong = probabilities(logits(networks["discriminator"], s.batch.view("strong")))
    guess = -torch.stack([strong[i, c].log() for i, c in enumerate(fair.argmax(1).tolist())]).mean()
    assert_agree(terms, {"guess": guess, "label": naive_label(s)}, networks)


def test_a_class_that_is_never_guessed_stays_finite_when_aligned() -> None:
    never = align_distribution(torch.tensor([[200.0, -200.0], [300.0, -300.0]]))
    assert never.isfinite().all()
    assert never.argmax(1).tolist() == [0, 0]


@pytest.mark.parametrize("gan", [True, False])
@pytest.mark.parametrize("teacher", [False, True])
def test_fixmatch_learns_strong_views_from_guesses_of_weak_ones(teacher: bool, gan: bool) -> None:
    strategy = FixMatch(weight=0.8, teacher=teacher, gan=gan)
    networks, averaged = build(strategy), build(strategy)
    x = Images().view("weak")
    own, of_average = (logits(n["discriminator"], x) for n in (networks, averaged))
    weak = of_average if teacher else own
    strategy.threshold = halfway(probabilities(weak).max(1).values)
    s, terms = move(strategy, "discriminator", networks, averaged=averaged)
    strong = logits(networks["discriminator"], s.batch.view("strong"))
    assert guessed(own).tolist() != guessed(of_average).tolist()  # so that it matters who guesses
    assert guessed(weak).tolist() != guessed(strong).tolist()  # and from what
    p, q = probabilities(strong), probabilities(weak).detach()
    kept = [-p[i, c].log() for i, c in enumerate(guessed(weak).tolist()) if q[i].max() >= strategy.threshold]
    assert len(kept) == 3
    wanted = {"guess": 0.8 * torch.stack(kept).sum() / UNLABELLED}
    wanted |= kplus1_discriminator(s, strategy) if gan else {"label": naive_label(s)}
    assert_agree(terms, wanted, networks)
    taught = torch.autograd.grad(terms["guess"], parameters(averaged), allow_unused=True)
    assert all(g is None for g in taught)


@pytest.mark.parametrize("gan", [True, False])
def test_a_noisy_student_learns_what_it_and_its_teacher_say_together(
    gan: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noisystudent, "Cnn13", lambda shape, **options: Trunk())
    strategy = NoisyStudent(gan=gan, start=0.5, teacher=0.3, answer=0.2)
    networks, averaged = build(strategy), build(strategy)
    x = Images().view("weak")
    taught, own = (probabilities(logits(averaged[name], x)).log() for name in ("discriminator", "student"))
    s, terms = move(strategy, "student", networks, averaged=averaged, progress=0.6)
    said = probabilities(logits(networks["student"], s.batch.view("strong"))).log()
    guess = probabilities(own + 0.3 * taught)
    assert_agree(terms, {"guess": -(guess * said).sum(1).mean()}, networks)
    learnt = torch.autograd.grad(terms["guess"], parameters(averaged), allow_unused=True)
    assert all(g is None for g in learnt)
    assert move(strategy, "student", networks, averaged=averaged, progress=0.49)[1] == {}

    teacher, student = (probabilities(logits(networks[n], x)).log() for n in ("discriminator", "student"))
    assert_close(strategy.classify(networks, x), student + 0.2 * teacher)
    s, terms = move(strategy, "discriminator", networks)
    assert_agree(
        terms,
        kplus1_discriminator(s, cast(KPlusOne, strategy.teacher_strategy)) if gan else {"label": naive_label(s)},
        networks,
    )


@pytest.mark.parametrize("answer", [1.0, 0.1])
def test_a_student_that_has_not_begun_leaves_the_answer_to_its_teacher(answer: float) -> None:
    strategy = NoisyStudent(answer=answer)
    shape = ImageShape(1, 12, 12, CLASSES)
    builder = NetworkBuilder(shape, lambda: Mlp(shape, hidden=[8]), lambda: Decoding(conditional=False))
    networks = {name: network.eval() for name, network in strategy.networks(builder).items()}
    x = torch.rand(20, 1, 12, 12) * 2 - 1
    teacher = networks["discriminator"](x).logits
    assert teacher.std() > 0
    assert_close(strategy.classify(networks, x).softmax(1), (answer * teacher).softmax(1), 1e-5)


@pytest.mark.parametrize("wrong", [{"start": 1.0}, {"start": -0.1}, {"answer": 0.0}])
def test_a_student_without_time_or_answer_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"start is a fraction of the run|answer is above 0"):
        NoisyStudent(**wrong)  # type: ignore[arg-type]


def test_a_student_learns_of_any_strategy_that_classifies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noisystudent, "Cnn13", lambda shape, **options: Trunk())
    strategy = NoisyStudent(of="margingan", options={"class_weight": 0.5}, start=0.0)
    networks = build(strategy)
    assert networks.keys() == {"classifier", "discriminator", "generator", "student"}
    s, terms = move(strategy, "student", networks, averaged=networks, progress=0.5)
    weak, strong = s.batch.view("weak"), s.batch.view("strong")
    taught, own = (probabilities(logits(networks[name], weak)).detach() for name in ("classifier", "student"))
    said = probabilities(logits(networks["student"], strong)).log()
    answer = probabilities(taught.log() + own.log())
    assert_agree(terms, {"guess": -(answer * said).sum(1).mean()}, networks)
    with pytest.raises(Incompatible, match="noisy-student has a student itself"):
        build(NoisyStudent(of="noisy-student"))
    with pytest.raises(BadOption, match="ssl 'projection' has no option 'gan'"):
        NoisyStudent(of="projection")

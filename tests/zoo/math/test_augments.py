"""Augmentations of the discriminator's input: what each change is, how often it happens, and what steers it.

The matrices of the adaptive pipeline are read off the pictures it makes: of one whose colours are its coordinates, and
of one whose pixels are black, red, green and blue.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ganzoo_zoo.augments import pipeline
from ganzoo_zoo.augments.adaptive import ADA, APA
from ganzoo_zoo.augments.instance_noise import InstanceNoise
from ganzoo_zoo.augments.pipeline import about_grey, color, geometry
from ganzoo_zoo.penalties.realness import LeCam
from ganzoo_zoo.ssl.conditional import ProjectionGAN
from torch import Tensor
from torch.autograd import gradcheck

from ganzoo import create
from ganzoo.errors import GanzooError
from ganzoo.strategy.base import Strategy
from ganzoo.strategy.step import Step
from tests.zoo.math.reference import (
    UNLABELLED,
    Images,
    assert_close,
    build,
    plain,
    step,
)

MANY = 6000


def near(got: Any, wanted: float) -> None:
    """Assert that a share of MANY images is what it should be, to four standard deviations."""
    assert float(got) == pytest.approx(wanted, abs=4 * math.sqrt(wanted * (1 - wanted) / MANY) + 1e-9)


# --- geometry: what it is -----------------------------------------------------------------------------------------


def coordinates(n: int, size: int) -> Tensor:
    """Images `[n, 2, size, size]` of their own places: across and down, the side being from -1 to 1."""
    ticks = (torch.arange(size) * 2 + 1) / size - 1
    across, down = torch.meshgrid(ticks, ticks, indexing="xy")
    return torch.stack([across, down]).expand(n, 2, size, size)


def matrices(p: float, n: int = MANY, size: int = 16, **options: bool) -> tuple[Tensor, Tensor]:
    """Return A `[n, 2, 2]` and t `[n, 2]`: each changed image shows at its place x what was at Ax + t.

    They are read where the picture is linear, around its middle. Images that look beyond the edge there are left out.
    """
    y = geometry(coordinates(n, size), torch.tensor(p), **options)
    middle = y[:, :, size // 2 - 1 : size // 2 + 1, size // 2 - 1 : size // 2 + 1]
    pixel = 2 / size
    a = torch.stack([(middle[:, :, 0, 1] - middle[:, :, 0, 0]), (middle[:, :, 1, 0] - middle[:, :, 0, 0])], 2) / pixel
    inside = middle.abs().flatten(1).amax(1) < 1 - 1.01 / size
    assert inside.float().mean() > 0.98
    return a[inside], middle.mean((2, 3))[inside]


def is_close(x: Tensor, y: Tensor | float) -> Tensor:
    """Whether all entries of each matrix are."""
    return (x - y).abs().flatten(1).amax(1) < 1e-6


UPRIGHT, MIRROR = torch.eye(2, dtype=torch.float64), torch.diag(torch.tensor([-1.0, 1], dtype=torch.float64))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [8, 32])
def test_no_image_changes_when_p_is_0(channels: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(20, channels, size, size) * 2 - 1
    assert_close(ADA(start=0.0)(x, "real", None), x, 1e-12)
    monkeypatch.undo()  # of `double`
    torch.set_default_dtype(torch.float32)
    y = ADA(start=0.0)(x.float(), "real", None)
    assert y.dtype == torch.float32
    assert_close(y, x.float(), 1e-6)


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_pixels_are_moved_as_they_are_by_mirrors_quarter_turns_and_whole_shifts(p: float) -> None:
    n, size = 400, 16
    x = torch.rand(n, 3, size, size)
    y = geometry(torch.cat([coordinates(n, size), x], 1), torch.tensor(p), general=False)
    # The edge continues as a mirror image.
    mirrored = torch.tensor([*reversed(range(size)), *range(size), *reversed(range(size))])
    pixels = coordinates(1, size)[0] * size / 2
    found = set()
    for before, after in zip(x, y, strict=True):
        middle = after[:2, 7:9, 7:9] * size / 2
        a = torch.stack([middle[:, 0, 1] - middle[:, 0, 0], middle[:, 1, 0] - middle[:, 0, 0]], 1)
        t = middle.mean((1, 2))
        assert_close(a, a.round(), 1e-9)
        assert_close(t, t.round(), 1e-9)
        places = torch.einsum("ij,jrc->irc", a.round(), pixels) + t.round()[:, None, None]
        column, row = (places + size / 2 - 0.5 + size).round().long()
        assert_close(after[2:], before[:, mirrored[row], mirrored[column]], 1e-9)
        found.add((*a.round().int().flatten().tolist(), *t.round().int().tolist()))
        if not t.round().any():  # and in torch's words
            turns = [before.rot90(k, (1, 2)) for k in range(4)]
            assert any(torch.allclose(after[2:], q) for turn in turns for q in (turn, turn.flip(2)))
    assert len({f[:4] for f in found}) == 8  # all of the square's symmetries
    assert {f[4] for f in found} == {f[5] for f in found} == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize(("flip", "turn"), [(False, False), (True, False), (False, True)])
def test_mirrors_and_turns_can_be_left_out(flip: bool, turn: bool) -> None:
    a, _ = matrices(1.0, 500, flip=flip, turn=turn, general=False)
    kinds = {tuple(m.round().int().flatten().tolist()) for m in a}
    wanted = {(1, 0, 0, 1)}
    if flip:
        wanted |= {(-1, 0, 0, 1)}
    if turn:
        wanted |= {(0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0)}
    assert kinds == wanted


def test_the_matrices_of_the_plane() -> None:
    angle = torch.tensor([0.3, -2.0, math.pi / 2])
    turn = pipeline.rotation(angle)
    assert_close(turn @ turn.mT, torch.eye(3).expand(3, 3, 3))
    assert_close(torch.linalg.det(turn), torch.ones(3))
    assert_close(turn[2] @ torch.tensor([1.0, 0, 1]), torch.tensor([0.0, 1, 1]))
    assert_close(pipeline.rotation(angle) @ pipeline.rotation(-angle), torch.eye(3).expand(3, 3, 3))
    assert_close(pipeline.scaling(angle, angle * 2)[1], torch.diag(torch.tensor([-2.0, -4, 1])))
    assert_close(pipeline.translation(angle, angle * 2)[0] @ torch.tensor([1.0, 1, 1]), torch.tensor([1.3, 1.6, 1]))


# --- geometry: how often, and how far -----------------------------------------------------------------------------


def test_mirrors_turns_and_whole_shifts_happen_with_their_probabilities() -> None:
    p, size = 0.3, 16
    a, t = matrices(p, size=size, general=False)
    assert_close(a.abs().sum((1, 2)), torch.full((len(a),), 2.0), 1e-6)
    near((torch.linalg.det(a) < 0).float().mean(), p / 2)  # a mirror image is drawn with probability ½
    near(1 - (is_close(a, UPRIGHT) | is_close(a, MIRROR)).float().mean(), p * 3 / 4)  # and one turn of four is none
    pixels = t * size / 2
    assert_close(pixels, pixels.round(), 1e-6)
    near((pixels.abs().amax(1) > 0.5).float().mean(), p * 15 / 16)  # U(-2, 2) rounds to 0 with ¼, both with 1/16
    for value, share in ((-2, 1 / 8), (-1, 1 / 4), (1, 1 / 4), (2, 1 / 8)):
        near(is_close(pixels[:, :1], value).float().mean(), p * share)
        near(is_close(pixels[:, 1:], value).float().mean(), p * share)


def test_zoom_stretch_rotation_and_shift_happen_with_their_probabilities() -> None:
    p = 0.3
    a, t = matrices(p, flip=False, turn=False)
    long, short = torch.linalg.svdvals(a).T
    zoom, stretch = (long * short).log2() / 2, (long / short).log2() / 2
    near((zoom.abs() > 1e-9).float().mean(), p)
    near((stretch > 1e-6).float().mean(), p)
    near(1 - ((a[:, 0, 1].abs() < 1e-9) & (a[:, 1, 0].abs() < 1e-9)).float().mean(), p)  # before or after the stretch
    still = is_close(a, UPRIGHT)
    whole = is_close(t * 8, (t * 8).round())
    assert (~whole[still]).float().mean().item() == pytest.approx(p, abs=0.04)


def test_zoom_stretch_rotation_and_shift_are_distributed_as_in_the_paper() -> None:
    a, t = matrices(0.5, 20 * MANY, size=8, flip=False, turn=False)
    long, short = torch.linalg.svdvals(a).T
    zoom, stretch = (long * short).log2() / 2, (long / short).log2() / 2
    assert zoom[zoom.abs() > 1e-9].std().item() == pytest.approx(0.2, rel=0.02)  # log-normal, 0.2 octaves
    assert zoom.mean().item() == pytest.approx(0, abs=0.003)
    assert stretch[stretch > 1e-6].square().mean().sqrt().item() == pytest.approx(0.2, rel=0.02)
    turned = a[(stretch < 1e-6) & (zoom.abs() < 1e-9) & ~is_close(a, UPRIGHT)]
    angle = torch.atan2(turned[:, 1, 0], turned[:, 0, 0])
    for k in (1, 2, 4):  # even over the whole circle
        assert (k * angle).cos().mean().item() == pytest.approx(0, abs=0.03)
        assert (k * angle).sin().mean().item() == pytest.approx(0, abs=0.03)
    free = t[is_close(a, UPRIGHT) & ~is_close(t * 4, (t * 4).round())]
    # 0.125 of the side, and in half of the images a whole shift with it, of -1, 0 or 1 pixel of 8 with ¼, ½, ¼.
    wanted = math.sqrt(0.25**2 + 0.5 * 0.5 * (2 / 8) ** 2)
    assert free.std().item() == pytest.approx(wanted, rel=0.03)


def test_at_p_1_all_of_it_happens() -> None:
    a, _ = matrices(1.0, 2000)
    long, short = torch.linalg.svdvals(a).T
    assert ((long * short).log2().abs() > 1e-9).all()
    assert (long / short > 1 + 1e-9).all()


def test_whole_shifts_come_before_zooms() -> None:
    """Karras et al. 2020, appendix B: blit whole pixels first, then zoom. So a zoomed image still starts whole."""
    size = 16
    a, t = matrices(0.5, 4 * MANY, size=size, flip=False, turn=False)
    scale = a[:, 0, 0]
    zoomed = is_close(a, scale[:, None, None] * UPRIGHT) & ((scale - 1).abs() > 0.01)
    pixels = t[zoomed] * size / 2
    moved = pixels.abs().amax(1) > 0.01
    whole = is_close(pixels, pixels.round())
    # ½ have no free shift, ½ of them a whole one, of which 1/16 is none.
    assert (whole & moved).float().mean().item() == pytest.approx(0.25 * 15 / 16, abs=0.05)


# --- colour: what it is, how often, and how far -------------------------------------------------------------------

GREY = torch.full((3,), 3**-0.5, dtype=torch.float64)


def mixtures(p: float, n: int = MANY) -> tuple[Tensor, Tensor]:
    """Return M `[n, 3, 3]` and b `[n, 3]`: a colour x becomes Mx + b."""
    x = torch.cat([torch.zeros(3, 1), torch.eye(3)], 1)[:, None].expand(n, 3, 1, 4)
    y = color(x, torch.tensor(p))[:, :, 0]
    return y[:, :, 1:] - y[:, :, :1], y[:, :, 0]


def told(m: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return luma's factor, saturation beside it, hue, the shift before the factor, and what is not explained."""
    luma = m @ GREY @ GREY
    u = torch.tensor([1.0, -1, 0]) / math.sqrt(2)
    v = torch.linalg.cross(GREY, u)
    x, y = m @ u @ u, m @ u @ v
    chroma, hue = (x**2 + y**2).sqrt(), torch.atan2(y, x)
    cos, sin = x[:, None, None], y[:, None, None]
    outer = torch.outer
    model = luma[:, None, None] * outer(GREY, GREY)
    model = model + cos * (outer(u, u) + outer(v, v)) + sin * (outer(v, u) - outer(u, v))
    shift = b @ GREY / math.sqrt(3) / luma
    rest = (m - model).flatten(1).abs().amax(1) + (b - b.mean(1, keepdim=True)).abs().amax(1)
    return luma, chroma / luma.abs(), hue, shift, rest


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_colour_is_brightness_contrast_luma_hue_and_saturation_and_nothing_else(p: float) -> None:
    luma, saturation, hue, shift, rest = told(*mixtures(p))
    assert rest.max() < 1e-9  # grey stays grey, and colours are turned about it
    near((luma < 0).float().mean(), p / 2)
    near((luma.abs().log2().abs() > 1e-9).float().mean(), p)
    near((saturation.log2().abs() > 1e-9).float().mean(), p)
    near((hue.abs() > 1e-9).float().mean(), p)
    near((shift.abs() > 1e-9).float().mean(), p)


def test_colour_is_distributed_as_in_the_paper() -> None:
    luma, saturation, hue, shift, _ = told(*mixtures(1.0, 4 * MANY))
    assert shift.std().item() == pytest.approx(0.2, rel=0.03)  # before the contrast: else it would be divided by it
    assert luma.abs().log2().std().item() == pytest.approx(0.5, rel=0.03)
    assert saturation.log2().std().item() == pytest.approx(1, rel=0.03)
    for values in (shift, luma.abs().log2(), saturation.log2()):
        assert values.mean().item() == pytest.approx(0, abs=0.03)
    for k in (1, 2, 3):
        assert (k * hue).cos().mean().item() == pytest.approx(0, abs=0.03)
        assert (k * hue).sin().mean().item() == pytest.approx(0, abs=0.03)


def test_luma_turned_over_twice_is_as_before_and_no_saturation_is_grey() -> None:
    m, b = mixtures(0.5)
    luma, saturation, hue, _, _ = told(m, b)
    plain = (luma.abs().log2().abs() < 1e-9) & (hue.abs() < 1e-9)
    over = m[plain & (luma < 0) & (saturation.log2().abs() < 1e-9)]
    assert len(over) > 100
    assert_close(over @ over, torch.eye(3).expand_as(over))
    assert_close(over @ over.mT, torch.eye(3).expand_as(over))
    some = plain & (luma > 0) & (saturation < 0.9)
    for matrix, s in zip(m[some], saturation[some], strict=True):
        x = torch.rand(3)
        assert_close(matrix @ x, s * x + (1 - s) * x.mean().expand(3))  # grey as s goes to 0


def test_hue_is_a_rotation_about_grey() -> None:
    a, b = torch.tensor([0.4, 2.0]), torch.tensor([-1.1, 3.0])
    turn = about_grey(a)
    assert_close(turn @ turn.mT, torch.eye(3).expand(2, 3, 3))
    assert_close(torch.linalg.det(turn), torch.ones(2))
    assert_close(turn @ GREY, GREY.expand(2, 3))
    assert_close(turn @ about_grey(b), about_grey(a + b))
    assert_close((turn.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2, a.cos())  # by that angle
    third = about_grey(torch.tensor([2 * math.pi / 3]))[0]
    assert_close(third, torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]))  # red to green to blue


def test_one_channel_has_brightness_contrast_and_inversion() -> None:
    p = 0.3
    x = torch.tensor([0.0, 1.0]).expand(MANY, 1, 1, 2)
    y = color(x, torch.tensor(p))[:, 0, 0]
    factor, shift = y[:, 1] - y[:, 0], y[:, 0] / (y[:, 1] - y[:, 0])
    near((factor < 0).float().mean(), p / 2)
    near((factor.abs().log2().abs() > 1e-9).float().mean(), p)
    near((shift.abs() > 1e-9).float().mean(), p)
    assert shift[shift.abs() > 1e-9].std().item() == pytest.approx(0.2, rel=0.08)
    assert factor.abs().log2()[factor.abs() != 1].std().item() == pytest.approx(0.5, rel=0.08)


def test_opacity_is_moved_with_the_colours_and_not_changed() -> None:
    x = torch.rand(50, 4, 8, 8)
    y = color(x, torch.tensor(1.0))
    assert torch.equal(y[:, 3:], x[:, 3:])
    assert (y[:, :3] - x[:, :3]).abs().amax((1, 2, 3)).min() > 1e-6
    torch.manual_seed(4)
    whole = ADA(start=1.0)(x, "real", None)
    torch.manual_seed(4)
    assert_close(whole[:, 3:], ADA(start=1.0, pipe="bg")(x, "real", None)[:, 3:])
    assert (whole[:, 3:] - x[:, 3:]).abs().max() > 0.1


# --- what a step sees of it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pipe", ["b", "bg", "bgc"])
def test_pipes(pipe: Any) -> None:
    n, size = 300, 8
    grid = torch.cat([coordinates(n, size), torch.ones(n, 1, size, size)], 1)
    y = ADA(pipe=pipe, start=1.0)(grid, "real", None)
    assert y.shape == grid.shape
    a = torch.stack([y[:, :2, 3, 4] - y[:, :2, 3, 3], y[:, :2, 4, 3] - y[:, :2, 3, 3]], 2) * size / 2
    assert is_close(a, a.round()).all() == (pipe == "b")
    assert is_close(y[:, 2:], 1.0).all() == (pipe != "bgc")


def test_every_image_gets_changes_of_its_own() -> None:
    x = torch.rand(1, 3, 8, 8).expand(20, 3, 8, 8)
    y = ADA(start=1.0)(x, "real", None)
    assert all(not torch.allclose(y[i], y[j]) for i in range(20) for j in range(i))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_pipeline_is_differentiable(channels: int) -> None:
    def seeded(x: Tensor) -> Tensor:
        torch.manual_seed(8)
        return ADA(start=0.8)(x, "fake", None)

    assert gradcheck(seeded, (torch.rand(3, channels, 4, 4, requires_grad=True),))
    x = torch.rand(3, channels, 4, 4, requires_grad=True)
    (g,) = torch.autograd.grad(seeded(x).square().sum(), x)
    assert (g.abs().flatten(1).amax(1) > 0).all()


def tiny(strategy: Strategy, networks: Any = None, player: str = "discriminator", **options: Any) -> Step:
    networks = networks or build(strategy, strategy.needs_conditional)
    return step(strategy, networks, (player,), **options)


@pytest.mark.parametrize("name", ["fake", "real", "labelled"])
def test_all_that_the_discriminator_sees_is_changed(name: str) -> None:
    for player in ("discriminator", "generator"):
        s = tiny(Strategy(), player=player, augment=ADA(start=1.0))
        changed = (s.images(name) - s.unaugmented(name)).abs().flatten(1).amax(1)
        assert (changed > 1e-3).all()
        assert s.images(name) is s.images(name)


def on_meta(augment: Any, monkeypatch: pytest.MonkeyPatch) -> Step:
    """Return a step on a device that has shapes and no values: whatever reads one raises."""
    monkeypatch.setattr(torch, "autocast", lambda *given, **options: nullcontext())  # it knows no such device
    networks = {n: m.to("meta") for n, m in build(Strategy()).items()}
    s = tiny(Strategy(), networks, augment=augment)
    s.device = torch.device("meta")
    images = Images()
    s.batch = images
    images.labelled, images.labels = images.labelled.to("meta"), images.labels.to("meta")
    images.views = {n: x.to("meta") for n, x in images.views.items()}
    return s


@pytest.mark.parametrize("augment", [ADA(start=0.5), APA(start=0.5), InstanceNoise()], ids=lambda a: type(a).__name__)
def test_nothing_is_read_back_from_the_device(augment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    adaptive = augment.to("meta") if hasattr(augment, "to") else augment
    s = on_meta(adaptive, monkeypatch)
    s.discriminator_loss()
    if hasattr(adaptive, "adapt"):
        adaptive.adapt(s)
        for channels in (1, 3, 4):
            x = torch.empty(5, channels, 8, 8, device="meta")
            assert adaptive(x, "labelled", s).shape == x.shape
    assert LeCam().to("meta")(s).device.type == "meta"
    with pytest.raises((RuntimeError, NotImplementedError)):
        s.images("real").sum().item()  # so that this says something


# --- adaptive probabilities ---------------------------------------------------------------------------------------


def said(networks: Any, bias: float) -> None:
    with torch.no_grad():
        networks["discriminator"].head.adv.weight.zero_()
        networks["discriminator"].head.adv.bias.fill_(bias)


@pytest.mark.parametrize("kind", [ADA, APA])
def test_p_follows_the_sign_of_what_is_said_of_real_images(kind: Any) -> None:
    networks, augment = build(Strategy()), kind(kimg=0.1, start=0.0)
    p = [0.0]
    for bias in [5.0] * 4 + [-5.0] * 3 + [5.0] * 20 + [-5.0] * 30:
        said(networks, bias)
        augment.adapt(tiny(Strategy(), networks, augment=augment))
        p.append(augment.p.item())
        wanted = min(max(p[-2] + math.copysign(UNLABELLED / (1000 * 0.1), bias), 0), 1)
        assert p[-1] == pytest.approx(wanted, abs=1e-9)
    assert max(p) == 1
    assert p[-1] == 0


def test_p_rises_where_more_images_than_the_target_says_are_called_real() -> None:
    networks = build(Strategy())
    adv = plain(networks["discriminator"], Images().view("weak")).detach().sort().values
    for called, target, wanted in ((5, 0.6, 1), (4, 0.6, -1), (4, 0.3, 1), (6, 1.0, 0), (3, 0.0, 0), (2, 0.0, -1)):
        augment = APA(target=target, kimg=1, start=0.5)  # of which `adapt` is the same, and p(exchange) does not matter
        augment.forward = lambda x, name, s: x  # type: ignore[method-assign]
        with torch.no_grad():
            cut = torch.cat([adv[:1] - 1, (adv[1:] + adv[:-1]) / 2, adv[-1:] + 1])[UNLABELLED - called]
            networks["discriminator"].head.adv.bias.sub_(cut)
        augment.adapt(tiny(Strategy(), networks, augment=augment))
        assert augment.p.item() == pytest.approx(0.5 + wanted * UNLABELLED / 1000, abs=1e-9), (called, target)
        with torch.no_grad():
            networks["discriminator"].head.adv.bias.add_(cut)


@pytest.mark.parametrize("kind", [ADA, APA])
def test_p_stays_where_it_starts_when_it_has_no_speed(kind: Any) -> None:
    augment, networks = kind(kimg=0, start=0.25), build(Strategy())
    said(networks, 5.0)
    augment.adapt(tiny(Strategy(), networks, augment=augment))
    assert augment.p == 0.25
    assert set(augment.state_dict()) == {"p"}


# --- generated images shown as real ones --------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_real_images_are_exchanged_for_generated_ones_with_probability_p(p: float) -> None:
    networks, augment = build(Strategy()), APA(start=p)
    exchanged = []
    for _ in range(300):
        s = tiny(Strategy(), networks, augment=augment)
        real, fake = s.batch.view("weak"), networks["generator"](s.z).detach()
        for i, image in enumerate(s.images("real")):
            matches = [j for j, f in enumerate(fake) if torch.allclose(f, image, atol=1e-9)]
            assert torch.equal(image, real[i]) or (matches and matches != [i])  # no pair of an image with itself
            exchanged.append(not torch.equal(image, real[i]))
        assert torch.equal(s.images("labelled"), s.batch.labelled)
        assert torch.equal(s.images("strong"), s.batch.view("strong"))
        assert_close(s.images("fake"), fake)
    assert sum(exchanged) / len(exchanged) == pytest.approx(p, abs=0.045)


def test_only_the_discriminators_unlabelled_real_images_are_exchanged() -> None:
    s = tiny(Strategy(), player="generator", augment=APA(start=1.0))
    assert torch.equal(s.images("real"), s.batch.view("weak"))
    s = tiny(ProjectionGAN(), augment=APA(start=1.0))
    assert torch.equal(s.images("real"), s.batch.labelled)
    s = tiny(Strategy(), augment=APA(start=1.0))
    for p in s.networks["generator"].parameters():
        p.requires_grad_()  # though the trainer would freeze it
    assert not s.images("real").requires_grad


# --- instance noise -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "progress", "left"), [(1, 0, 1), (1, 0.25, 0.75), (0.5, 0.25, 0.5), (0.4, 0.3, 0.25)]
)
def test_noise_falls_linearly(until: float, progress: float, left: float) -> None:
    x = torch.rand(200, 3, 16, 16)
    noise = InstanceNoise(deviation=0.3, until=until)(x, "real", SimpleNamespace(progress=progress)) - x
    assert noise.std().item() == pytest.approx(0.3 * left, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.005)


@pytest.mark.parametrize("progress", [0.5, 0.51, 0.999])
def test_noise_is_gone_when_it_should_be(progress: float) -> None:
    x = torch.rand(2, 3, 4, 4)
    assert InstanceNoise(until=0.5)(x, "real", SimpleNamespace(progress=progress)) is x


@pytest.mark.parametrize("name", ["real", "fake", "labelled"])
def test_noise_is_on_all_that_the_discriminator_sees_and_lets_gradients_through(name: str) -> None:
    s = tiny(Strategy(), player="generator", augment=InstanceNoise(deviation=0.3, until=1.0))  # half of it at ½
    apart = s.images(name) - s.unaugmented(name)
    assert 0.1 < apart.std() < 0.2
    assert s.images(name).requires_grad == (name == "fake")


@pytest.mark.parametrize("until", [0.0, -1.0, 1.5])
def test_noise_that_cannot_end_is_refused(until: float) -> None:
    with pytest.raises(GanzooError, match="until"):
        create("augment", "instance-noise", until=until)

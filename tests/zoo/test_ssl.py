"""Every strategy learns from few labels, sees no other, and its baseline is at hand."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image

import ganzoo
from ganzoo import GAN, Component, ImageShape, configure, create
from ganzoo.base.pictures import from_uint8, psnr
from ganzoo.data import SPLIT, SavedSplit
from ganzoo.data.identity import picture_key
from ganzoo.data.source import Source
from ganzoo.errors import BadConfig, BadData, Incompatible
from ganzoo.registry.discovery import Plugin, Registered, Registry, installed
from ganzoo.strategy.base import SemiSupervised
from ganzoo.training.assemble import assemble
from ganzoo.training.trainer import Trainer
from tests.conftest import STRATEGIES, everything, needs

CLASSIFIERS = [s for s in STRATEGIES if issubclass(installed().get("ssl", s).component.load(), SemiSupervised)]
LABELLED = [s for s in STRATEGIES if installed().get("ssl", s).component.load().needs_labels]
LABELS, CHANCE = 50, 0.9
SMALL: dict[str, Any] = {
    "gen": "mlp", "gen.hidden": 64, "disc": "mlp", "disc.hidden": [128, 64, 64], "data.size": 8, "data.labels": LABELS,
    "steps": 400, "batch_size": 64, "precision": "fp32", "optimizer.lr": 3e-3, "optimizer.eps": 1e-4,
}  # fmt: skip


def config(ssl: str, **more: Any) -> ganzoo.Config:
    narrow = {"ssl.hidden": 64} if ssl == "aae" else {}
    return configure(values=SMALL | needs(ssl) | {"ssl": ssl} | narrow | more)


@functools.cache
def error(ssl: str, gan: bool = True) -> float:
    """Train on the embedded digits, and return the held-out error."""
    baseline = {} if gan else {"ssl.gan": False}
    trainer = Trainer(assemble(config(ssl, **baseline)))
    for _ in range(trainer.config.steps):
        trainer.train_step()
    assert ("generator" in trainer.gan.networks) == (gan and ssl != "supervised")
    found = trainer.recorder.evaluate()
    assert found is not None
    return found


def show(capsys: pytest.CaptureFixture[str], what: str, found: float) -> None:
    gain = 100 * (error("supervised") - found)
    with capsys.disabled():
        print(f"\n  {what}: {100 * found:.1f} % of held-out digits wrong, {gain:+.1f} points better than supervised")


@pytest.mark.parametrize("ssl", CLASSIFIERS)
def test_it_learns(ssl: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(capsys, ssl, error(ssl))
    assert error(ssl) < CHANCE / 3


@pytest.mark.parametrize("ssl", [s for s in CLASSIFIERS if s != "supervised"])
def test_its_classifier_learns_without_the_gan(ssl: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(capsys, f"{ssl} without GAN", error(ssl, gan=False))
    assert error(ssl, gan=False) < CHANCE / 3


# --- no label outside the split is seen ------------------------------------------------------------------------------


def poisoned(split: str = "") -> Source:
    """Return the digits, every image outside a split (if there is one) with a wrong label."""
    source: Source = create("dataset", "digits")
    if not split:
        return source
    labels = source.train.labels.copy()
    keys = np.array([picture_key(source.train.image(i)) for i in range(len(labels))])
    saved = SavedSplit.of(split).match(keys, np.arange(len(labels)))
    outside = np.setdiff1d(np.arange(len(labels)), saved.labelled)
    labels[outside] = (labels[outside] + 1 + outside % 9) % 10
    return replace(source, train=Relabelled(source.train, labels))


class Relabelled:
    def __init__(self, table: Any, labels: Any) -> None:
        self.table, self.labels, self.image, self.where = table, labels, table.image, table.where

    def __len__(self) -> int:
        return len(self.table)


def with_poison() -> Registry:
    mine = Registered("dataset", Plugin("me", None), Component("poisoned", f"{__name__}:poisoned"))
    registry = installed()
    return Registry([*registry.plugins, mine.plugin], [*registry.components, mine], registry.switched_off)


def tensors(trainer: Trainer) -> dict[str, torch.Tensor]:
    sides = {"live": trainer.gan, "averaged": trainer.averaged}
    return {
        f"{s}.{n}.{k}": t for s, g in sides.items() for n, m in g.networks.items() for k, t in m.state_dict().items()
    }


@pytest.mark.parametrize(("ssl", "gan"), [*((s, True) for s in LABELLED), *((s, False) for s in CLASSIFIERS)])
def test_labels_outside_the_split_change_no_bit(ssl: str, gan: bool, tmp_path: Path) -> None:
    if ssl == "supervised" and not gan:
        return
    kept = tmp_path / SPLIT
    kept.write_bytes(assemble(config("supervised")).data.split.stored.to_bytes())
    more = {"data.source": "me/poisoned", "data.split": str(kept), "steps": 4, "batch_size": 16}
    ends = []
    for options in ({}, {"split": str(kept)}):
        values = {k: v for k, v in SMALL.items() if k != "data.labels"} | needs(ssl) | {"ssl": ssl} | more
        values |= {"data.options": options} | ({} if gan else {"ssl.gan": False})
        registry = with_poison()
        trainer = Trainer(assemble(configure(values=values, registry=registry), registry))
        for _ in range(4):
            trainer.train_step()
        assert trainer.experiment.data.split.hash == SavedSplit.of(kept).hash
        ends.append((tensors(trainer), trainer.recorder.evaluate()))
    (clean, low), (poison, high) = ends
    assert clean.keys() == poison.keys()
    assert all(torch.equal(clean[k], poison[k]) for k in clean)
    # The held-out labels were poisoned too, which shows that the poison was there.
    assert low != high or trainer.averaged.strategy.classify(trainer.averaged.networks, torch.zeros(1, 1, 8, 8)) is None


def test_the_test_above_can_fail(tmp_path: Path) -> None:
    kept = tmp_path / SPLIT
    whole = assemble(config("supervised")).data.split
    kept.write_bytes(replace(whole, labelled=whole.labelled[:-1], labels=whole.labels[:-1]).stored.to_bytes())
    source = poisoned(str(kept))
    with pytest.raises(BadData, match=f"image {whole.labelled[-1]} has class . in the data, and class . in the split"):
        whole.check(source.train.labels, source.class_names, False)


@pytest.mark.parametrize("ssl", LABELLED)
def test_the_split_is_kept_with_its_hash(ssl: str, tmp_path: Path) -> None:
    wanted = assemble(config("supervised")).data.split
    gan = ganzoo.train(config(ssl, steps=1, batch_size=8), tmp_path / "r")
    kept = SavedSplit.of(tmp_path / "r")
    assert kept.hash == wanted.hash == gan.metadata["split"]
    assert json.loads((tmp_path / "r" / "model" / "config.json").read_text())["split"] == wanted.hash
    assert np.array_equal(kept.labelled, wanted.positions)
    assert [int((kept.labels == k).sum()) for k in range(10)] == [LABELS // 10] * 10
    other = assemble(config(ssl, **{"data.split_seed": 1})).data.split
    assert other.hash != wanted.hash


# --- a split used again ----------------------------------------------------------------------------------------------


def reuse(split: Path, **more: Any) -> ganzoo.Config:
    values = {k: v for k, v in SMALL.items() if k != "data.labels"} | {"ssl": "supervised", "steps": 2, "batch_size": 8}
    return configure(values=values | {"data.split": str(split)} | more)


def test_a_split_is_used_again_and_survives_its_origin(tmp_path: Path) -> None:
    ganzoo.train(
        config("supervised", steps=1, batch_size=8, **{"data.split_seed": 7, "data.test_seed": 3}), tmp_path / "a"
    )
    ganzoo.train(reuse(tmp_path / "a"), tmp_path / "b")
    assert SavedSplit.of(tmp_path / "b").hash == SavedSplit.of(tmp_path / "a").hash
    (tmp_path / "a" / SPLIT).rename(tmp_path / "elsewhere.safetensors")
    ganzoo.train(reuse(tmp_path / "a"), tmp_path / "b")  # its own copy is enough to continue
    ganzoo.train(reuse(tmp_path / "elsewhere.safetensors"), tmp_path / "c")
    assert SavedSplit.of(tmp_path / "c").hash == SavedSplit.of(tmp_path / "b").hash
    with pytest.raises(BadData, match="there is no split"):
        ganzoo.train(reuse(tmp_path / "a"), tmp_path / "d")


def test_splits_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    split = assemble(config("supervised")).data.split

    def refusal(**changed: Any) -> str:
        path = tmp_path / "changed.safetensors"
        path.write_bytes(replace(split.stored, **changed).to_bytes())
        with pytest.raises(BadData) as caught:
            assemble(reuse(path))
        return str(caught.value)

    few, saved = split.labels != 3, split.stored
    assert "class '3' has no labelled image" in refusal(labelled=saved.labelled[few], labels=saved.labels[few])
    assert "has class" in refusal(labels=(split.labels + 1) % 10)
    assert "359 of its 1,797 images are not among the readable ones" in refusal(test=saved.test + 1)
    former = {"keyed": False, "train": split.train, "labelled": split.labelled, "test": split.test}
    assert "the split contradicts itself" in refusal(**former | {"test": np.append(split.test, split.train[0])})
    assert "the split contradicts itself" in refusal(
        **former | {"train": np.setdiff1d(split.train, split.labelled[:1])}
    )
    path = tmp_path / "named.safetensors"
    path.write_bytes(split.stored.to_bytes({"classes": '["cat", "dog"]'}))
    with pytest.raises(BadData, match=r"its classes are \['cat', 'dog'\]"):
        assemble(reuse(path))
    with pytest.raises(BadConfig, match=r"data\.labels and data\.split cannot be combined"):
        configure(values={"data.split": "x", "data.labels": 10})
    (tmp_path / "c.yaml").write_text("data: {split: x}")
    with pytest.raises(BadConfig, match=r"data\.labels and data\.split cannot be combined"):
        configure(file=tmp_path / "c.yaml", values={"data.labels": 10})
    with pytest.raises(BadConfig, match=r"'data\.split' cannot be ''"):
        configure(values={"data.split": ""})


# --- damaged images --------------------------------------------------------------------------------------------------

Cli = Callable[..., Result]
RESTORE: dict[str, Any] = {
    "gen": "dcgan", "gen.width": 16, "disc": "dcgan", "disc.width": 16, "disc.norm": "group", "data.size": 16,
    "data.labels": 100, "steps": 300, "batch_size": 64, "precision": "fp32", "optimizer.lr": 1e-3,
    "ssl.class_weight": 0,
}  # fmt: skip


@functools.cache
def restorer(ssl: str) -> tuple[GAN, torch.Tensor]:
    """Return a trained GAN and the held-out digits."""
    own = {k: v for k, v in RESTORE.items() if ssl != "aae" or not k.startswith("ssl.")}
    trainer = Trainer(assemble(configure(values=own | needs(ssl) | {"ssl": ssl})))
    for _ in range(trainer.config.steps):
        trainer.train_step()
    return trainer.averaged, from_uint8(everything(trainer.experiment.data.test))


@pytest.mark.parametrize("ssl", ["autoencoder", "mdgan", "aae"])
def test_restored_digits_are_nearer_than_damaged_ones(ssl: str, capsys: pytest.CaptureFixture[str]) -> None:
    gan, x = restorer(ssl)
    rng = torch.Generator().manual_seed(0)
    known = torch.rand(len(x), 1, 16, 16, generator=rng) >= 1 / 3
    damaged = torch.where(known, x, 0.0)
    restored = gan.reconstruct(damaged, known)
    assert torch.equal(restored[known], x[known])
    before, after = psnr(damaged, x).mean(), psnr(restored, x).mean()
    noisy = (x + torch.randn(x.shape, generator=rng)).clamp(-1, 1)
    again = psnr(noisy, x).mean(), psnr(gan.reconstruct(noisy), x).mean()
    with capsys.disabled():
        print(f"\n  {ssl}: masked {before:.1f} → {after:.1f} dB, noisy {again[0]:.1f} → {again[1]:.1f} dB")
    assert after > before + 1
    assert again[1] > again[0]


def test_reconstruct_writes_a_picture(cli: Cli, tmp_path: Path) -> None:
    gan, x = restorer("autoencoder")
    gan.save(tmp_path / "m")
    for i in range(3):
        Image.fromarray(((x[i, 0] + 1) * 127.5).byte().numpy()).save(tmp_path / f"{i}.png")
    said = cli("reconstruct", "m", *(tmp_path / f"{i}.png" for i in range(3)), "--mask", "0.33", "--out", "p.png")
    assert said.exit_code == 0, said.output
    assert said.output.count("PSNR") == 3
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.width == picture.height  # three images, three rows
    told = json.loads(cli("reconstruct", "m", tmp_path / "0.png", "--noise", "60", "--json").output)
    assert told["psnr"][0]["restored"] > 5
    assert (tmp_path / "m-reconstructed.png").is_file()
    said = cli("reconstruct", "m", tmp_path / "0.png")
    assert "before, after" in said.output
    for words, reason in (
        (["--mask", "0.5", "--noise", "3"], "choose one"),
        (["--out", "p.jpg"], "give a .png file"),
    ):
        said = cli("reconstruct", "m", tmp_path / "0.png", *words)
        assert said.exit_code == 1
        assert reason in said.stderr


def test_a_model_without_a_decoder_says_so(tmp_path: Path) -> None:
    gan = assemble(config("kplus1")).gan
    with pytest.raises(Incompatible, match="reconstructs nothing"):
        gan.reconstruct(torch.zeros(1, 1, 8, 8))


# --- stages, teachers, cautions --------------------------------------------------------------------------------------


def test_pre_training_moves_the_autoencoder_alone() -> None:
    trainer = Trainer(assemble(config("autoencoder", steps=10, batch_size=8, **{"ssl.pretrain": 0.5})))
    for step in range(10):
        before = {n: [p.clone() for p in m.parameters()] for n, m in trainer.gan.networks.items()}
        trainer.train_step()
        moved = {
            n
            for n, m in trainer.gan.networks.items()
            if any(not torch.equal(a, b) for a, b in zip(before[n], m.parameters(), strict=True))
        }
        assert ("generator" in moved) == (step >= 5)
        assert {"discriminator", "decoder"} <= moved
        assert set(trainer._metrics()) >= {"discriminator/reconstruction"}


def test_vat_needs_no_gan() -> None:
    more = {"penalties.vat.epsilon": 2.0, "penalties.entropy.weight": 0.3}
    trainer = Trainer(assemble(config("supervised", **more)))
    for _ in range(trainer.config.steps):
        trainer.train_step()
    found = trainer.recorder.evaluate()
    assert found is not None
    assert found < error("supervised")


def test_a_number_that_nobody_else_reached_is_marked(cli: Cli) -> None:
    for name in ("margingan", "aae"):
        assert "not reproduced by third parties" in cli("info", f"ssl/{name}").output
    assert "not reproduced" not in cli("info", "ssl/kplus1").output


class Fancy(SemiSupervised):
    """Wants a view that there is not.

    Args:
        gan: as elsewhere.
    """

    views = ("weak", "stronger")


def test_a_view_that_there_is_not_is_refused() -> None:
    mine = Registered("ssl", Plugin("me", None), Component("fancy", f"{__name__}:Fancy"))
    registry = Registry([*installed().plugins, mine.plugin], [*installed().components, mine])
    with pytest.raises(Incompatible, match="no view is called 'stronger'; did you mean 'strong'"):
        assemble(configure(values=SMALL | {"ssl": "me/fancy"}, registry=registry), registry)


# --- architectures ---------------------------------------------------------------------------------------------------


def count_parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_conv_small_is_the_papers() -> None:
    trunk = create("discriminator", "conv-small", ImageShape(3, 32, 32, 10))
    channels = [(3, 96), (96, 96), (96, 96), (96, 192), (192, 192), (192, 192), (192, 192)]
    convolutions = sum(9 * a * b + 2 * b for a, b in channels) + 2 * (192 * 192 + 2 * 192)
    assert count_parameters(trunk) == convolutions
    assert count_parameters(trunk.last_layer(10)) == 192 * 10 + 20
    generator = create("generator", "conv-small", ImageShape(3, 32, 32, 10))
    layers = 100 * 8192 + 2 * 8192 + 512 * 256 * 25 + 2 * 256 + 256 * 128 * 25 + 2 * 128 + 128 * 3 * 25 + 3 + 3
    assert count_parameters(generator) == layers


def test_cnn_13_is_the_papers() -> None:
    trunk = create("discriminator", "cnn-13", ImageShape(3, 32, 32, 10))
    channels = [(3, 128), (128, 128), (128, 128), (128, 256), (256, 256), (256, 256), (256, 512)]
    convolutions = sum(9 * a * b + 2 * b for a, b in channels) + 512 * 256 + 2 * 256 + 256 * 128 + 2 * 128
    assert count_parameters(trunk) == convolutions
    maps = [m(torch.zeros(2, 3, 32, 32)).shape[-1] for m in [trunk.layers[:12], trunk.layers[:23], trunk.layers]]
    assert maps == [16, 8, 6]


def test_too_small_images_are_refused() -> None:
    with pytest.raises(Incompatible, match="discriminator 'zoo/conv-small' with options"):
        assemble(configure(values={"disc": "conv-small", "disc.width": 8, "gen": "mlp", "data.size": 8}))

"""Any generator × discriminator × loss × strategy trains two steps, or is refused at assembly with the reason."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

import ganzoo
from ganzoo import configure
from ganzoo.assemble import assemble
from ganzoo.errors import Incompatible
from ganzoo.options import options_of
from ganzoo.registry import installed
from ganzoo.trainer import Trainer
from tests.conftest import needs

KINDS = ("generator", "discriminator", "loss", "ssl")
NAMES = {kind: [r.qualified for r in ganzoo.list_components(kind)] for kind in KINDS}
EXTRAS: dict[str, dict[str, Any]] = {
    "plain": {"precision": "fp32"},
    "gradients": {"penalties.r1.every": 1, "penalties.gradient_penalty": {}, "precision": "bf16"},
    "classes": {"penalties": {"vat": {}, "entropy": {}, "manifold": {}}, "augment": "diffaugment", "precision": "bf16"},
    "conditional": {"gen.conditional": True, "precision": "bf16"},
}
# Their discriminator says nothing of classes, or there is none of images, or no generator.
JUDGES_NOTHING = {"zoo/supervised", "zoo/aae", "zoo/none", "zoo/margingan", "triplegan/triplegan"}


def narrow(kind: str, name: str) -> dict[str, Any]:
    """Return options that make a network small."""
    known = {o.name for o in options_of(installed().get(kind, name).component.load())}
    small = {"width": 4, "hidden": 8 if kind == "generator" else [8, 8]}
    return {f"{kind}.{option}": value for option, value in small.items() if option in known}


def trains(names: tuple[str, ...], extra: str) -> str:
    """Return "" after two steps, or why these parts are refused."""
    values: dict[str, Any] = dict(zip(KINDS, names, strict=True))
    values |= narrow("generator", names[0]) | narrow("discriminator", names[1]) | needs(names[3]) | EXTRAS[extra]
    values |= {"data.size": 16, "data.test_fraction": 0.9, "data.labels": 20, "batch": 4, "steps": 2}
    try:
        experiment = assemble(configure(values=values))
    except Incompatible as refusal:
        return str(refusal)
    trainer = Trainer(experiment)
    trainer.iterate()
    trainer.iterate()
    assert trainer._terms()
    return ""


def rotating() -> list[tuple[str, ...]]:
    """Return every generator × discriminator × strategy, each with another loss than the one before."""
    some = itertools.product(*(NAMES[kind] for kind in ("generator", "discriminator", "ssl")))
    return [(g, d, NAMES["loss"][i % len(NAMES["loss"])], s) for i, (g, d, s) in enumerate(some)]


@pytest.mark.parametrize("names", rotating(), ids="-".join)
def test_combination(names: tuple[str, ...]) -> None:
    assert trains(names, "plain") == ""


@pytest.mark.slow
@pytest.mark.parametrize("names", list(itertools.product(*NAMES.values())), ids="-".join)
def test_every_combination(names: tuple[str, ...]) -> None:
    assert trains(names, "plain") == ""


@pytest.mark.parametrize("number", range(0, math.prod(map(len, NAMES.values())), 5))
def test_combination_with_more(number: int) -> None:
    names = next(itertools.islice(itertools.product(*NAMES.values()), number, None))
    _, discriminator, _, ssl = names
    extra = list(EXTRAS)[1 + number % 3]
    reason = trains(names, extra)
    if reason:
        assert extra != "conditional"
        mixes = "batch norm" in reason and discriminator in ("zoo/dcgan", "zoo/cnn-13")
        assert mixes or ssl in JUDGES_NOTHING, reason

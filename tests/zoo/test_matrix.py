"""Any generator × discriminator × loss × strategy trains two steps, or is refused at assembly with the reason.

`python -m benchmarks.matrix` tries all of them; here is one of each discriminator and strategy, the rest in turn.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from benchmarks.matrix import NAMES, Combination, every, needs_conditional, trains

EXTRAS: list[dict[str, Any]] = [
    {},
    {"penalties": {"r1": {"every": 1}, "gradient-penalty": {}}, "precision": "bf16"},
    {"penalties": {"vat": {}, "entropy": {}, "manifold": {}}, "augment": "diffaugment", "precision": "bf16"},
    {"penalties": {"lecam": {}, "clip": {}, "historical": {}}, "augment": "ada", "precision": "bf16"},
    {"penalties": {"bcr": {}, "orthogonal": {}, "r2": {"every": 1}}, "augment": "apa"},
]
# Their discriminator says nothing of classes, or there is none of images, or no generator.
JUDGES_NOTHING = ("zoo/supervised", "zoo/aae", "zoo/none", "zoo/margingan", "zoo/projection", "triplegan/triplegan")
MIX = ("zoo/dcgan", "zoo/cnn-13", "zoo/patch", "zoo/timm/test_resnet")


def one_of_each() -> list[tuple[Combination, dict[str, Any]]]:
    """Return a combination for every discriminator and strategy; what else there is takes turns."""
    found = []
    for i, (discriminator, ssl) in enumerate(itertools.product(NAMES["discriminator"], NAMES["ssl"])):
        generator, loss = NAMES["generator"][i % len(NAMES["generator"])], NAMES["loss"][i * 3 % len(NAMES["loss"])]
        conditional = needs_conditional(ssl) or i % 2 == 0
        found.append((Combination(generator, discriminator, loss, ssl, (1, 3, 4)[i % 3], conditional), EXTRAS[i % 5]))
    return found


@pytest.mark.parametrize(("combination", "extra"), one_of_each(), ids=lambda value: getattr(value, "name", ""))
def test_combination(combination: Combination, extra: dict[str, Any]) -> None:
    assert not trains(combination) or "compares" in trains(combination)
    if extra and (reason := trains(combination, **extra)):
        mixes = "batch norm" in reason and combination.discriminator in MIX
        assert mixes or "compares" in reason or combination.ssl in JUDGES_NOTHING, reason


def test_all_are_there() -> None:
    some = {c for c, _ in one_of_each()}
    assert some <= {*every()}
    assert {c.generator for c in some} == {*NAMES["generator"]}
    assert {c.loss for c in some} == {*NAMES["loss"]}

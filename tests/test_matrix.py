"""Any generator × discriminator × loss × strategy trains two steps, or is refused at assembly with the reason."""

from __future__ import annotations

import itertools

import pytest

import ganzoo
from ganzoo import configure
from ganzoo.assemble import assemble
from ganzoo.errors import Incompatible
from ganzoo.trainer import Trainer

NAMES = {
    kind: [r.qualified for r in ganzoo.list_components(kind)] for kind in ("generator", "discriminator", "loss", "ssl")
}


@pytest.mark.parametrize(
    "names", list(itertools.product(*NAMES.values())), ids=lambda n: "-".join(n).replace("zoo/", "")
)
@pytest.mark.parametrize("extra", ["", "penalty", "augment"])
def test_combination(names: tuple[str, ...], extra: str) -> None:
    values: dict[str, object] = dict(zip(NAMES, names, strict=True))
    values |= {"data.size": 16, "batch": 4, "precision": "bf16" if extra else "fp32", "steps": 2}
    if extra == "augment":
        values["augment"] = "diffaugment"
    if extra == "penalty":
        values |= {"penalties.r1.every": 1, "penalties.gradient_penalty": {}}
    try:
        experiment = assemble(configure(values=values))
    except Incompatible as refusal:
        reason = str(refusal)
    else:
        reason = ""
    if reason:
        assert extra == "penalty"
        assert "batch norm" in reason or "needs generated images" in reason
        return
    trainer = Trainer(experiment)
    trainer.iterate()
    trainer.iterate()
    assert trainer._terms()
    assert trainer.evaluate() is None or names[-1] != "zoo/none"

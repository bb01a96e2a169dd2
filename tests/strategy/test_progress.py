"""Networks that change over a run are told how far it is: before each update, whatever the strategy."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import ganzoo
from ganzoo import Component, ImageShape, configure
from ganzoo.registry.discovery import Plugin, Registered, Registry, installed
from ganzoo.training import Trainer, assemble
from tests.conftest import SMALL, STRATEGIES, needs

STEPS = 4


class Following(nn.Module):
    """A trunk that notes what it is told, and counts its passes until it is told again."""

    seen: Tensor

    def __init__(self, shape: ImageShape) -> None:
        super().__init__()
        self.num_features = 4
        self.layer = nn.Linear(shape.pixels, 4)
        self.register_buffer("seen", torch.tensor(-1.0))
        self.told: list[float] = []

    def set_progress(self, progress: float) -> None:
        """Note the progress."""
        self.told.append(progress)
        self.seen.fill_(progress)

    def forward(self, x: Tensor) -> Tensor:
        """Map images to features that depend on the progress."""
        return self.layer(x.flatten(1)) * (1 + self.seen)


def registry() -> Registry:
    plugin = Plugin("following", None)
    own = Registered("discriminator", plugin, Component("following", "tests.strategy.test_progress:Following"))
    return Registry([*installed().plugins, plugin], [*installed().components, own])


def values(**more: object) -> dict[str, object]:
    small = {k: v for k, v in SMALL.items() if not k.startswith("disc.")}
    return {**small, "disc": "following", "steps": STEPS, "data.labels": 20, **more}


@pytest.mark.parametrize("ssl", STRATEGIES)
def test_every_strategy_tells_its_networks(ssl: str) -> None:
    found = registry()
    trainer = Trainer(assemble(configure(values=values(ssl=ssl, **needs(ssl)), registry=found), found))
    followers = [m for n in trainer.gan.networks.values() for m in n.modules() if isinstance(m, Following)]
    assert followers
    for step in range(STEPS):
        for module in followers:
            module.told.clear()
        trainer.train_step()
        for module in followers:
            assert set(module.told) == {step / STEPS}
            assert len(module.told) >= len(trainer.players)
    averaged = [m for n in trainer.averaged.networks.values() for m in n.modules() if isinstance(m, Following)]
    assert [float(m.seen) for m in averaged] == [(STEPS - 1) / STEPS] * len(followers)


def test_a_rehearsal_shows_beginning_and_end_and_leaves_no_trace() -> None:
    found = registry()
    experiment = assemble(configure(values=values(ssl="none"), registry=found), found)
    (module,) = [m for m in experiment.gan.networks["discriminator"].modules() if isinstance(m, Following)]
    assert (module.told, float(module.seen)) == ([], -1.0)


def test_the_state_is_in_checkpoints_and_models(tmp_path: Path) -> None:
    found = registry()
    config = configure(values=values(ssl="none", checkpoint_every=2), registry=found)
    gan = ganzoo.train(config, tmp_path / "r", registry=found)
    state = gan.networks["discriminator"].state_dict()
    assert float(state["trunk.seen"]) == (STEPS - 1) / STEPS

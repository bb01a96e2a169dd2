"""R3GAN's preset."""

from __future__ import annotations

import pytest
from ganzoo_r3gan.layers import Block
from torch import nn

from ganzoo import configure
from ganzoo.training import Trainer, assemble
from ganzoo.training.optimizers import schedule


def trained(network: nn.Module) -> nn.Module:
    """Return a network whose blocks are not the identity."""
    for block in network.modules():
        if isinstance(block, Block):
            nn.init.normal_(block.reduce.weight, 0.0, 0.3)
            nn.init.normal_(block.grouped.bias, 0.0, 0.3)
    return network


def test_preset() -> None:
    """Length, averaging, penalty and schedules are the paper's."""
    config = configure(preset="r3gan-cifar10")
    assert config.batch_size * config.steps == pytest.approx(250e6, rel=1e-4)
    assert config.ema is not None
    assert config.ema ** (5e6 / 512) == pytest.approx(0.5)
    assert config.data.flip
    assert config.data.labels == "all"
    assert config.penalties == {"r3gan/r3gan": {"gamma": 0.05, "final_gamma": 0.005, "until": 0.08}}
    for player in ("discriminator", "generator"):
        adam = config.optimizer_of(player)
        assert (adam.beta1, adam.beta2, adam.final_beta2, adam.eps) == (0.0, 0.9, 0.99, 1e-8)
        assert adam.lr == pytest.approx(2e-4)
        assert adam.lr * adam.final_lr_ratio == pytest.approx(5e-5)
        rest = [schedule(adam.schedule, images / 250, adam.decay_start, adam.decay_end) for images in (0, 10, 20, 200)]
        assert rest == pytest.approx([1, 0.5, 0, 0])


def test_preset_trains() -> None:
    """A small version of the preset trains."""
    tiny = {"gen.width": 8, "disc.width": 8, "data.source": "digits", "data.size": 8, "batch_size": 8, "steps": 2}
    experiment = assemble(configure(preset="r3gan-cifar10", values={**tiny, "precision": "fp32"}))
    trainer = Trainer(experiment)
    for _ in range(2):
        trainer.train_step()
    terms = {name for name in trainer._metrics() if "/" in name}
    assert terms == {"discriminator/adversarial", "discriminator/r3gan", "generator/adversarial"}
    trained(experiment.averaged.networks["generator"])
    x = experiment.averaged.sample(4, y=[0, 1, 2, 3], seed=0)
    assert x.shape == (4, 1, 8, 8)
    assert x.abs().max() <= 1

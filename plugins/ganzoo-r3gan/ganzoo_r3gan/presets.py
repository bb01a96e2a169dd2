"""The paper's recipe."""

from typing import Any

BURN_IN = 20 / 250
"""Fraction of the run over which the paper's schedules extend: 20 of 250 million images (table 9)."""

# The paper also augments the discriminator's input, with a probability that increases to 0.55. This is omitted.
CIFAR10: dict[str, Any] = {
    "generator": {"name": "r3gan", "conditional": True},
    "discriminator": {"name": "r3gan", "projection": True},
    "loss": {"name": "relativistic"},
    "ssl": {"name": "projection"},
    "penalties": {"r3gan": {"gamma": 0.05, "final_gamma": 0.005, "until": BURN_IN}},
    "data": {"source": "cifar10", "size": 32, "labels": "all", "flip": True},
    "steps": 488_281,  # 250 million images
    "batch_size": 512,
    # The learning rate falls from 2e-4 to 5e-5, while beta2 rises from 0.9 to 0.99.
    "optimizer": {
        "lr": 2e-4,
        "beta1": 0.0,
        "beta2": 0.9,
        "eps": 1e-8,
        "schedule": "cosine",
        "decay_end": BURN_IN,
        "final_lr_ratio": 0.25,
        "final_beta2": 0.99,
    },
    "ema": 0.5 ** (512 / 5e6),  # a half-life of 5 million images
}

"""The paper's recipe."""

from typing import Any

CIFAR10: dict[str, Any] = {
    "generator": {"name": "conv-small"},
    "discriminator": {"name": "conv-small"},
    "loss": {"name": "nonsaturating"},
    "ssl": {"name": "badgan"},
    "data": {"source": "cifar10", "size": 32, "labels": 4000},
    "steps": 600_000,  # 1200 epochs, the rate falling over the last 400
    "batch_size": 100,
    "optimizer": {"lr": 3e-4, "beta1": 0.0, "schedule": "linear", "decay_start": 2 / 3},
    "players": {"discriminator": {"lr": 6e-4, "beta1": 0.5}},
}

"""The paper's recipe."""

from typing import Any

MNIST: dict[str, Any] = {
    "generator": {"name": "mlp", "conditional": True},
    "discriminator": {"name": "mlp"},
    "loss": {"name": "nonsaturating"},
    "ssl": {"name": "triplegan", "labelled_share": 1 / 401, "generated_start": 0.3},
    "data": {"source": "mnist", "size": 28, "labels": 100},
    "steps": 300_000,  # 1000 epochs, the rate falling over the last 700
    "batch_size": 200,
    "labelled_batch_size": 100,
    "optimizer": {"lr": 1e-3, "beta1": 0.5, "schedule": "linear", "decay_start": 0.3},
}

"""The default preset, which every run starts from, and the preset of `ganzoo train` without arguments."""

from typing import Any

DEFAULT: dict[str, Any] = {
    "generator": {"name": "dcgan"},
    "discriminator": {"name": "dcgan"},
    "loss": {"name": "nonsaturating"},
    "ssl": {"name": "kplus1"},
    "data": {"source": "digits"},
    "steps": 10_000,
    "batch_size": 64,
}

DIGITS: dict[str, Any] = {
    "generator": {"name": "dcgan", "width": 32},
    "discriminator": {"name": "dcgan", "width": 32, "norm": "group"},
    "data": {"source": "digits", "size": 32, "labels": 100},
    "steps": 1000,
}

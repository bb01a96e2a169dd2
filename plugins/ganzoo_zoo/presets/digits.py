"""The recipe of `ganzoo train` without arguments."""

from typing import Any

DEFAULT: dict[str, Any] = {
    "generator": {"name": "dcgan", "width": 32},
    "discriminator": {"name": "dcgan", "width": 32, "norm": "group"},
    "loss": {"name": "nonsaturating"},
    "ssl": {"name": "kplus1"},
    "data": {"source": "digits", "size": 32, "labels": 100},
    "steps": 1000,
    "batch": 64,
}

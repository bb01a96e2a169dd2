"""The built-in components: a plugin like any other."""

from ganzoo_zoo.manifest.networks import ganzoo_discriminators, ganzoo_generators
from ganzoo_zoo.manifest.recipes import ganzoo_datasets, ganzoo_presets, ganzoo_ssl
from ganzoo_zoo.manifest.terms import ganzoo_augments, ganzoo_losses, ganzoo_penalties

__all__ = [
    "ganzoo_generators",
    "ganzoo_discriminators",
    "ganzoo_losses",
    "ganzoo_penalties",
    "ganzoo_augments",
    "ganzoo_ssl",
    "ganzoo_datasets",
    "ganzoo_presets",
]

"""The built-in components: a plugin like any other."""

from ganzoo import Component, hookimpl
from ganzoo_zoo.manifest.judges import EXTRACTORS, METRICS
from ganzoo_zoo.manifest.networks import DISCRIMINATORS, GENERATORS
from ganzoo_zoo.manifest.recipes import DATASETS, PRESETS, SSL
from ganzoo_zoo.manifest.terms import AUGMENTS, LOSSES, PENALTIES


@hookimpl
def ganzoo_generators() -> list[Component]:
    """Latents to images."""
    return GENERATORS


@hookimpl
def ganzoo_discriminators() -> list[Component]:
    """Images to features."""
    return DISCRIMINATORS


@hookimpl
def ganzoo_losses() -> list[Component]:
    """Adversarial losses."""
    return LOSSES


@hookimpl
def ganzoo_penalties() -> list[Component]:
    """Further terms: of the discriminator's smoothness, and of what it says of unlabelled images."""
    return PENALTIES


@hookimpl
def ganzoo_augments() -> list[Component]:
    """Differentiable changes of what the discriminator sees."""
    return AUGMENTS


@hookimpl
def ganzoo_ssl() -> list[Component]:
    """Semi-supervised strategies."""
    return SSL


@hookimpl
def ganzoo_datasets() -> list[Component]:
    """Data sets by name."""
    return DATASETS


@hookimpl
def ganzoo_extractors() -> list[Component]:
    """Features that metrics compare."""
    return EXTRACTORS


@hookimpl
def ganzoo_metrics() -> list[Component]:
    """How good a model is."""
    return METRICS


@hookimpl
def ganzoo_presets() -> list[Component]:
    """Recipes."""
    return PRESETS

"""The built-in components, registered like those of any other plugin."""

from ganzoo import Component, hookimpl
from ganzoo_zoo.manifest.evaluation import EXTRACTORS, METRICS
from ganzoo_zoo.manifest.networks import DISCRIMINATORS, GENERATORS
from ganzoo_zoo.manifest.recipes import DATASETS, PRESETS, SSL
from ganzoo_zoo.manifest.terms import AUGMENTS, LOSSES, PENALTIES


@hookimpl
def ganzoo_generators() -> list[Component]:
    """Describe the generators."""
    return GENERATORS


@hookimpl
def ganzoo_discriminators() -> list[Component]:
    """Describe the discriminators."""
    return DISCRIMINATORS


@hookimpl
def ganzoo_losses() -> list[Component]:
    """Describe the adversarial losses."""
    return LOSSES


@hookimpl
def ganzoo_penalties() -> list[Component]:
    """Describe the penalties."""
    return PENALTIES


@hookimpl
def ganzoo_augments() -> list[Component]:
    """Describe the augmentations."""
    return AUGMENTS


@hookimpl
def ganzoo_ssl() -> list[Component]:
    """Describe the training strategies."""
    return SSL


@hookimpl
def ganzoo_datasets() -> list[Component]:
    """Describe the data sets."""
    return DATASETS


@hookimpl
def ganzoo_extractors() -> list[Component]:
    """Describe the feature extractors."""
    return EXTRACTORS


@hookimpl
def ganzoo_metrics() -> list[Component]:
    """Describe the metrics."""
    return METRICS


@hookimpl
def ganzoo_presets() -> list[Component]:
    """Describe the presets."""
    return PRESETS

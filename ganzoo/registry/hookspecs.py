"""The whole extension surface: one hook a kind, each returning `Component` descriptions."""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from ganzoo.registry.component import Component

hookspec = pluggy.HookspecMarker("ganzoo")
hookimpl = pluggy.HookimplMarker("ganzoo")


@hookspec
def ganzoo_generators() -> Sequence[Component]:
    """Targets: `callable(shape, **options)` → `ganzoo.strategy.Generator`."""
    raise AssertionError


@hookspec
def ganzoo_discriminators() -> Sequence[Component]:
    """Targets: `callable(shape, **options)` → `ganzoo.strategy.Trunk`; the strategy adds the head."""
    raise AssertionError


@hookspec
def ganzoo_losses() -> Sequence[Component]:
    """Targets: `callable(**options)` → `ganzoo.strategy.AdversarialLoss`."""
    raise AssertionError


@hookspec
def ganzoo_penalties() -> Sequence[Component]:
    """Targets: `callable(**options)` → `ganzoo.strategy.Penalty`."""
    raise AssertionError


@hookspec
def ganzoo_augments() -> Sequence[Component]:
    """Targets: `callable(**options)` → `ganzoo.strategy.Augment`."""
    raise AssertionError


@hookspec
def ganzoo_ssl() -> Sequence[Component]:
    """Targets: `callable(**options)` → `ganzoo.strategy.Strategy`."""
    raise AssertionError


@hookspec
def ganzoo_datasets() -> Sequence[Component]:
    """Targets: `callable(**options)` → `ganzoo.data.Source`."""
    raise AssertionError


@hookspec
def ganzoo_extractors() -> Sequence[Component]:
    """Targets: `callable(**options)` → `ganzoo.metrics.Extractor`."""
    raise AssertionError


@hookspec
def ganzoo_metrics() -> Sequence[Component]:
    """Targets: `callable(**options)` → `ganzoo.metrics.Metric`."""
    raise AssertionError


@hookspec
def ganzoo_presets() -> Sequence[Component]:
    """Targets: a mapping of configuration values (see `ganzoo.Config`)."""
    raise AssertionError


KINDS = {
    "generators": "generator",
    "discriminators": "discriminator",
    "losses": "loss",
    "penalties": "penalty",
    "augments": "augment",
    "ssl": "ssl",
    "datasets": "dataset",
    "extractors": "extractor",
    "metrics": "metric",
    "presets": "preset",
}
"""Kinds as the hooks and `ganzoo list` name them, and one component of each."""

"""Where a configuration comes from: the default preset, a preset, a file and single values, each over the last."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ganzoo.config.files import parse_yaml, read_values
from ganzoo.config.keys import COMPONENT_KEYS
from ganzoo.config.migrate import FORMAT, migrate_values
from ganzoo.config.schema import Config
from ganzoo.errors import BadConfig, UnknownComponent
from ganzoo.registry.discovery import Registry, installed

SHORT = {"gen": "generator", "disc": "discriminator"}
"""Short names of configuration keys."""
DEFAULT = "default"
"""The preset that every run starts from."""
SPLIT_KEYS = ("labels", "label_distribution", "split_seed", "test_fraction", "test_seed", "validation")
"""Keys of `data` that a given split decides."""
AUTO_SIZE = 64
"""Largest image size that is chosen unasked."""


def configure(
    preset: str | None = None,
    file: str | Path | None = None,
    values: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> Config:
    """Return the configuration of a run, with every component named `plugin/name`.

    It starts from the preset `default`. The named preset comes over it, or, if none is named, the preset that is called
    as the data set, if there is one; then the file, then the values. Naming a component means that component with its
    own defaults: options that an earlier layer gave it are dropped. Naming other data drops what a preset says of its
    own.

    Args:
        preset: Name of a preset.
        file: JSON or YAML file of configuration values.
        values: Dotted keys, as `gen.width` or `data.labels`, and their values.
        registry: Where components are looked up; default: what is installed.

    Raises:
        BadConfig: A key is unknown, or a value is invalid.
        UnknownComponent: A component or the preset is not registered.
        NameClash: Several plugins offer a component of a bare name.
        BrokenPlugin: The preset cannot be imported.
    """
    registry = registry or installed()
    layers = [read_file(Path(file)) if file else {}, *layers_of(values or {})]
    source = next((s for layer in reversed(layers) if (s := _source(layer))), None)
    merged: dict[str, Any] = {}
    for recipe in recipes(preset, source, registry):
        if _source(recipe):
            merged.pop("data", None)
        if _source(recipe) not in (None, source or _source(recipe)):
            del recipe["data"]  # what a preset says of its data does not apply to other data
        merged = overlay(merged, recipe)
    return _finished(merged, layers, values or {}, registry)


def extend(config: Config, values: Mapping[str, Any], registry: Registry | None = None) -> Config:
    """Return the configuration of a run with values over it: what is not mentioned stays as the run has it.

    Args:
        config: The run's configuration.
        values: Dotted keys and their values.
        registry: Where components are looked up; default: what is installed.

    Raises:
        BadConfig: A key is unknown, or a value is invalid.
        UnknownComponent: A component is not registered.
    """
    return _finished(config.to_dict(), layers_of(values), values, registry or installed())


def layers_of(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return dotted values as layers, components first.

    `--set gen.width=8 --gen mlp` means the mlp's width, in whichever order it is written.
    """
    return [nested(key, value) for key, value in sorted(values.items(), key=lambda item: item[0].count("."))]


def _finished(
    merged: dict[str, Any], layers: list[dict[str, Any]], values: Mapping[str, Any], registry: Registry
) -> Config:
    for layer in layers:
        merged = overlay(merged, layer)
    if isinstance(merged.get("data"), dict) and merged["data"].get("split"):
        if chosen := [key for key in SPLIT_KEYS if f"data.{key}" in values]:
            raise BadConfig(f"data.{chosen[0]} and data.split cannot be combined: the split decides it")
        merged["data"] = {k: v for k, v in merged["data"].items() if k not in SPLIT_KEYS}
    return qualify(Config.parse(merged), registry)


def recipes(preset: str | None, source: str | None, registry: Registry) -> list[dict[str, Any]]:
    """Return the values of the default preset, and of the named one or the one that is called as the data set."""
    default = preset_values(DEFAULT, registry)
    if preset:
        return [default, preset_values(preset, registry)] if preset != DEFAULT else [default]
    try:
        return [default, preset_values(str(source or _source(default)), registry)]
    except UnknownComponent:
        return [default]


def read_file(path: Path) -> dict[str, Any]:
    """Return the values of a user's file, or of a `config.json` that was copied from a run folder."""
    values = read_values(path)
    return migrate_values(values, values.pop("format", FORMAT))


def preset_values(name: str, registry: Registry) -> dict[str, Any]:
    """Return the values of a preset, by name."""
    return copy.deepcopy(dict(registry.get("preset", name).component.load()))


def nested(key: str, value: Any) -> dict[str, Any]:
    """Return `{"a": {"b": value}}` for the dotted key `a.b`; `gen` and `disc` stand for the long names."""
    path = key.split(".")
    path[0] = SHORT.get(path[0], path[0])
    for step in reversed(path):
        value = {step: value}
    return dict(value)


def overlay(base: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `layer` over it; a component that `layer` names replaces that of `base`."""
    merged = dict(base)
    for key, value in layer.items():
        old = merged.get(key)
        if key in COMPONENT_KEYS:
            old, value = ({"name": v} if isinstance(v, str) else v for v in (old, value))
        if isinstance(old, Mapping) and isinstance(value, Mapping) and "name" not in value:
            value = overlay(old, value)
        merged[key] = value
    return merged


def parse_setting(text: str) -> tuple[str, Any]:
    """Split `key=value`, the value read as YAML (`64`, `true`, `[1, 2]`, `2e-4`).

    Raises:
        BadConfig: The text is not of that form.
    """
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise BadConfig(f"--set {text}: write key=value, as in --set gen.width=64")
    try:
        return key.strip(), parse_yaml(value)
    except yaml.YAMLError as error:
        raise BadConfig(f"--set {text}: the value is not YAML; quote it") from error


def qualify(config: Config, registry: Registry) -> Config:
    """Return `config` with every component named `plugin/name`. Raises UnknownComponent or NameClash."""
    values = config.to_dict()
    for key, kind in COMPONENT_KEYS.items():
        if values[key]:
            values[key]["name"] = registry.get(kind, values[key]["name"]).qualified
    values["penalties"] = {registry.get("penalty", n).qualified: options for n, options in values["penalties"].items()}
    return Config.parse(values)


def choose_size(config: Config, native: int, registry: Registry) -> tuple[int, int]:
    """Return the image size of a run: `data.size`, or what fits the images and both networks.

    The default is square: the smallest side that both networks can do and that is not below that of the images, up to
    64.

    Args:
        config: The configuration.
        native: Smaller side of the data's images in pixels.
        registry: Where the networks' sizes are looked up.

    Returns:
        Height and width in pixels.
    """
    if config.data.sides:
        return config.data.sides
    names = {"generator": config.generator.name, "discriminator": config.discriminator.name}
    able = [set(sizes) for kind, name in names.items() if (sizes := registry.get(kind, name).component.sizes)]
    target = min(native, AUTO_SIZE)
    common = sorted(set.intersection(*able)) if able else [target]
    side = next((s for s in common if s >= target), common[-1] if common else target)
    return side, side


def describe_run(config: Config) -> str:
    """Return a short name for a run folder: data, strategy and generator."""
    data = Path(config.data.source.removeprefix("hf:")).stem or "data"
    words = (data, config.ssl.name.rpartition("/")[2], config.generator.name.rpartition("/")[2])
    return "-".join("".join(c if c.isalnum() else "_" for c in word) for word in words)


def _source(layer: Mapping[str, Any]) -> Any:
    data = layer.get("data")
    return data.get("source") if isinstance(data, Mapping) else None

"""Where a configuration comes from: the `default` preset, a preset, a file and single values, each over the last."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ganzoo.config import Config, parse_yaml, read_values
from ganzoo.errors import BadConfig
from ganzoo.registry import Registry, installed

SHORT = {"gen": "generator", "disc": "discriminator"}
PARTS = {
    **{kind: kind for kind in ("generator", "discriminator", "loss", "ssl", "augment")},
    "best": "metric",
    "features": "extractor",
}
"""Configuration keys that name a component, and its kind."""
DEFAULT = "default"
SPLITS = ("labels", "split_seed", "test_fraction", "test_seed", "validation")
AUTO_SIZE = 64


def configure(
    preset: str | None = None,
    file: str | Path | None = None,
    values: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> Config:
    """Return the configuration of a run, its components named `plugin/name`.

    values: dotted keys (`gen.width`, `data.labels`) and what they are set to.
    Naming another component drops the options of the one it replaces; naming other data drops what a recipe says of its
    own.
    Raises BadConfig, UnknownComponent, NameClash or BrokenPlugin.
    """
    registry = registry or installed()
    # Parts first: `--set gen.width=8 --gen mlp` means the mlp's width, in whichever order it is said.
    said = [nested(key, value) for key, value in sorted((values or {}).items(), key=lambda item: item[0].count("."))]
    said = [read_values(Path(file)) if file else {}, *said]
    source = next((s for layer in reversed(said) if (s := _source(layer))), None)
    merged: dict[str, Any] = {}
    for name in (DEFAULT, preset) if preset else (DEFAULT,):
        recipe = preset_values(name, registry)
        if _source(recipe):
            merged.pop("data", None)
        if _source(recipe) not in (None, source or _source(recipe)):
            del recipe["data"]  # what a recipe says of its data is not about other data
        merged = overlay(merged, recipe)
    for layer in said:
        merged = overlay(merged, layer)
    if isinstance(merged.get("data"), dict) and merged["data"].get("split"):
        if chosen := [key for key in SPLITS if f"data.{key}" in (values or {})]:
            raise BadConfig(f"data.{chosen[0]} and data.split cannot both be said: a split has its own")
        merged["data"] = {k: v for k, v in merged["data"].items() if k not in SPLITS}
    return qualify(Config.parse(merged), registry)


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
    """Return `base` with the values of `layer` over it."""
    merged = dict(base)
    for key, value in layer.items():
        old = merged.get(key)
        if key in PARTS:
            old, value = _part(old), _part(value)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and not _replaces(old, value):
            value = overlay(old, value)
        merged[key] = value
    return merged


def parse_setting(text: str) -> tuple[str, Any]:
    """Split `key=value`, the value read as YAML (`64`, `true`, `[1, 2]`, `2e-4`). Raises BadConfig."""
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
    for key, kind in PARTS.items():
        if values[key]:
            values[key]["name"] = registry.get(kind, values[key]["name"]).qualified
    values["penalties"] = {registry.get("penalty", n).qualified: options for n, options in values["penalties"].items()}
    return Config.parse(values)


def choose_size(config: Config, native: int, registry: Registry) -> int:
    """Return the image size of a run: `data.size`, or what fits the images and both networks.

    native: the smaller side of the data's images. What fits is the smallest size that both networks can do and that is
    not below it, up to 64.
    """
    if config.data.size is not None:
        return config.data.size
    names = {"generator": config.generator.name, "discriminator": config.discriminator.name}
    able = [set(sizes) for kind, name in names.items() if (sizes := registry.get(kind, name).component.sizes)]
    wanted = min(native, AUTO_SIZE)
    common = sorted(set.intersection(*able)) if able else [wanted]
    return next((s for s in common if s >= wanted), common[-1] if common else wanted)


def describe_run(config: Config) -> str:
    """Return a short name for a run folder: data, strategy and generator."""
    data = Path(config.data.source.removeprefix("hf:")).stem or "data"
    parts = (data, config.ssl.name.rpartition("/")[2], config.generator.name.rpartition("/")[2])
    return "-".join("".join(c if c.isalnum() else "_" for c in part) for part in parts)


def _part(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _source(layer: Mapping[str, Any]) -> Any:
    data = layer.get("data")
    return data.get("source") if isinstance(data, Mapping) else None


def _replaces(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether `new` names another component than `old`, whose options then mean nothing."""
    if "name" not in new or "name" not in old:
        return False
    return str(old["name"]).rpartition("/")[2] != str(new["name"]).rpartition("/")[2]  # `dcgan` and `zoo/dcgan` are one

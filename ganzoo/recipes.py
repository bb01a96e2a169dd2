"""Where a configuration comes from: the `default` preset, a preset, a file and single values, each over the last."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ganzoo.component import ImageShape
from ganzoo.config import Config, read_values
from ganzoo.errors import BadConfig, Incompatible
from ganzoo.registry import Registered, Registry, installed

SHORT = {"gen": "generator", "disc": "discriminator"}
PARTS = {"generator": "generator", "discriminator": "discriminator", "loss": "loss", "ssl": "ssl", "augment": "augment"}
DEFAULT = "default"
AUTO_SIZE = 64


def configure(
    preset: str | None = None,
    file: str | Path | None = None,
    values: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> Config:
    """Return the configuration of a run, its components named `plugin/name`.

    values: dotted keys (`gen.width`, `data.labels`) and what they are set to.
    Naming another component or data source drops the options of the one it replaces.
    Raises BadConfig, UnknownComponent, NameClash or BrokenPlugin.
    """
    registry = registry or installed()
    merged = preset_values(DEFAULT, registry)
    for layer in (preset_values(preset, registry) if preset else {}, read_values(Path(file)) if file else {}):
        merged = overlay(merged, layer)
    # Parts and sources first: `--set gen.width=8 --gen mlp` means the mlp's width, in whichever order it is said.
    for key, value in sorted((values or {}).items(), key=lambda item: item[0].count(".") + (item[0] != "data.source")):
        merged = overlay(merged, nested(key, value))
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
        return key.strip(), yaml.safe_load(value)
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


def sized(config: Config, native: int, registry: Registry) -> int:
    """Return the image size of a run, or raise Incompatible saying which sizes its networks can do.

    native: the smaller side of the data's images. Without `data.size` the run takes the smallest size that both
    networks can do and that is not below it, up to 64.
    """
    networks = [
        registry.get("generator", config.generator.name),
        registry.get("discriminator", config.discriminator.name),
    ]
    wanted = config.data.size
    if wanted is None:
        able = [s for s in sorted({s for r in networks for s in r.component.sizes}) if _can(networks, s)]
        wanted = (
            min(native, AUTO_SIZE)
            if _can(networks, min(native, AUTO_SIZE))
            else next((s for s in able if s >= min(native, AUTO_SIZE)), able[-1] if able else native)
        )
    for r in networks:
        if not _can([r], wanted):
            sizes = ", ".join(str(s) for s in r.component.sizes)
            raise Incompatible(
                f"{r.kind} '{r.component.name}' cannot do {wanted}×{wanted} images; it can do {sizes}: --size"
            )
    return wanted


def describe_run(config: Config, shape: ImageShape) -> str:
    """Return a short name for a run folder: data, strategy and generator."""
    data = Path(config.data.source.removeprefix("hf:")).stem or "data"
    parts = (data, config.ssl.name.rpartition("/")[2], config.generator.name.rpartition("/")[2])
    return "-".join("".join(c if c.isalnum() else "_" for c in part) for part in parts)


def _part(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _replaces(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether `new` names another component (or data source) than `old`, whose options then mean nothing."""
    if "name" in new and "name" in old:  # `dcgan` and `zoo/dcgan` are the same
        return str(old["name"]).rpartition("/")[2] != str(new["name"]).rpartition("/")[2]
    return "source" in new and new["source"] != old.get("source")


def _can(networks: Sequence[Registered], size: int) -> bool:
    return all(not r.component.sizes or size in r.component.sizes for r in networks)

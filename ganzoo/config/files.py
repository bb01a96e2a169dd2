"""Configuration values as JSON and YAML files, and what differs between two of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ganzoo.errors import BadConfig


class _Loader(yaml.SafeLoader):
    """YAML in which `1e-4` is a number, as in JSON, and a key that stands twice is an error."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the node of a mapping; of two equal keys, PyYAML would drop the first without a word."""
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for number, key in enumerate(keys) if key in keys[:number]]:
            raise BadConfig(f"the key '{twice[0]}' stands twice; merge its values into one")
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text: str) -> Any:
    """Parse YAML or JSON into plain values.

    Raises:
        yaml.YAMLError: The text is neither.
        BadConfig: A key stands twice.
    """
    return yaml.load(text, _Loader)


def read_values(path: Path) -> dict[str, Any]:
    """Read the plain values of a JSON or YAML file.

    Raises:
        BadConfig: The file cannot be read, or is no mapping.
    """
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except BadConfig as error:
        raise BadConfig(f"configuration {path}: {error}") from error
    except OSError as error:
        raise BadConfig(f"configuration {path} cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadConfig(f"configuration {path} is neither JSON nor YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(values, dict):
        raise BadConfig(f"configuration {path} holds no keys and values")
    return values


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Return `key: old → new` for every value that differs between two configurations."""
    rows: list[str] = []
    for key in dict.fromkeys([*old, *new]):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            rows += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            rows.append(f"{prefix}{key}: {a} → {b}")
    return rows

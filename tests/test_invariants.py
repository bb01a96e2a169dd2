"""The architecture's invariants that no other test is about."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import ganzoo
from ganzoo.cli import COMMANDS, main
from ganzoo.registry import hookspecs

CORE = Path(ganzoo.__file__).parent
FILES = sorted(CORE.rglob("*.py"))
NAMES = {r.component.name for r in ganzoo.list_components()} - {"default", "none", "digits", "timm"}  # a library too
NAMES -= {"is", "accuracy", "classifier"}  # words too


def strings(path: Path) -> Iterator[str]:
    """Yield the string constants of a file that are not docstrings."""
    tree = ast.parse(path.read_text())
    prose = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(CORE)))
def test_the_core_names_no_architecture_and_no_method(path: Path) -> None:
    if path.parent.name == "cli":  # its help may give examples
        assert not NAMES & set(strings(path))
        return
    named = {
        name for text in strings(path) for name in NAMES if re.search(rf"(^|[ /']){re.escape(name)}($|[ /'])", text)
    }
    assert not named


def test_the_check_above_can_fail(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text('"""About dcgan."""\nif name == "dcgan": pass\n')
    assert list(strings(tmp_path / "x.py")) == ["dcgan"]
    assert "dcgan" in NAMES


def test_the_extension_surface_fits_one_screen() -> None:
    assert len(inspect.getsource(hookspecs).splitlines()) < 90
    hooks = [name for name in vars(hookspecs) if name.startswith("ganzoo_")]
    assert {h.removeprefix("ganzoo_") for h in hooks} == set(hookspecs.KINDS)


def test_every_command_is_listed_with_its_own_first_line() -> None:
    for name, line in COMMANDS.items():
        command = main.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert (command.help or "").startswith(line.rstrip("."))
    shared = {"__init__", "model", "numbers", "paths", "progress", "settings"}
    files = {p.stem for p in (CORE / "cli").glob("*.py")} - shared
    assert files == set(COMMANDS)


def test_nothing_unpickles() -> None:
    for path in FILES:
        text = path.read_text()
        assert not re.search(r"import pickle|pickle\.(load|dump)|(?<!safetensors\.)torch\.(load|save)\b", text), path


def test_version_and_public_names() -> None:
    assert ganzoo.__version__ == version("torch-ganzoo")
    assert all(getattr(ganzoo, name) is not None for name in ganzoo.__all__)
    with pytest.raises(AttributeError):
        ganzoo.nonsense  # noqa: B018

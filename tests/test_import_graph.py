"""No circle of imports, those for type checkers included: a reader can always begin at the bottom."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

PACKAGES = ("ganzoo", "ganzoo_zoo", "ganzoo_triplegan", "ganzoo_badgan", "ganzoo_r3gan")


def imports(*packages: str) -> Mapping[str, Set[str]]:
    """Return the modules that each module imports, wherever in the module it does."""
    graph = grimp.build_graph(*packages, exclude_type_checking_imports=False, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def circle(graph: Mapping[str, Set[str]]) -> list[str]:
    """Return the modules of a circle, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_through_others() -> None:
    graph = imports(*PACKAGES)
    assert len(graph) > 150
    assert circle(graph) == []


@pytest.mark.parametrize("guard", ["", "if TYPE_CHECKING:\n    "])
def test_a_planted_circle_is_found(guard: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "planted"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("from planted import two\n")
    (package / "two.py").write_text(f"from typing import TYPE_CHECKING\n\n{guard}from planted import one\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert {"planted.one", "planted.two"} <= {*circle(imports("planted"))}
    finally:
        sys.modules.pop("planted", None)

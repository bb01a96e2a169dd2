"""Discovery: descriptions first, imports last, and one broken plugin never takes the others down."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import Result

import ganzoo
from ganzoo import Component, hookimpl
from ganzoo.errors import BadOption, BrokenPlugin, NameClash, UnknownComponent
from ganzoo.registry import discovery
from ganzoo.registry.discovery import Registry, create
from ganzoo.registry.options import check_options, options_of
from tests.conftest import python

GOOD = """
from ganzoo import Component, hookimpl
@hookimpl
def ganzoo_generators():
    return [Component("{name}", "{module}.net:Missing")]
"""
BROKEN = {
    "import": ("raise RuntimeError('no such GPU')", "RuntimeError: no such GPU"),
    "exit": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "signature": (GOOD.replace("ganzoo_generators()", "ganzoo_generators(shape)"), "PluginValidationError"),
    "hook": (GOOD.replace("ganzoo_generators", "ganzoo_generatrs"), "PluginValidationError"),
    "nonsense": (GOOD.replace("return [", "return 3 or ["), "TypeError: ganzoo_generators returned 3"),
    "alone": (
        GOOD.replace("[Component", "Component").replace(")]", ")"),
        "ganzoo_generators returned Component 'bad' alone; return it in a list",
    ),
    "mixed": (GOOD.replace("return [", "return ['dcgan', "), "ganzoo_generators returned a str in its list"),
    "none": ("x = 1", "no function marked with @hookimpl"),
    "twice": (GOOD.replace("return [", "return 2 * ["), "two components called"),
    "raises": (GOOD.replace("return [", "1 / 0; ["), "ZeroDivisionError"),
    "target": (GOOD.replace("{module}.net:Missing", "nowhere"), "is not of the form 'module:attribute'"),
    "name": (GOOD.replace('"{name}"', '"Bad Name"'), "is not lower-case"),
}


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write a real distribution for every module put here, found by importlib.metadata as pip's are."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("plug_"):
            del sys.modules[name]


def install(folder: Path, name: str, code: str, distribution: str = "") -> None:
    module = f"plug_{distribution or name}".replace("-", "_")
    distribution = distribution or f"ganzoo-{name}"
    (folder / f"{module}.py").write_text(code.replace("{name}", name).replace("{module}", module))
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[ganzoo]\n{name} = {module}\n")


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_plugin_is_named_and_others_work(plugins: Path, fault: str) -> None:
    code, said = BROKEN[fault]
    install(plugins, "bad", code)
    install(plugins, "good", GOOD)
    registry = Registry.discover({})
    assert [(p.name, p.distribution, p.version) for p in registry.broken] == [("bad", "ganzoo-bad", "1.0")]
    assert said in registry.broken[0].error
    assert registry.get("generator", "good").qualified == "good/good"
    assert registry.get("generator", "dcgan").qualified == "zoo/dcgan"
    assert not [r for r in registry.components if r.plugin.name == "bad"]


def test_broken_plugin_is_shown_by_list_plugins_and_doctor(plugins: Path) -> None:
    install(plugins, "bad", BROKEN["import"][0])
    for command, code in (("list", 0), ("plugins", 1), ("doctor", 1)):
        done = python("-m", "ganzoo", command, PYTHONPATH=str(plugins))
        assert "no such GPU" in done.stdout + done.stderr, command
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_plugin_name_taken_twice(plugins: Path) -> None:
    install(plugins, "twin", GOOD, "ganzoo-a")
    install(plugins, "twin", GOOD, "ganzoo-b")
    registry = Registry.discover({})
    assert [(p.distribution, p.error) for p in registry.broken] == [
        ("ganzoo-b", "the plugin name 'twin' is already taken by ganzoo-a")
    ]
    assert registry.get("generator", "twin").plugin.distribution == "ganzoo-a"


def test_a_stranger_cannot_take_the_name_of_the_built_ins(plugins: Path) -> None:
    install(plugins, "zoo", GOOD, "aaa-first")
    registry = Registry.discover({})
    assert [p.distribution for p in registry.broken] == ["aaa-first"]
    assert registry.get("generator", "dcgan").plugin.distribution == "torch-ganzoo"


def test_same_component_name_in_two_plugins_is_qualified(plugins: Path) -> None:
    install(plugins, "other", GOOD.replace("{name}", "dcgan"))
    registry = Registry.discover({})
    with pytest.raises(NameClash, match="write other/dcgan or zoo/dcgan"):
        registry.get("generator", "dcgan")
    assert registry.get("generator", "zoo/dcgan").component.target.startswith("ganzoo_zoo.")
    done = python("-m", "ganzoo", "list", "generators", PYTHONPATH=str(plugins))
    assert "other/dcgan" in done.stdout
    assert "zoo/dcgan" in done.stdout


def test_environment_switches_plugins_off(plugins: Path) -> None:
    install(plugins, "good", GOOD)
    names = lambda **environ: {p.name for p in Registry.discover(environ).plugins}  # noqa: E731
    assert names() >= {"zoo", "good"}
    assert "good" not in names(GANZOO_DISABLE_PLUGINS="good")
    assert names(GANZOO_DISABLE_PLUGINS="all") == set()
    assert names(GANZOO_PLUGINS="good") == {"good"}
    with pytest.raises(UnknownComponent, match="switched off"):
        Registry.discover({"GANZOO_DISABLE_PLUGINS": "good"}).get("generator", "good/good")
    assert Registry.discover({"GANZOO_PLUGINS": "zoo, absent"}).broken[0].error.endswith("not installed")


def test_misses_name_the_nearest_and_the_command() -> None:
    registry = Registry.discover({})
    with pytest.raises(UnknownComponent, match=r"did you mean 'dcgan'\? See them all: ganzoo list generators"):
        registry.get("generator", "dcgn")
    with pytest.raises(UnknownComponent, match="pip install ganzoo-fantasy"):
        registry.get("generator", "fantasy/fantasy")
    with pytest.raises(UnknownComponent, match="did you mean 'losses'"):
        registry.list("looses")


def test_a_component_that_cannot_be_imported_says_so() -> None:
    with pytest.raises(BrokenPlugin, match=r"component 'x' cannot be imported from ganzoo.nowhere:X"):
        Component("x", "ganzoo.nowhere:X").load()


def test_create_checks_options_against_the_signature() -> None:
    shape = ganzoo.ImageShape(1, 32, 32, 10)
    assert create("generator", "dcgan", shape, width=8).z_dim == 100
    with pytest.raises(BadOption, match=r"generator 'dcgan' has no option 'widht'; did you mean 'width'\?.*z_dim"):
        create("generator", "dcgan", shape, widht=8)
    with pytest.raises(BadOption, match="option 'width' is int, not 'wide'"):
        create("generator", "dcgan", shape, width="wide")
    with pytest.raises(BadOption, match="generator 'dcgan' cannot be created with"):
        create("generator", "dcgan", shape, z_dim=-3)


def several(sides: list[int] | tuple[str, ...] | None = None, loss: Callable[[int], int] | int = 1) -> object:
    """Return what it is given, under annotations of which a file has only one form, or none."""
    return sides, loss


@pytest.mark.parametrize(
    ("given", "made"), [([1, 2], [1, 2]), (["a"], ("a",)), (None, None), ("a", ""), (3, ""), ([1, "a"], ""), ([{}], "")]
)
def test_unions_of_several_lists_are_checked(given: object, made: object) -> None:
    if made == "":
        with pytest.raises(BadOption, match=r"it: option 'sides' is list\[int\] \| tuple\[str, \.\.\.\] \| None, not"):
            check_options(several, {"sides": given}, "it")
    else:
        assert check_options(several, {"sides": given}, "it") == {"sides": made}
    assert check_options(several, {"loss": abs}, "it") == {"loss": abs}


@pytest.mark.parametrize("words", [["list"], ["list", "ssl", "--json"], ["--help"], ["--version"], ["plugins"]])
def test_discovery_imports_no_torch(words: list[str]) -> None:
    code = (
        "import sys\nfrom ganzoo.cli import main\n"
        f"try: main({words!r})\nexcept SystemExit as e: assert not e.code\n"
        "heavy = {'torch', 'accelerate', 'datasets', 'timm', 'pydantic', 'rich'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy), file=sys.stderr)"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert "heavy: []" in done.stderr


def test_list_as_json_is_what_list_components_returns() -> None:
    rows = json.loads(python("-m", "ganzoo", "list", "--json").stdout)
    assert [r["qualified"] for r in rows] == [r.qualified for r in ganzoo.list_components()]
    assert {"generator", "ssl", "preset"} <= {r["kind"] for r in rows}


def test_built_ins_arrive_like_any_plugin() -> None:
    (zoo,) = [p for p in Registry.discover({}).plugins if p.name == "zoo"]
    assert isinstance(zoo.entry, EntryPoint)
    assert zoo.entry.group == discovery.GROUP == "ganzoo"


def test_pluggy_marker_is_public() -> None:
    module = ModuleType("mine")
    module.ganzoo_losses = hookimpl(lambda: [Component("l", "a:b")])  # type: ignore[attr-defined]
    assert callable(module.ganzoo_losses)


class Portrait:
    """A generator whose author calls the first argument as she likes.

    Args:
        image_shape: Shape of the images.
        width: Channels.
    """

    def __init__(self, image_shape: ganzoo.ImageShape, width: int = 3) -> None:
        self.shape, self.width = image_shape, width


def test_the_shape_may_be_called_anything() -> None:
    plugin = discovery.Plugin("p", None)
    component = Component("portrait", "tests.registry.test_discovery:Portrait")
    registry = Registry([plugin], [discovery.Registered("generator", plugin, component)])
    made = registry.create("generator", "portrait", (ganzoo.ImageShape(3, 8, 8, 0),), {"width": 5})
    assert (made.shape.height, made.width) == (8, 5)
    assert [o.name for o in options_of(Portrait)] == ["width"]
    with pytest.raises(BadOption, match="has no option 'image_shape'"):
        registry.create("generator", "portrait", (ganzoo.ImageShape(3, 8, 8, 0),), {"image_shape": 5})


def test_a_former_name_finds_the_component_of_today() -> None:
    registry = discovery.installed()
    for name in ("gradient_penalty", "zoo/gradient_penalty"):
        assert registry.get("penalty", name).qualified == "zoo/gradient-penalty"
    names = [r.component.name for r in registry.components]
    assert not [name for name in names if "_" in name]


@pytest.mark.parametrize("kind", ["gen", "generator", "generators", "disc"])
def test_kinds_are_called_as_by_the_flags(kind: str, cli: Callable[..., Result]) -> None:
    done = cli("info", f"{kind}/dcgan")
    assert done.exit_code == 0, done.output
    assert "zoo/dcgan" in done.output
    assert cli("list", kind).exit_code == 0

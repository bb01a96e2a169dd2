"""Find the components that installed plugins offer; a broken plugin never takes others down."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from ganzoo import hookspecs
from ganzoo.component import NAME, Component, describe
from ganzoo.errors import BadOption, BrokenPlugin, GanzooError, NameClash, UnknownComponent, brief, nearest
from ganzoo.hookspecs import KINDS

GROUP = "ganzoo"
HOME = "torch-ganzoo"


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed plugin: its entry-point name and, when it could not be used, why."""

    name: str
    entry: EntryPoint | None
    error: str = ""

    @property
    def distribution(self) -> str:
        """Name of the package that brought it, as pip knows it."""
        return self.entry.dist.name if self.entry and self.entry.dist else "?"

    @property
    def version(self) -> str:
        """Version of that package."""
        return self.entry.dist.version if self.entry and self.entry.dist else "?"


@dataclass(frozen=True, slots=True)
class Registered:
    """A component, its kind (singular) and the plugin that offers it; of a family, the member that was asked for."""

    kind: str
    plugin: Plugin
    component: Component
    member: str = ""

    @property
    def qualified(self) -> str:
        """`plugin/name`, which no other component of this kind has; with `/member` for one of a family."""
        return f"{self.plugin.name}/{self.component.name}{'/' * bool(self.member)}{self.member}"

    def of_family(self, name: str) -> Registered | None:
        """Return the member of this family that is called `name/member` or `plugin/name/member`, if it is that."""
        family = self.component.family
        for own in (f"{self.qualified}/", f"{self.component.name}/"):
            if family and name.startswith(own) and (member := name.removeprefix(own)):
                defaults = {**self.component.defaults, family: member}
                return replace(self, component=replace(self.component, defaults=defaults), member=member)
        return None


class Registry:
    """The components of a set of plugins.

    plugins: every plugin that was found, broken ones included.
    components: every component of the good ones, by kind and by plugin.
    switched_off: names of plugins that are installed but left out by the environment.
    """

    def __init__(
        self, plugins: Iterable[Plugin], components: Iterable[Registered], switched_off: Iterable[str] = ()
    ) -> None:
        self.plugins = tuple(plugins)
        self.switched_off = frozenset(switched_off)
        self.components = tuple(components)

    @classmethod
    def discover(cls, environ: Mapping[str, str] = os.environ) -> Registry:
        """Load every plugin of the entry-point group `ganzoo` that the environment does not switch off.

        `GANZOO_DISABLE_PLUGINS=a,b` leaves those out (`all`: every one); `GANZOO_PLUGINS=a,b` loads only those.
        A plugin that fails to import, exits, has a wrong hook, returns nonsense or takes a name that is taken is
        kept in `plugins` with its error.
        """
        only, disabled = _names(environ.get("GANZOO_PLUGINS")), _names(environ.get("GANZOO_DISABLE_PLUGINS"))
        entries = sorted(
            entry_points(group=GROUP), key=lambda e: (e.name, (brought := _distribution(e)) != HOME, brought)
        )
        plugins: dict[str, Plugin] = {}
        rejected: list[Plugin] = []
        switched_off: set[str] = set()
        components: list[Registered] = []
        for entry in entries:
            if disabled & {entry.name, "all", "1"} or (only and entry.name not in only):
                switched_off.add(entry.name)
                continue
            if taken := plugins.get(entry.name):
                error = f"the plugin name '{entry.name}' is already taken by {taken.distribution}"
                rejected.append(Plugin(entry.name, entry, error))
                continue
            try:
                plugin = Plugin(entry.name, entry)
                components += _components(plugin, entry.load())
            except (Exception, SystemExit) as error:
                plugin = Plugin(entry.name, entry, describe(error))
            plugins[entry.name] = plugin
        installed = {e.name for e in entries}
        rejected += [Plugin(n, None, "GANZOO_PLUGINS names it, but it is not installed") for n in only - installed]
        return cls([*plugins.values(), *rejected], components, switched_off)

    @property
    def broken(self) -> list[Plugin]:
        """Plugins that could not be used."""
        return [p for p in self.plugins if p.error]

    def list(self, kind: str | None = None) -> list[Registered]:
        """Return the components of a kind (singular or plural), or all of them, sorted by kind and name."""
        wanted = [singular(kind)] if kind else list(KINDS.values())
        return [r for k in wanted for r in sorted(self.components, key=lambda r: r.component.name) if r.kind == k]

    def get(self, kind: str, name: str) -> Registered:
        """Return the one component of `kind` called `name` or `plugin/name`.

        Raises UnknownComponent with the nearest name, or NameClash when several plugins offer the bare name.
        """
        kind = singular(kind)
        offered = [r for r in self.components if r.kind == kind]
        found = [r for r in offered if name in (r.qualified, r.component.name)]
        found = found or [member for r in offered if (member := r.of_family(name))]
        if len(found) == 1:
            return found[0]
        if found:
            choices = " or ".join(sorted(r.qualified for r in found))
            raise NameClash(f"several plugins offer a {kind} '{name}'; write {choices}")
        raise UnknownComponent(self._unknown(kind, name, offered))

    def create(
        self, kind: str, name: str, context: Iterable[Any] = (), options: Mapping[str, Any] | None = None
    ) -> Any:
        """Make a component by name, as `ganzoo.create` does."""
        from ganzoo.options import check_options

        registered = self.get(kind, name)
        component = registered.component
        target, where = component.load(), f"{registered.kind} '{component.name}'"
        checked = check_options(target, {**component.defaults, **(options or {})}, where)
        try:
            return target(*context, **checked)
        except GanzooError:
            raise
        except Exception as error:  # a value of the right type that makes no sense, or a fault of the plugin
            given = brief(checked) if checked else "its defaults"
            raise BadOption(f"{where} cannot be made with {given} ({describe(error)})") from error

    def _unknown(self, kind: str, name: str, offered: Iterable[Registered]) -> str:
        plugin, slash, bare = name.rpartition("/")
        plural = next(many for many, one in KINDS.items() if one == kind)
        if slash and (broken := next((p for p in self.broken if p.name == plugin), None)):
            return f"{kind} '{name}': the plugin '{plugin}' is broken ({broken.error}); see: ganzoo doctor"
        if slash and plugin in self.switched_off:
            return f"{kind} '{name}': the plugin '{plugin}' is switched off by GANZOO_DISABLE_PLUGINS or GANZOO_PLUGINS"
        if slash and NAME.fullmatch(plugin) and plugin not in {p.name for p in self.plugins}:
            return f"{kind} '{name}': no plugin '{plugin}' is installed; try: pip install ganzoo-{plugin}"
        known = {r.component.name for r in offered}
        off = f" (switched off: {', '.join(sorted(self.switched_off))})" if self.switched_off else ""
        return f"no {kind} is called '{bare}'{nearest(bare, known)} See them all: ganzoo list {plural}{off}"


@functools.cache
def installed() -> Registry:
    """Return the registry of what is installed, discovered once in a process."""
    return Registry.discover()


def distributions() -> set[str]:
    """Return the names of the installed packages that bring plugins."""
    return {p.distribution for p in installed().plugins}


def create(kind: str, name: str, /, *context: Any, **options: Any) -> Any:
    """Make an installed component by name: `create("generator", "dcgan", shape, width=64)`.

    `context` is what the kind's hook says its targets are given: the `ImageShape` for generators and discriminators,
    nothing for the others. Raises UnknownComponent, NameClash, BrokenPlugin or BadOption.
    """
    return installed().create(kind, name, context, options)


def singular(kind: str) -> str:
    """Return the singular of a kind given in either number. Raises UnknownComponent for anything else."""
    if kind in KINDS.values():
        return kind
    if kind in KINDS:
        return KINDS[kind]
    raise UnknownComponent(f"'{kind}' is no kind of component{nearest(kind, KINDS)} The kinds: {', '.join(KINDS)}")


def _components(plugin: Plugin, module: object) -> list[Registered]:
    """Ask one plugin for its components, alone, so that its faults stay its own."""
    manager = pluggy.PluginManager("ganzoo")
    manager.add_hookspecs(hookspecs)
    manager.register(module)
    manager.check_pending()
    found: list[Registered] = []
    for plural, kind in KINDS.items():
        names: set[str] = set()
        for implementation in getattr(manager.hook, f"ganzoo_{plural}").get_hookimpls():
            offered = implementation.function()
            if not isinstance(offered, list | tuple) or not all(isinstance(c, Component) for c in offered):
                raise TypeError(f"ganzoo_{plural} returned {offered!r:.60}, not a list of Component")
            for component in offered:
                if component.name in names:
                    raise ValueError(f"ganzoo_{plural} returned two components called '{component.name}'")
                names.add(component.name)
                found.append(Registered(kind, plugin, component))
    if not manager.get_hookcallers(module):
        raise BrokenPlugin("it has no function marked with @hookimpl")
    return found


def _names(value: str | None) -> set[str]:
    return {name.strip() for name in (value or "").split(",") if name.strip()}


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else ""

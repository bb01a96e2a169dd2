"""Discovery of plugins and their components. A broken plugin does not affect the others."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from ganzoo.errors import BadOption, BrokenPlugin, GanzooError, NameClash, UnknownComponent, brief, nearest
from ganzoo.registry import hookspecs
from ganzoo.registry.component import NAME, Component, describe
from ganzoo.registry.hookspecs import KINDS

GROUP = "ganzoo"
"""Group of the entry points."""
HOME = "torch-ganzoo"
"""Package whose plugins have precedence over others of the same name."""
SHORT_KINDS = {"gen": "generator", "disc": "discriminator"}
"""Kinds by the names of their flags on the command line."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed plugin.

    Attributes:
        name: Name of its entry point.
        entry: The entry point; None if no plugin of that name is installed.
        error: Why it cannot be used; empty if it can.
    """

    name: str
    entry: EntryPoint | None
    error: str = ""

    @property
    def distribution(self) -> str:
        """Name of its package on PyPI, as for pip."""
        return self.entry.dist.name if self.entry and self.entry.dist else "?"

    @property
    def version(self) -> str:
        """Version of its package."""
        return self.entry.dist.version if self.entry and self.entry.dist else "?"


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered component.

    Attributes:
        kind: Kind in the singular, as "generator".
        plugin: Plugin that provides it.
        component: Its description.
        member: For a family, the member that was looked up.
    """

    kind: str
    plugin: Plugin
    component: Component
    member: str = ""

    @property
    def qualified(self) -> str:
        """`plugin/name`, or `plugin/name/member` for a member of a family; unique within its kind."""
        return f"{self.plugin.name}/{self.component.name}{'/' * bool(self.member)}{self.member}"

    @property
    def former_names(self) -> set[str]:
        """Names in earlier versions, with and without the name of the plugin."""
        names = self.component.former_names
        return {*names, *(f"{self.plugin.name}/{name}" for name in names)}

    def of_family(self, name: str) -> Registered | None:
        """Return a member of this family.

        Args:
            name: `name/member` or `plugin/name/member`.

        Returns:
            The member; None if this is not a family, or has another name.
        """
        family = self.component.family
        for prefix in (f"{self.qualified}/", f"{self.component.name}/"):
            if family and name.startswith(prefix) and (member := name.removeprefix(prefix)):
                defaults = {**self.component.defaults, family: member}
                return replace(self, component=replace(self.component, defaults=defaults), member=member)
        return None


class Registry:
    """The components of a set of plugins.

    Args:
        plugins: All plugins that were found, including broken ones.
        components: All components of the plugins that work.
        switched_off: Names of plugins that are installed, but disabled by environment variables.
    """

    def __init__(
        self, plugins: Iterable[Plugin], components: Iterable[Registered], switched_off: Iterable[str] = ()
    ) -> None:
        self.plugins = tuple(plugins)
        self.switched_off = frozenset(switched_off)
        self.components = tuple(components)

    @classmethod
    def discover(cls, environ: Mapping[str, str] = os.environ) -> Registry:
        """Load the plugins of the entry-point group `ganzoo`.

        `GANZOO_DISABLE_PLUGINS=a,b` disables plugins (`all`: every one), and `GANZOO_PLUGINS=a,b` loads only those. A
        plugin that cannot be imported, exits, has an invalid hook, returns something invalid, or has the name of
        another one is listed in `plugins` with its error.

        Args:
            environ: Environment variables.
        """
        only, disabled = _names(environ.get("GANZOO_PLUGINS")), _names(environ.get("GANZOO_DISABLE_PLUGINS"))
        entries = sorted(
            entry_points(group=GROUP), key=lambda e: (e.name, (package := _distribution(e)) != HOME, package)
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
        absent = only - {entry.name for entry in entries}
        rejected += [Plugin(name, None, "GANZOO_PLUGINS names it, but it is not installed") for name in absent]
        return cls([*plugins.values(), *rejected], components, switched_off)

    @property
    def broken(self) -> list[Plugin]:
        """Plugins that cannot be used."""
        return [p for p in self.plugins if p.error]

    def list(self, kind: str | None = None) -> list[Registered]:
        """List components, sorted by kind and name.

        Args:
            kind: Kind in the singular or plural; default: all.

        Raises:
            UnknownComponent: There is no such kind.
        """
        kinds = [singular(kind)] if kind else list(KINDS.values())
        return [r for k in kinds for r in sorted(self.components, key=lambda r: r.component.name) if r.kind == k]

    def get(self, kind: str, name: str) -> Registered:
        """Look up a component.

        Args:
            kind: Kind in the singular or plural.
            name: `name` or `plugin/name`, present or former; for a member of a family with `/member`.

        Raises:
            UnknownComponent: There is no such component. The message suggests the most similar name.
            NameClash: Several plugins provide a component of this name; write `plugin/name`.
        """
        kind = singular(kind)
        offered = [r for r in self.components if r.kind == kind]
        matches = [r for r in offered if name in (r.qualified, r.component.name)]
        matches = matches or [member for r in offered if (member := r.of_family(name))]
        matches = matches or [r for r in offered if name in r.former_names]
        if len(matches) == 1:
            return matches[0]
        if matches:
            choices = " or ".join(sorted(r.qualified for r in matches))
            raise NameClash(f"several plugins provide a {kind} '{name}'; write {choices}")
        raise UnknownComponent(self._unknown(kind, name, offered))

    def create(
        self, kind: str, name: str, context: Iterable[Any] = (), options: Mapping[str, Any] | None = None
    ) -> Any:
        """Create a component.

        Args:
            kind: Kind of component, as "generator".
            name: `name` or `plugin/name`.
            context: Positional arguments of the kind's targets.
            options: Options of the component.

        Raises:
            UnknownComponent: There is no such component.
            NameClash: Several plugins provide a component of this name.
            BrokenPlugin: The component cannot be imported.
            BadOption: An option is unknown, missing or invalid.
        """
        from ganzoo.registry.options import check_options

        registered = self.get(kind, name)
        component = registered.component
        target, where = component.load(), f"{registered.kind} '{component.name}'"
        context = tuple(context)
        checked = check_options(target, {**component.defaults, **(options or {})}, where, len(context))
        try:
            return target(*context, **checked)
        except GanzooError:
            raise
        except Exception as error:  # an invalid value of the right type, or a bug of the plugin
            values = brief(checked) if checked else "its default options"
            raise BadOption(f"{where} cannot be created with {values} ({describe(error)})") from error

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
    """Return the registry of the installed plugins. It is discovered once per process."""
    return Registry.discover()


def distributions() -> set[str]:
    """Return the names of the installed packages that provide plugins."""
    return {p.distribution for p in installed().plugins}


def create(kind: str, name: str, /, *context: Any, **options: Any) -> Any:
    """Create an installed component: `create("generator", "dcgan", shape, width=64)`.

    Args:
        kind: Kind of component, as "generator".
        name: `name` or `plugin/name`.
        context: Positional arguments of the kind's targets: the `ImageShape` for generators and discriminators, none
            for other kinds.
        options: Options of the component.

    Returns:
        What the target of the component returns, for example a network.

    Raises:
        UnknownComponent: There is no such component.
        NameClash: Several plugins provide a component of this name; write `plugin/name`.
        BrokenPlugin: The component cannot be imported.
        BadOption: An option is unknown, missing or invalid.
    """
    return installed().create(kind, name, context, options)


def singular(kind: str) -> str:
    """Return the singular of a kind.

    Args:
        kind: Kind in the singular or plural, or by the name of its flag.

    Raises:
        UnknownComponent: There is no such kind.
    """
    kind = SHORT_KINDS.get(kind, kind)
    if kind in KINDS.values():
        return kind
    if kind in KINDS:
        return KINDS[kind]
    raise UnknownComponent(f"'{kind}' is not a kind of component{nearest(kind, KINDS)} Kinds: {', '.join(KINDS)}")


def _components(plugin: Plugin, module: object) -> list[Registered]:
    """Return the components of one plugin.

    Each plugin has a plugin manager of its own, so that its errors do not affect others.

    Raises:
        BrokenPlugin: The plugin has no hook.
        TypeError: A hook returns something other than a list of Component.
        ValueError: A hook returns two components of the same name.
    """
    manager = pluggy.PluginManager("ganzoo")
    manager.add_hookspecs(hookspecs)
    manager.register(module)
    manager.check_pending()
    components: list[Registered] = []
    for plural, kind in KINDS.items():
        names: set[str] = set()
        for implementation in getattr(manager.hook, f"ganzoo_{plural}").get_hookimpls():
            offered = implementation.function()
            if isinstance(offered, Component):
                raise TypeError(f"ganzoo_{plural} returned Component '{offered.name}' alone; return it in a list")
            if not isinstance(offered, list | tuple):
                raise TypeError(f"ganzoo_{plural} returned {offered!r:.60}, not a list of Component")
            if other := [c for c in offered if not isinstance(c, Component)]:
                raise TypeError(f"ganzoo_{plural} returned a {type(other[0]).__name__} in its list, not a Component")
            for component in offered:
                if component.name in names:
                    raise ValueError(f"ganzoo_{plural} returned two components called '{component.name}'")
                names.add(component.name)
                components.append(Registered(kind, plugin, component))
    if not manager.get_hookcallers(module):
        raise BrokenPlugin("it has no function marked with @hookimpl")
    return components


def _names(value: str | None) -> set[str]:
    return {name.strip() for name in (value or "").split(",") if name.strip()}


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else ""

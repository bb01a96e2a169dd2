"""`ganzoo info`."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from typing import Any

import click

from ganzoo.errors import GanzooError, UnknownComponent
from ganzoo.registry.component import ImageShape
from ganzoo.registry.discovery import SHORT_KINDS, Registered, Registry, distributions, installed
from ganzoo.registry.hookspecs import KINDS
from ganzoo.registry.options import options_of

COUNTED_SIZES = (32, 64)
"""Image sizes in pixels for which parameters are counted."""
SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|References|Examples?):", re.MULTILINE)
NEWLINES = "\n\t"


@click.command("info")
@click.argument("name", metavar="KIND/NAME")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str, as_json: bool) -> None:
    """Explain a component and its options.

    For example: `ganzoo info generator/dcgan`. `ganzoo info hub:org/name` shows the metadata of a model on the Hub
    without downloading its weights.
    """
    if name.startswith("hub:"):
        return show_model(name, as_json)
    registered = _find(installed(), name)
    component, target = registered.component, registered.component.load()
    options = options_of(target) if callable(target) else []
    if as_json:
        rows = [
            {"name": o.name, "type": o.type, "default": component.defaults.get(o.name, o.default), "meaning": o.meaning}
            for o in options
        ]
        click.echo(json.dumps({**metadata_of(registered), "options": rows}, indent=2, default=str))
        return None
    for key, value in metadata_of(registered).items():
        if value and not (key == "sizes" and registered.kind not in ("generator", "discriminator")):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            click.echo(f"{key:9}{text}")
    if callable(target):
        prose = SECTION.split(inspect.cleandoc(target.__doc__ or ""), maxsplit=1)[0]
        click.echo(f"\n{textwrap.fill(' '.join(prose.split()), 100)}" if prose else "")
        click.echo("\noptions" if options else "\nno options")
        for o in options:
            default = "required" if o.required else component.defaults.get(o.name, o.default)
            meaning = textwrap.indent(textwrap.fill(o.meaning, 92), "      ")
            click.echo(f"  {o.name} = {default}  ({o.type})" + (f"\n{meaning}" if o.meaning else ""))
    else:
        import yaml

        click.echo("\n" + yaml.safe_dump(dict(target), sort_keys=False).rstrip())
    return None


def metadata_of(registered: Registered) -> dict[str, Any]:
    """Return the metadata of a component by the name under which it is printed."""
    component = registered.component
    return {
        "kind": registered.kind,
        "name": registered.qualified,
        "summary": component.summary,
        "paper": component.paper,
        "origin": component.origin,
        "caution": component.caution,
        "sizes": component.supported_sizes,
        "weights": count_parameters(registered),
        "package": f"{registered.plugin.distribution} {registered.plugin.version}",
        "code": component.target,
    }


def show_model(name: str, as_json: bool) -> None:
    """Print the metadata of a model on the Hub.

    Args:
        name: `hub:org/name`, with `@revision` if wanted.
        as_json: Print JSON.

    Raises:
        HubError: The Hub cannot be reached, or has no such model.
        CorruptFile: The configuration of the model is damaged.
    """
    from ganzoo.errors import printable
    from ganzoo.model.gan import GAN

    summary = GAN.inspect(name)
    if as_json:
        click.echo(json.dumps({"commit": summary.commit, "config": summary.config, "sizes": summary.sizes}, indent=2))
        return
    config = summary.config
    shape, classes = config["shape"], printable(", ".join(config["class_names"][:20])) or "none"
    click.echo(f"{'model':15}{summary.name}")
    channels = f"{shape['channels']} channel{'s' * (shape['channels'] > 1)}"
    click.echo(f"{'images':15}{shape['height']}×{shape['width']}, {channels}; classes: {classes}")
    for kind, component in config["components"].items():
        absent = "" if component["package"] in distributions() else ", which is not installed"
        package = f"{component['package']} {component['version']}{absent}" if component["package"] else "no package"
        click.echo(f"{kind:15}{component['name']} {component['options'] or ''} ({package})")
    for file, size in summary.sizes.items():
        click.echo(f"{'file':15}{printable(file)} {size:,} bytes")
    click.echo(f"\n{printable(summary.card, keep=NEWLINES).rstrip()}" if summary.card else "")


def count_parameters(registered: Registered) -> str:
    """Count the parameters of a network with its default options.

    Returns:
        The numbers for RGB images of those of the sizes 32×32 and 64×64 that the network supports, in words; empty
        for components that are no networks, and for networks that cannot be built without options.
    """
    if registered.kind not in ("generator", "discriminator") or (registered.component.family and not registered.member):
        return ""
    from ganzoo.strategy.heads import RealnessHead
    from ganzoo.strategy.networks import HeadedNetwork

    counts = []
    for size in COUNTED_SIZES:
        if size in (registered.component.sizes or COUNTED_SIZES):
            try:
                network = registered.component.load()(ImageShape(3, size, size, 10), **registered.component.defaults)
                network = (
                    HeadedNetwork(network, RealnessHead(network)) if registered.kind == "discriminator" else network
                )
            except Exception:  # a bug of the plugin, or a required option: reported when the component is used
                return ""
            counts.append(f"{sum(p.numel() for p in network.parameters()):,} at {size}×{size}")
    return f"{', '.join(counts)} RGB" if counts else ""


def _find(registry: Registry, name: str) -> Registered:
    kind, slash, rest = name.partition("/")
    if slash and kind in (*KINDS, *KINDS.values(), *SHORT_KINDS):
        return registry.get(kind, rest)
    matches = [r for r in registry.list() if name in (r.component.name, r.qualified)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UnknownComponent(
            f"several components are called '{name}'; write {' or '.join(sorted(f'{r.kind}/{name}' for r in matches))}"
        )
    errors: list[GanzooError] = []
    for candidate in KINDS.values():
        try:
            registry.get(candidate, name)
        except UnknownComponent as error:
            errors.append(error)
    raise next(
        (e for e in errors if "did you mean" in str(e)),
        UnknownComponent(
            f"no component is called '{name}'; write KIND/NAME as in generator/dcgan, or see: ganzoo list"
        ),
    )

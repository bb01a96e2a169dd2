"""`ganzoo info`."""

from __future__ import annotations

import inspect
import json
import textwrap

import click

from ganzoo.component import ImageShape
from ganzoo.errors import GanzooError, UnknownComponent
from ganzoo.hookspecs import KINDS
from ganzoo.options import options_of
from ganzoo.registry import Registered, Registry, distributions, installed

COUNTED = (32, 64)
NEWLINES = "\n\t"


@click.command("info")
@click.argument("name", metavar="KIND/NAME")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str, as_json: bool) -> None:
    """Explain a component and its options, as in `ganzoo info generator/dcgan`; or a model of the Hub.

    `ganzoo info hub:org/name` shows what a model says of itself, and fetches no weights.
    """
    if name.startswith("hub:"):
        return show_model(name, as_json)
    found = _find(installed(), name)
    component, target = found.component, found.component.load()
    options = options_of(target) if callable(target) else []
    facts = {
        "kind": found.kind,
        "name": found.qualified,
        "summary": component.summary,
        "paper": component.paper,
        "origin": component.origin,
        "caution": component.caution,
        "sizes": list(component.sizes) or "any",
        "weights": parameters(found),
        "package": f"{found.plugin.distribution} {found.plugin.version}",
        "code": component.target,
    }
    if as_json:
        rows = [
            {"name": o.name, "type": o.type, "default": component.defaults.get(o.name, o.default), "meaning": o.meaning}
            for o in options
        ]
        click.echo(json.dumps({**facts, "options": rows}, indent=2, default=str))
        return None
    for key, value in facts.items():
        if value and not (key == "sizes" and found.kind not in ("generator", "discriminator")):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            click.echo(f"{key:9}{shown}")
    if callable(target):
        prose = inspect.cleandoc(target.__doc__ or "").partition("Args:")[0].partition("Raises")[0].strip()
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


def show_model(name: str, as_json: bool) -> None:
    """Print what a model of the Hub says of itself. Raises CorruptFile or HubError."""
    from ganzoo.errors import shown
    from ganzoo.model import GAN

    seen = GAN.inspect(name)
    if as_json:
        click.echo(json.dumps({"commit": seen.commit, "config": seen.config, "sizes": seen.sizes}, indent=2))
        return
    config = seen.config
    shape, classes = config["shape"], shown(", ".join(config["class_names"][:20])) or "none"
    click.echo(f"{'model':15}{seen.name}")
    channels = f"{shape['channels']} channel{'s' * (shape['channels'] > 1)}"
    click.echo(f"{'images':15}{shape['size']}×{shape['size']}, {channels}; classes: {classes}")
    for kind, part in config["components"].items():
        absent = "" if part["package"] in distributions() else ", which is not installed"
        package = f"{part['package']} {part['version']}{absent}" if part["package"] else "of no package"
        click.echo(f"{kind:15}{part['name']} {part['options'] or ''} ({package})")
    for file, size in seen.sizes.items():
        click.echo(f"{'file':15}{shown(file)} {size:,} bytes")
    click.echo(f"\n{shown(seen.card, keep=NEWLINES).rstrip()}" if seen.card else "")


def parameters(found: Registered) -> str:
    """Return how many parameters a network has by default, for RGB images of 32×32 and 64×64 that it can do."""
    if found.kind not in ("generator", "discriminator") or (found.component.family and not found.member):
        return ""
    from ganzoo.critic import Critic
    from ganzoo.strategy import RealnessHead

    counts = []
    for size in COUNTED:
        if size in (found.component.sizes or COUNTED):
            try:
                network = found.component.load()(ImageShape(3, size, 10), **found.component.defaults)
                network = Critic(network, RealnessHead(network)) if found.kind == "discriminator" else network
            except Exception:  # a plugin's fault, or an option it cannot do without; told when it is trained
                return ""
            counts.append(f"{sum(p.numel() for p in network.parameters()):,} at {size}×{size}")
    return f"{', '.join(counts)} RGB" if counts else ""


def _find(registry: Registry, name: str) -> Registered:
    kind, slash, rest = name.partition("/")
    if slash and kind in (*KINDS, *KINDS.values()):
        return registry.get(kind, rest)
    matches = [r for r in registry.list() if name in (r.component.name, r.qualified)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UnknownComponent(
            f"'{name}' is several things; write {' or '.join(sorted(f'{r.kind}/{name}' for r in matches))}"
        )
    errors: list[GanzooError] = []
    for one in KINDS.values():
        try:
            registry.get(one, name)
        except UnknownComponent as error:
            errors.append(error)
    raise next(
        (e for e in errors if "did you mean" in str(e)),
        UnknownComponent(
            f"no component is called '{name}'; write KIND/NAME as in generator/dcgan, or see: ganzoo list"
        ),
    )

"""`ganzoo list`."""

from __future__ import annotations

import json
from collections import Counter

import click

from ganzoo.hookspecs import KINDS
from ganzoo.registry import installed


@click.command("list")
@click.argument("kind", required=False, metavar="[KIND]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(kind: str | None, as_json: bool) -> None:
    """List components: generators, losses, strategies, …

    KIND is one of generators, discriminators, losses, penalties, augments, ssl, datasets, presets.
    """
    registry = installed()
    found = registry.list(kind)
    if as_json:
        described = [
            {"kind": r.kind, "plugin": r.plugin.name, "qualified": r.qualified, **r.component.to_dict()} for r in found
        ]
        click.echo(json.dumps(described, indent=2))
    else:
        offered = Counter((r.kind, r.component.name) for r in found)
        rows = [
            (r.kind, r.component.name if offered[r.kind, r.component.name] == 1 else r.qualified, r.component)
            for r in found
        ]
        width = max((len(name) for _, name, _ in rows), default=0)
        for plural, one in KINDS.items():
            if any(kind == one for kind, _, _ in rows):
                click.secho(plural, bold=True)
            for kind, name, component in rows:
                if kind == one:
                    paper = f" · {component.paper}" if component.paper else ""
                    click.echo(f"  {name:{width}}  {component.summary}{paper}")
    for plugin in registry.broken:
        click.echo(f"warning: plugin '{plugin.name}' ({plugin.distribution}) is left out: {plugin.error}", err=True)

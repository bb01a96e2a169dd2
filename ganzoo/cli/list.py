"""`ganzoo list`."""

from __future__ import annotations

import json
from collections import Counter

import click

from ganzoo.errors import BadOption
from ganzoo.hookspecs import KINDS
from ganzoo.registry import Registered, installed, singular


class Listing(click.Command):
    """A command with an option for every family of components, as `--timm PATTERN`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options, those of the families among them."""
        own = [
            click.Option([f"--{name}"], metavar="PATTERN", help=f"List what may follow {name}/, as in '*net*'.")
            for name in families()
        ]
        return [*super().get_params(ctx), *own]


def families() -> dict[str, list[Registered]]:
    """Return the components that stand for many, by name; several kinds may have one of a name."""
    found: dict[str, list[Registered]] = {}
    for r in installed().list():
        if r.component.family:
            found.setdefault(r.component.name, []).append(r)
    return found


@click.command("list", cls=Listing)
@click.argument("kind", required=False, metavar="[KIND]")
@click.option("--hub", is_flag=True, help="With KIND models: those on the Hugging Face Hub.")
@click.option("--author", metavar="ORG", help="With --hub: of one user or organisation.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(kind: str | None, hub: bool, author: str | None, as_json: bool, **patterns: str | None) -> None:
    """List components: generators, losses, strategies, …

    KIND is one of generators, discriminators, losses, penalties, augments, ssl, datasets, presets; or models, with
    --hub.
    """
    if hub or author or kind == "models":
        return list_models(kind, hub, author, as_json)
    for name, pattern in patterns.items():
        if pattern is not None:
            return list_members(families()[name], kind, pattern, as_json)
    registry = installed()
    found = registry.list(kind)
    if as_json:
        described = [
            {"kind": r.kind, "plugin": r.plugin.name, "qualified": r.qualified, **r.component.to_dict()} for r in found
        ]
        click.echo(json.dumps(described, indent=2))
    else:
        show(found)
    for plugin in registry.broken:
        click.echo(f"warning: plugin '{plugin.name}' ({plugin.distribution}) is left out: {plugin.error}", err=True)
    return None


def list_models(kind: str | None, hub: bool, author: str | None, as_json: bool) -> None:
    """Print the newest models on the Hub. Raises BadOption for what means nothing together, or HubError."""
    if not hub or kind not in (None, "models"):
        raise BadOption("models are listed from the Hub alone; try: ganzoo list models --hub")
    from ganzoo.hub import listing

    found = listing(author)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    width = max((len(m["name"]) for m in found), default=0)
    for m in found:
        private = "  private" if m["private"] else ""
        click.echo(f"{m['name']:{width}}  {(m['updated'] or '')[:10]}  {m['downloads'] or 0:,} downloads{private}")
    if not found:
        click.echo(f"no model{f' of {author}' if author else ''} on the Hub is tagged ganzoo")


def list_members(alike: list[Registered], kind: str | None, pattern: str, as_json: bool) -> None:
    """Print the members of a family whose names match a pattern with `*`. Raises BadOption when there is none."""
    name, kinds = alike[0].component.name, [r.kind for r in alike]
    if kind and singular(kind) not in kinds:
        raise BadOption(
            f"{name} is a family of {' and of '.join(f'{k}s' for k in kinds)}; try: "
            f"ganzoo list {kinds[0]}s --{name} '{pattern}'"
        )
    family = alike[kinds.index(singular(kind))] if kind else alike[0]
    members = [f"{name}/{member}" for member in family.component.load().members(pattern)]
    if not members:
        raise BadOption(f"nothing in {name} is called like '{pattern}'; try: ganzoo list --{name} '*{pattern}*'")
    click.echo(json.dumps(members, indent=2) if as_json else "\n".join(members))


def show(found: list[Registered]) -> None:
    """Print components, kind by kind, one a line."""
    offered = Counter((r.kind, r.component.name) for r in found)
    rows = []
    for r in found:
        name = r.component.name if offered[r.kind, r.component.name] == 1 else r.qualified
        rows.append((r, f"{name}/…" if r.component.family else name))
    width = max((len(name) for _, name in rows), default=0)
    for plural, kind in KINDS.items():
        if any(r.kind == kind for r, _ in rows):
            click.secho(plural, bold=True)
        for r, name in rows:
            if r.kind == kind:
                paper = f" · {r.component.paper}" if r.component.paper else ""
                click.echo(f"  {name:{width}}  {r.component.summary}{paper}")

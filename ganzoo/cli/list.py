"""`ganzoo list`."""

from __future__ import annotations

import json
from collections import Counter

import click

from ganzoo.errors import BadOption
from ganzoo.registry.discovery import Registered, installed, singular
from ganzoo.registry.hookspecs import KINDS


class ListCommand(click.Command):
    """A command with an option for every family of components, as `--timm PATTERN`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the command and one option for each family."""
        own = [
            click.Option(
                [f"--{name}"], metavar="PATTERN", help=f"List the members of the family {name}, as in '*net*'."
            )
            for name in families()
        ]
        return [*super().get_params(ctx), *own]


def families() -> dict[str, list[Registered]]:
    """Return the component families by name.

    A family is one component that stands for many; components of several kinds may share its name.
    """
    components: dict[str, list[Registered]] = {}
    for r in installed().list():
        if r.component.family:
            components.setdefault(r.component.name, []).append(r)
    return components


@click.command("list", cls=ListCommand)
@click.argument("kind", required=False, metavar="[KIND]")
@click.option("--hub", is_flag=True, help="List models on the Hugging Face Hub (KIND: models).")
@click.option("--author", metavar="ORG", help="With --hub: only models of this user or organisation.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(kind: str | None, hub: bool, author: str | None, as_json: bool, **patterns: str | None) -> None:
    """List components: generators, losses, strategies, …

    KIND is one of generators, discriminators, losses, penalties, augments, ssl, datasets, extractors, metrics and
    presets; or models, with --hub.
    """
    if hub or author or kind == "models":
        return list_models(kind, hub, author, as_json)
    for name, pattern in patterns.items():
        if pattern is not None:
            return list_members(families()[name], kind, pattern, as_json)
    registry = installed()
    components = registry.list(kind)
    if as_json:
        described = [
            {"kind": r.kind, "plugin": r.plugin.name, "qualified": r.qualified, **r.component.to_dict()}
            for r in components
        ]
        click.echo(json.dumps(described, indent=2))
    else:
        print_components(components)
    for plugin in registry.broken:
        click.echo(
            f"warning: plugin '{plugin.name}' ({plugin.distribution}) is broken and left out: {plugin.error}",
            err=True,
        )
    return None


def list_models(kind: str | None, hub: bool, author: str | None, as_json: bool) -> None:
    """Print the newest models on the Hub.

    Args:
        kind: The KIND argument.
        hub: Whether `--hub` is given.
        author: User or organisation; default: all.
        as_json: Print JSON.

    Raises:
        BadOption: The options cannot be combined.
        HubError: The Hub cannot be reached, or refuses.
    """
    if not hub or kind not in (None, "models"):
        raise BadOption("models can only be listed from the Hub: ganzoo list models --hub")
    from ganzoo.model import hub_client

    models = hub_client.list_models(author)
    if as_json:
        click.echo(json.dumps(models, indent=2))
        return
    width = max((len(m["name"]) for m in models), default=0)
    for m in models:
        private = "  private" if m["private"] else ""
        click.echo(f"{m['name']:{width}}  {(m['updated'] or '')[:10]}  {m['downloads'] or 0:,} downloads{private}")
    if not models:
        click.echo(f"no model{f' of {author}' if author else ''} on the Hub has the tag ganzoo")


def list_members(namesakes: list[Registered], kind: str | None, pattern: str, as_json: bool) -> None:
    """Print the members of a family whose names match a pattern.

    Args:
        namesakes: The families of one name, one of each kind.
        kind: The KIND argument; default: the first family.
        pattern: Pattern with `*`.
        as_json: Print JSON.

    Raises:
        BadOption: The family has no such kind, or no name matches.
    """
    name, kinds = namesakes[0].component.name, [r.kind for r in namesakes]
    if kind and singular(kind) not in kinds:
        raise BadOption(
            f"{name} is a family of {' and '.join(f'{k}s' for k in kinds)}; try: "
            f"ganzoo list {kinds[0]}s --{name} '{pattern}'"
        )
    family = namesakes[kinds.index(singular(kind))] if kind else namesakes[0]
    members = [f"{name}/{member}" for member in family.component.load().members(pattern)]
    if not members:
        raise BadOption(f"no member of {name} matches '{pattern}'; try: ganzoo list --{name} '*{pattern}*'")
    click.echo(json.dumps(members, indent=2) if as_json else "\n".join(members))


def print_components(components: list[Registered]) -> None:
    """Print components grouped by kind, one on a line, with their summaries and papers."""
    offered = Counter((r.kind, r.component.name) for r in components)
    rows = []
    for r in components:
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

"""`ganzoo plugins`."""

from __future__ import annotations

import click

from ganzoo.registry import installed


@click.command("plugins")
@click.option("--check", is_flag=True, help="Build and try every component of every plugin.")
def command(check: bool) -> None:
    """List plugins, and what is wrong with them. Exits with 1 when something is."""
    registry = installed()
    problems = len(registry.broken)
    for plugin in registry.plugins:
        offered = [r for r in registry.components if r.plugin == plugin]
        said = f"broken: {plugin.error}" if plugin.error else f"{len(offered)} component{'s' * (len(offered) != 1)}"
        click.echo(f"{plugin.name:16}{plugin.distribution} {plugin.version} · {said}")
        for registered in offered if check else []:
            from ganzoo.testing import check_component

            try:
                check_component(registered)
                click.echo(f"  ok      {registered.kind}/{registered.component.name}")
            except Exception as error:  # whatever a stranger's code raises is the finding
                problems += 1
                click.echo(f"  FAILED  {registered.kind}/{registered.component.name}: {error}")
    if problems:
        raise SystemExit(1)

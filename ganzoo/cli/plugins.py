"""`ganzoo plugins`."""

from __future__ import annotations

import click

from ganzoo.registry.discovery import installed


@click.command("plugins")
@click.option("--check", is_flag=True, help="Build and test every component of every plugin.")
def command(check: bool) -> None:
    """List the installed plugins and their errors.

    Exits with status 1 if a plugin is broken.
    """
    registry = installed()
    problems = len(registry.broken)
    for plugin in registry.plugins:
        offered = [r for r in registry.components if r.plugin == plugin]
        count = f"{len(offered)} component{'s' * (len(offered) != 1)}"
        status = f"broken: {plugin.error}" if plugin.error else count
        click.echo(f"{plugin.name:16}{plugin.distribution} {plugin.version} · {status}")
        for registered in offered if check else []:
            from ganzoo.testing import check_component

            try:
                check_component(registered)
                click.echo(f"  ok      {registered.kind}/{registered.component.name}")
            except Exception as error:  # third-party code may raise anything; every error is a finding
                problems += 1
                click.echo(f"  FAILED  {registered.kind}/{registered.component.name}: {error}")
    if problems:
        raise SystemExit(1)

"""`ganzoo report`."""

from __future__ import annotations

import click


@click.command("report")
@click.argument("run", metavar="RUN")
def command(run: str) -> None:
    """Write the report of a run: RUN/report.html, one page that needs no other file and no network.

    Training ends with one. Make it anew after ganzoo evaluate, to have the scores in it.
    """
    from ganzoo.report import write_report

    click.echo(f"report   {write_report(run)}")

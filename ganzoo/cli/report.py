"""`ganzoo report`."""

from __future__ import annotations

import click


@click.command("report")
@click.argument("run", metavar="RUN")
def command(run: str) -> None:
    """Write the report of a run.

    The report, RUN/report.html, is a single page that needs no other files and no network. Training writes one when it
    ends; run this command after `ganzoo evaluate` to add the scores.
    """
    from ganzoo.report import write_report

    click.echo(f"report   {write_report(run)}")

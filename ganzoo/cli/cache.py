"""`ganzoo cache`."""

from __future__ import annotations

import json
import time

import click

from ganzoo.errors import BadData, nearest

DAY = 86_400


@click.command("cache")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--clear", is_flag=True, help="Delete the named data sets, or all.")
@click.option(
    "--unused-for", metavar="DAYS", type=click.FloatRange(min=0), help="Only those not used for so many days."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(names: tuple[str, ...], clear: bool, unused_for: float | None, as_json: bool) -> None:
    """List or clear the images that earlier runs decoded.

    NAME is the name of a data set in the list; default: all. What is cleared is decoded again when it is needed. The
    cache is in ~/.cache/ganzoo, or $XDG_CACHE_HOME/ganzoo.
    """
    from ganzoo.data.cache import cache_root, cached_sets, clear_sets

    known = cached_sets()
    for name in names:
        if name not in {each.name for each in known}:
            raise BadData(f"the cache has no data set '{name}'{nearest(name, {each.name for each in known})}")
    chosen = [
        each
        for each in known
        if (not names or each.name in names) and (unused_for is None or time.time() - each.used >= unused_for * DAY)
    ]
    if clear:
        clear_sets(chosen, everything=not names and unused_for is None)
    if as_json:
        click.echo(json.dumps([each.to_dict() for each in chosen], indent=2))
        return
    width = max((len(each.name) for each in chosen), default=0)
    for each in chosen:
        used = time.strftime("%Y-%m-%d", time.localtime(each.used))
        click.echo(
            f"{each.name:{width}}  {each.images:>10,} images  {each.size:>9}  {each.bytes / 1e6:>9,.1f} MB  {used}"
        )
    total = sum(each.bytes for each in chosen) / 1e6
    click.echo(f"{'deleted' if clear else 'total'} {total:,.1f} MB in {cache_root()}")

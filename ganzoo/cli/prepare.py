"""`ganzoo prepare`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ganzoo.cli.paths import UserPath


@click.command("prepare")
@click.argument("data", metavar="DATA")
@click.option(
    "--out", type=UserPath(), required=True, help="Folder to write; --data takes it, and `datasets` opens it."
)
@click.option("--size", default=None, help="Pixels a side, or HxW; default: that of the images, up to 64.")
@click.option(
    "--channels", type=click.Choice(["1", "3", "4"]), help="1 grey, 3 RGB, 4 RGBA; default: as the images are."
)
@click.option(
    "--fit",
    type=click.Choice(["crop", "pad", "stretch"]),
    default="crop",
    show_default=True,
    help="How images of other aspect ratios are fitted.",
)
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Set a key, as in data.options.level=2.")
@click.option("--skip-corrupt", is_flag=True, help="Leave out images that cannot be read, and list them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    data: str,
    out: Path,
    size: str | None,
    channels: str | None,
    fit: str,
    settings: tuple[str, ...],
    skip_corrupt: bool,
    as_json: bool,
) -> None:
    """Decode a data set into a folder, once for all runs.

    DATA is a folder, a zip file, hf:<name> or the name of a data set. `ganzoo train` does the same by itself and keeps
    the images in the cache; a folder can be moved to other machines.
    """
    from ganzoo.base.preparation import Preparation
    from ganzoo.config.resolve import configure, parse_setting
    from ganzoo.data.cache import known_facts, prepare_folder
    from ganzoo.data.decode import Decoder
    from ganzoo.data.locate import open_source
    from ganzoo.registry.component import ImageShape
    from ganzoo.registry.discovery import installed

    values = {"data.source": data, "data.fit": fit, "data.size": size, "data.channels": channels and int(channels)}
    config = configure(values={k: v for k, v in values.items() if v} | dict(map(parse_setting, settings))).data
    source = open_source(config, installed())
    facts = known_facts(source, skip_corrupt)
    height, width = config.sides or (min(facts.side, 64),) * 2
    shape = ImageShape(config.channels or facts.channels, height, width, len(source.class_names))
    parts = prepare_folder(out, source, Decoder(shape, Preparation(config.fit, config.range)), facts, skip_corrupt)
    result = {
        "folder": str(out),
        "shape": list(shape.dimensions),
        "classes": list(source.class_names),
        "images": {name: len(part.readable) for name, part in parts.items()},
        "unreadable": [source.parts[name].where(i) for name, part in parts.items() for i in sorted(part.reasons)],
        "notes": list(source.notes),
    }
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    counts = " · ".join(f"{len(part.readable):,} {name}" for name, part in parts.items())
    click.echo(f"prepared {source.name} · {counts} · {shape.size} · {len(source.class_names)} classes")
    for note in source.notes:
        click.echo(f"note     {note}")
    for path in result["unreadable"]:
        click.echo(f"skipped  {path}")
    click.echo(f"next     ganzoo train --data {out}")

"""`ganzoo directions`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ganzoo.cli.model import class_number, load_model, model_argument

COLUMNS = 9


@click.command("directions")
@model_argument
@click.option("-n", "--number", type=click.IntRange(min=1), default=8, show_default=True, help="How many directions.")
@click.option(
    "--method",
    type=click.Choice(["sefa", "pca"]),
    default="sefa",
    show_default=True,
    help="sefa: of the weights that take the latent; pca: of what a layer makes of many latents.",
)
@click.option("--layer", metavar="NAME", help="For pca: a module of the generator. Default: one in the middle.")
@click.option("--reach", type=click.FloatRange(0, min_open=True), default=3.0, show_default=True, help="In deviations.")
@click.option("--class", "wanted", metavar="CLASS", help="Class name or number, for a conditional generator.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of the image moved.")
@click.option("--out", type=click.Path(path_type=Path), help="The picture, a .png file. Default: after MODEL.")
@click.option("--device", default="cpu", show_default=True, help="Where to compute.")
@click.option("--json", "as_json", is_flag=True, help="Print the directions as JSON.")
def command(
    model: str,
    number: int,
    method: str,
    layer: str | None,
    reach: float,
    wanted: str | None,
    seed: int,
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Find directions of the latent space along which images change most, and write a picture of them.

    A row is a direction, the strongest first, with the image of the seed in its middle.
    """
    import torch

    from ganzoo.cli.sample import save
    from ganzoo.errors import Incompatible
    from ganzoo.sampling import find_directions

    out = out or Path(f"{Path(model).resolve().name}-directions-{method}.png")
    if out.suffix.lower() != ".png":
        raise Incompatible(f"--out {out}: give a .png file")
    gan = load_model(model, device)
    y = None if wanted is None else class_number(gan, wanted)
    found = find_directions(gan, number, method, layer)
    steps = torch.linspace(-reach, reach, COLUMNS)
    rows = [found.walk(gan, i, steps, seed, y) for i in range(len(found.vectors))]
    save(torch.cat(rows), COLUMNS, out)
    if as_json:
        facts = [
            {"strength": s, "deviation": d, "vector": v}
            for s, d, v in zip(*(t.tolist() for t in (found.strength, found.deviation, found.vectors)), strict=True)
        ]
        click.echo(json.dumps({"picture": str(out), "layer": found.layer, "directions": facts}, indent=2))
        return
    click.echo(f"{method} of {found.layer}: {len(rows)} directions, {100 * found.strength.sum():.0f} % of the change")
    click.echo(f"rows are directions, {-reach:g} to {reach:g} deviations: {out}")

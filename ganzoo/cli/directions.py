"""`ganzoo directions`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ganzoo.cli.model import class_number, load_model, model_argument
from ganzoo.cli.numbers import SEED
from ganzoo.cli.paths import UserPath

COLUMNS = 9


@click.command("directions")
@model_argument
@click.option("-n", "--number", type=click.IntRange(min=1), default=8, show_default=True, help="Number of directions.")
@click.option(
    "--method",
    type=click.Choice(["sefa", "pca"]),
    default="sefa",
    show_default=True,
    help="sefa: from the weights of the layers that receive the latent; pca: from the activations of one layer.",
)
@click.option("--layer", metavar="NAME", help="For pca: name of a layer of the generator; default: the middle one.")
@click.option(
    "--reach",
    type=click.FloatRange(0, min_open=True),
    default=3.0,
    show_default=True,
    help="How far to move each way, in standard deviations.",
)
@click.option("--class", "class_name", metavar="CLASS", help="Class name or number, for a conditional generator.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the image.")
@click.option("--out", type=UserPath(), help="Picture to write (.png); default: named after MODEL.")
@click.option("--device", default="cpu", show_default=True, help="Device to compute on.")
@click.option("--json", "as_json", is_flag=True, help="Print the directions as JSON.")
def command(
    model: str,
    number: int,
    method: str,
    layer: str | None,
    reach: float,
    class_name: str | None,
    seed: int,
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Find the latent directions along which images change most.

    Writes a picture with a row for each direction, strongest first. The image of the seed is in the middle of each row.
    """
    import torch

    from ganzoo.cli.sample import save_picture
    from ganzoo.errors import Incompatible
    from ganzoo.sampling import find_directions

    out = out or Path(f"{Path(model).resolve().name}-directions-{method}.png")
    if out.suffix.lower() != ".png":
        raise Incompatible(f"--out {out}: give a .png file")
    gan = load_model(model, device)
    y = None if class_name is None else class_number(gan, class_name)
    directions = find_directions(gan, number, method, layer)
    steps = torch.linspace(-reach, reach, COLUMNS)
    rows = [directions.walk(gan, i, steps, seed, y) for i in range(len(directions.vectors))]
    save_picture(torch.cat(rows), COLUMNS, out)
    if as_json:
        vectors = [
            {"strength": s, "deviation": d, "vector": v}
            for s, d, v in zip(
                *(t.tolist() for t in (directions.strength, directions.deviation, directions.vectors)), strict=True
            )
        ]
        click.echo(json.dumps({"picture": str(out), "layer": directions.layer, "directions": vectors}, indent=2))
        return
    click.echo(
        f"{method} of {directions.layer}: {len(rows)} directions, {100 * directions.strength.sum():.0f} % of the change"
    )
    click.echo(f"one direction per row, from {-reach:g} to {reach:g} standard deviations: {out}")

"""`ganzoo project`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ganzoo.cli.model import class_number, images_argument, load_model, model_argument


@click.command("project")
@model_argument
@images_argument
@click.option("--class", "wanted", metavar="CLASS", help="Class of the images, for a conditional generator.")
@click.option("--steps", type=click.IntRange(min=1), default=300, show_default=True, help="Of the search.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of where it starts.")
@click.option("--out", type=click.Path(path_type=Path), help="The picture, a .png file. Default: after MODEL.")
@click.option(
    "--latents",
    type=click.Path(path_type=Path),
    help="A .safetensors file for what was found; ganzoo sample --latents reads it.",
)
@click.option("--device", default="cpu", show_default=True, help="Where to compute.")
@click.option("--json", "as_json", is_flag=True, help="Print the distances as JSON.")
def command(
    model: str,
    images: tuple[str, ...],
    wanted: str | None,
    steps: int,
    seed: int,
    out: Path | None,
    latents: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Search for the latents whose images are nearest to given ones, and write a picture of both.

    The first row of the picture are the images, the second what the generator makes. The peak signal-to-noise ratio
    (PSNR, in dB) says how near they are: above 30 an image is found, and far below the generator does not make such.
    """
    import torch

    from ganzoo.cli.sample import save
    from ganzoo.errors import Incompatible
    from ganzoo.sampling import Codes, project

    out = out or Path(f"{Path(model).resolve().name}-projected.png")
    for path, suffix in ((out, ".png"), (latents, ".safetensors")):
        if path is not None and path.suffix.lower() != suffix:
            raise Incompatible(f"{path}: give a {suffix} file")
    gan = load_model(model, device)
    y = None if wanted is None else class_number(gan, wanted)
    given = gan.prepare(list(images))
    found = project(gan, given, y, steps, seed)
    save(torch.cat([given, found.images]), len(given), out)
    if latents is not None:
        Codes(found.codes, found.labels).write(latents)
    names = [None] * len(images) if found.labels is None else [gan.class_names[int(k)] for k in found.labels]
    if as_json:
        facts = [
            {"image": i, "psnr": p, "class": k} for i, p, k in zip(images, found.psnr.tolist(), names, strict=True)
        ]
        click.echo(json.dumps({"picture": str(out), "found": facts}, indent=2))
        return
    for image, db, name in zip(images, found.psnr.tolist(), names, strict=True):
        click.echo(f"{image}  PSNR {db:.1f} dB{f'  class {name}' if name is not None else ''}")
    click.echo(f"rows are image, nearest generated: {out}")

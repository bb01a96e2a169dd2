"""`ganzoo project`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ganzoo.cli.model import class_number, images_argument, load_model, model_argument
from ganzoo.cli.numbers import SEED
from ganzoo.cli.paths import UserPath


@click.command("project")
@model_argument
@images_argument
@click.option("--class", "class_name", metavar="CLASS", help="Class of the images, for a conditional generator.")
@click.option("--steps", type=click.IntRange(min=1), default=300, show_default=True, help="Steps of the search.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the first latents.")
@click.option("--out", type=UserPath(), help="Picture to write (.png); default: named after MODEL.")
@click.option(
    "--latents",
    type=UserPath(),
    help="File to save the latents to (.safetensors); read it with ganzoo sample --latents.",
)
@click.option("--device", default="cpu", show_default=True, help="Device to compute on.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def command(
    model: str,
    images: tuple[str, ...],
    class_name: str | None,
    steps: int,
    seed: int,
    out: Path | None,
    latents: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Find the latents whose images are nearest to given images.

    Writes a picture with the given images in the first row and the generated ones in the second. The peak
    signal-to-noise ratio (PSNR, in dB) measures how close they are: above 30 dB the image was found; far below, the
    generator cannot produce it.
    """
    import torch

    from ganzoo.cli.sample import save_picture
    from ganzoo.errors import Incompatible
    from ganzoo.sampling import Codes, project

    out = out or Path(f"{Path(model).resolve().name}-projected.png")
    for path, suffix in ((out, ".png"), (latents, ".safetensors")):
        if path is not None and path.suffix.lower() != suffix:
            raise Incompatible(f"{path}: give a {suffix} file")
    gan = load_model(model, device)
    y = None if class_name is None else class_number(gan, class_name)
    targets = gan.prepare(list(images))
    projection = project(gan, targets, y, steps, seed)
    save_picture(torch.cat([targets, projection.images]), len(targets), out)
    if latents is not None:
        Codes(projection.codes, projection.labels).write(latents)
    names = [None] * len(images) if projection.labels is None else [gan.class_names[int(k)] for k in projection.labels]
    if as_json:
        rows = [
            {"image": i, "psnr": p, "class": k} for i, p, k in zip(images, projection.psnr.tolist(), names, strict=True)
        ]
        click.echo(json.dumps({"picture": str(out), "images": rows}, indent=2))
        return
    for image, db, name in zip(images, projection.psnr.tolist(), names, strict=True):
        click.echo(f"{image}  PSNR {db:.1f} dB{f'  class {name}' if name is not None else ''}")
    click.echo(f"given images above, nearest generated images below: {out}")

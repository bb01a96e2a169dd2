"""`ganzoo sample`."""

from __future__ import annotations

from pathlib import Path

import click

from ganzoo.cli.model import load_model, model_argument


@click.command("sample")
@model_argument
@click.option("-n", "--number", type=click.IntRange(min=1), default=64, show_default=True, help="How many images.")
@click.option("--class", "wanted", metavar="CLASS", help="Class name or number, for a conditional generator.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Seed of the latents.")
@click.option("--out", type=click.Path(path_type=Path), help="A .png file for one grid, or a folder for single images.")
@click.option("--device", default="cpu", show_default=True, help="Where to compute.")
def command(model: str, number: int, wanted: str | None, seed: int, out: Path | None, device: str) -> None:
    """Write generated images, as one grid or as single files."""
    from ganzoo.cli.model import class_number
    from ganzoo.errors import Incompatible
    from ganzoo.pictures import grid, png, to_pil, to_uint8
    from ganzoo.storage import write_file, writing

    gan = load_model(model, device)
    images = gan.sample(number, None if wanted is None else class_number(gan, wanted), seed)
    out = out or Path(f"{Path(model).resolve().name}-samples-{seed}.png")
    single = not out.suffix
    if out.suffix and out.suffix.lower() != ".png":
        raise Incompatible(f"--out {out}: give a .png file for one grid, or a folder for single images")
    with writing(out):
        (out if single else out.parent).mkdir(parents=True, exist_ok=True)
    if single:
        for i, tile in enumerate(to_uint8(images)):
            write_file(out / f"{i:06d}.png", png(to_pil(tile)))
    else:
        write_file(out, png(grid(images)))
    click.echo(f"{number} images of seed {seed}: {out}")

"""`ganzoo sample`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganzoo.cli.model import class_number, load_model, model_argument
from ganzoo.errors import Incompatible

if TYPE_CHECKING:
    from torch import Tensor

    from ganzoo.model import GAN
    from ganzoo.sampling import Codes

SEED = click.IntRange(0, 2**63 - 1)
USUAL = {"grid": 64, "classes": 10, "way": 16}
SUFFIXES = {"way": ("", ".png", ".gif", ".mp4"), "dataset": ("",)}
TAKES = {
    "grid": "a .png file for one picture, or a folder for single images",
    "way": "a .png file for a strip, a .gif or .mp4 file for an animation, or a folder for single images",
    "dataset": "a folder",
}


@click.command("sample")
@model_argument
@click.option(
    "-n",
    "--number",
    type=click.IntRange(min=1),
    help="How many images. Default: 64; 10 of each class with --per-class; 16 with --interpolate.",
)
@click.option("--class", "wanted", metavar="CLASS", help="Class name or number, for a conditional generator.")
@click.option("--per-class", is_flag=True, help="A row for each class; without a conditional one, as classified.")
@click.option(
    "--truncation",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="How far latents stay from their centre: below 1, images are better and less varied.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the latents.")
@click.option("--interpolate", type=(SEED, SEED), metavar="SEED SEED", help="From the image of one seed to another's.")
@click.option(
    "--latents",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Those that ganzoo project found, instead of seeds; --interpolate takes their numbers, from 0 on.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A .png file for one picture, a .gif or .mp4 file for a way, or a folder for single images.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["png", "parquet"]),
    default="png",
    show_default=True,
    help="Of a folder: pictures, or a data set as on the Hub, with labels.",
)
@click.option("--device", default="cpu", show_default=True, help="Where to compute.")
def command(
    model: str,
    number: int | None,
    wanted: str | None,
    per_class: bool,
    truncation: float,
    seed: int,
    interpolate: tuple[int, int] | None,
    latents: Path | None,
    out: Path | None,
    form: str,
    device: str,
) -> None:
    """Write generated images: one grid, single files, a data set, all classes, or the way between two seeds.

    Folders and data sets can be trained on: ganzoo train --data OUT. The ends of a way are the images that -n 1 makes
    of its seeds.
    """
    from ganzoo.sampling import Codes, write_dataset

    sort = chosen(number, wanted, per_class, interpolate is not None, latents is not None, form)
    numbers = [str(n) for n in interpolate or (() if latents else (seed,))]
    name = "-".join([Path(model).resolve().name, latents.stem if latents else "samples", *numbers])
    out = out or Path(name if sort == "dataset" else f"{name}.png")
    if out.suffix.lower() not in SUFFIXES.get(sort, ("", ".png")):
        raise Incompatible(f"--out {out}: give {TAKES.get(sort, TAKES['grid'])}")
    gan = load_model(model, device)
    y = None if wanted is None else class_number(gan, wanted)
    codes = None if latents is None else Codes.read(latents, gan)
    count = len(codes.codes) if codes and not interpolate else number or USUAL.get(sort, USUAL["grid"])
    if sort == "dataset":
        write_dataset(gan, out, count, y, seed, truncation, model)
    elif sort == "classes":
        write_classes(gan, count, seed, truncation, out)
    elif interpolate is not None:
        write_way(gan, codes.pick(interpolate) if codes else interpolate, count, y, truncation, out)
    else:
        write_images(codes.images(gan, truncation) if codes else drawn(gan, count, y, seed, truncation), out)
    said = f"{count} image{'s' * (count > 1)}{' of each class' * (sort == 'classes')}"
    of = [str(latents or ("seeds" if interpolate else "seed")), *([" to ".join(numbers)] if numbers else [])]
    click.echo(f"{said} of {' '.join(of)}: {out}")


def chosen(number: int | None, wanted: str | None, per_class: bool, way: bool, latents: bool, form: str) -> str:
    """Return what is written, by the options. Raises Incompatible for two that exclude each other."""
    asked = {"--per-class": per_class, "--interpolate": way, "--format parquet": form == "parquet"}
    given = [name for name, yes in asked.items() if yes]
    if per_class and wanted is not None:
        given = ["--per-class", "--class"]
    if latents:
        others = {"--class": wanted is not None, "-n": number is not None and not way, **asked, "--interpolate": False}
        given = ["--latents", *(name for name, yes in others.items() if yes)]
    if len(given) > 1:
        raise Incompatible(f"{' and '.join(given[:2])} do not go together; choose one")
    return "classes" if per_class else "way" if way else "dataset" if form == "parquet" else "grid"


def drawn(gan: GAN, count: int, y: int | None, seed: int, truncation: float) -> Iterator[Tensor]:
    """Return the images of a seed's latents, some at a time."""
    from ganzoo.latents import images_of

    return images_of(gan.network("generator"), gan.latents(count, seed), gan.labels(count, y), truncation)


def write_images(made: Iterator[Tensor], out: Path) -> None:
    """Write a grid, or single images as they are made."""
    import torch

    from ganzoo.sampling import write_pictures

    if out.suffix:
        save(torch.cat([*made]), None, out)
    else:
        write_pictures(out, (image for some in made for image in some))


def write_classes(gan: GAN, count: int, seed: int, truncation: float, out: Path) -> None:
    """Write a row for each class, or a folder."""
    import torch

    from ganzoo.sampling import by_class, folder_name, write_pictures

    found = by_class(gan, count, seed, truncation)
    if short := [f"{name} {len(x)}" for name, x in zip(gan.class_names, found, strict=True) if len(x) < count]:
        click.echo(f"warning: fewer images than asked for were classified as: {', '.join(short)}", err=True)
    if not out.suffix:
        for k, (name, images) in enumerate(zip(gan.class_names, found, strict=True)):
            write_pictures(out / folder_name(k, name), images)
        return
    blank = torch.ones(count, *found[0].shape[1:])
    save(torch.cat([torch.cat([images, blank[len(images) :]]) for images in found]), count, out)


def write_way(gan: GAN, ends: tuple[int, int] | Codes, count: int, y: int | None, truncation: float, out: Path) -> None:
    """Write a strip, an animation there and back, or its single images."""
    import torch

    from ganzoo.sampling import gif, interpolate, mp4, there_and_back, write_pictures
    from ganzoo.storage import write_file, writing

    moving = {".gif": gif, ".mp4": mp4}.get(out.suffix.lower())
    t = there_and_back(count) if moving else torch.linspace(0, 1, count)
    images = interpolate(gan, ends, t, y, truncation)
    if moving:
        content = moving(images)
        with writing(out):
            out.parent.mkdir(parents=True, exist_ok=True)
        write_file(out, content)
    elif out.suffix:
        save(images, count, out)
    else:
        write_pictures(out, images)


def save(images: Tensor, columns: int | None, out: Path) -> None:
    """Write images as one picture."""
    from ganzoo.pictures import grid, png
    from ganzoo.storage import write_file, writing

    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    write_file(out, png(grid(images, columns)))

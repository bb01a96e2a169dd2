"""`ganzoo sample`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganzoo.cli.model import class_number, load_model, model_argument
from ganzoo.cli.numbers import SEED, NumberRange
from ganzoo.cli.paths import UserPath
from ganzoo.errors import Incompatible

if TYPE_CHECKING:
    from torch import Tensor

    from ganzoo.model.gan import GAN
    from ganzoo.sampling import Codes

DEFAULT_NUMBERS = {"grid": 64, "classes": 10, "interpolation": 16}
SUFFIXES = {"interpolation": ("", ".png", ".gif", ".mp4"), "dataset": ("",)}
ALLOWED_OUT = {
    "grid": "a .png file for one picture, or a folder for single images",
    "interpolation": "a .png file for a strip, a .gif or .mp4 file for an animation, or a folder for single images",
    "dataset": "a folder",
}
"""What `--out` accepts, by kind of output."""


@click.command("sample")
@model_argument
@click.option(
    "-n",
    "--number",
    type=NumberRange(),
    help="Number of images, or a range of the images of the seed, as 64-127. Default: 64, or 10 of each class with "
    "--per-class, or 16 with --interpolate.",
)
@click.option("--class", "class_name", metavar="CLASS", help="Class name or number, for a conditional generator.")
@click.option(
    "--per-class", is_flag=True, help="Write a row for each class; an unconditional generator needs a classifier."
)
@click.option(
    "--truncation",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="How far latents may lie from their centre; below 1, images are better and less diverse.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the latents.")
@click.option(
    "--interpolate", type=(SEED, SEED), metavar="SEED SEED", help="Interpolate between the images of two seeds."
)
@click.option(
    "--latents",
    type=UserPath(),
    metavar="FILE",
    help="Use latents saved by ganzoo project instead of seeds; --interpolate then takes two of their numbers, from 0.",
)
@click.option(
    "--out",
    type=UserPath(),
    help="A .png file for one picture, a .gif or .mp4 file for an interpolation, or a folder for single images.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["png", "parquet"]),
    default="png",
    show_default=True,
    help="Contents of a folder: png pictures, or a parquet data set with labels.",
)
@click.option("--device", default="cpu", show_default=True, help="Device to compute on.")
def command(
    model: str,
    number: range | None,
    class_name: str | None,
    per_class: bool,
    truncation: float,
    seed: int,
    interpolate: tuple[int, int] | None,
    latents: Path | None,
    out: Path | None,
    form: str,
    device: str,
) -> None:
    """Write generated images.

    Writes one grid, single files, a data set, a row for each class, or an interpolation between two seeds. Folders and
    data sets can be trained on: ganzoo train --data OUT. Image i of a seed is the same however many are written. The
    ends of an interpolation are the images that -n 1 writes for the same seeds.
    """
    from ganzoo.sampling import Codes, write_dataset

    check_options(number, class_name, per_class, interpolate is not None, latents is not None, form)
    kind = "classes" if per_class else "interpolation" if interpolate else "dataset" if form == "parquet" else "grid"
    numbers = [str(n) for n in interpolate or (() if latents else (seed,))]
    name = "-".join([Path(model).resolve().name, latents.stem if latents else "samples", *numbers])
    out = out or Path(name if kind == "dataset" else f"{name}.png")
    if out.suffix.lower() not in SUFFIXES.get(kind, ("", ".png")):
        raise Incompatible(f"--out {out}: give {ALLOWED_OUT.get(kind, ALLOWED_OUT['grid'])}")
    gan = load_model(model, device)
    y = None if class_name is None else class_number(gan, class_name)
    codes = None if latents is None else Codes.read(latents, gan)
    chosen = range(len(codes.codes)) if codes and not interpolate else number or range(DEFAULT_NUMBERS.get(kind, 64))
    count = len(chosen)
    if kind == "dataset":
        write_dataset(gan, out, chosen, y, seed, truncation, model)
    elif kind == "classes":
        write_classes(gan, count, seed, truncation, out)
    elif interpolate is not None:
        ends = codes.pick(interpolate) if codes else Codes.of_seeds(gan, interpolate, y)
        write_interpolation(gan, ends, count, truncation, out)
    else:
        chunks = codes.images(gan, truncation) if codes else gan.sample_in_chunks(chosen, y, seed, truncation)
        write_images(chunks, out, chosen.start)
    plural = f"{count} image{'s' * (count > 1)}{' of each class' * (kind == 'classes')}"
    noun = f"images {chosen.start}-{chosen[-1]}" if chosen.start else plural
    origin = [str(latents or ("seeds" if interpolate else "seed")), *([" to ".join(numbers)] if numbers else [])]
    click.echo(f"{noun} of {' '.join(origin)}: {out}")


def check_options(
    number: range | None, class_name: str | None, per_class: bool, interpolate: bool, latents: bool, form: str
) -> None:
    """Check that no two options exclude each other.

    Args:
        number: `-n`.
        class_name: `--class`.
        per_class: Whether `--per-class` is given.
        interpolate: Whether `--interpolate` is given.
        latents: Whether `--latents` is given.
        form: `--format`.

    Raises:
        Incompatible: Two options cannot be combined.
    """
    flags = {"--per-class": per_class, "--interpolate": interpolate, "--format parquet": form == "parquet"}
    given = [name for name, is_given in flags.items() if is_given]
    if per_class and class_name is not None:
        given = ["--per-class", "--class"]
    if latents:
        has_number = number is not None and not interpolate
        excluded = {"--class": class_name is not None, "-n": has_number, **flags, "--interpolate": False}
        given = ["--latents", *(name for name, is_given in excluded.items() if is_given)]
    if number and number.start and (per_class or interpolate):
        given = ["-n A-B", "--per-class" if per_class else "--interpolate"]
    if len(given) > 1:
        raise Incompatible(f"{' and '.join(given[:2])} cannot be combined; choose one")


def write_images(chunks: Iterator[Tensor], out: Path, first: int) -> None:
    """Write a grid, or a folder of single images as they are generated.

    Args:
        chunks: Images `[B, C, H, W]` in [-1, 1], a chunk at a time.
        out: Path of a .png file or of a folder.
        first: Number of the first image, which names its file.
    """
    import torch

    from ganzoo.sampling import write_pictures

    if out.suffix:
        save_picture(torch.cat([*chunks]), None, out)
    else:
        write_pictures(out, (image for chunk in chunks for image in chunk), first)


def write_classes(gan: GAN, count: int, seed: int, truncation: float, out: Path) -> None:
    """Write a picture with a row for each class, or a folder with a subfolder for each class.

    Args:
        gan: The model.
        count: Images of each class.
        seed: Seed of the latents.
        truncation: Factor in [0, 1] by which latents are moved towards their centre.
        out: Path of a .png file or of a folder.
    """
    import torch

    from ganzoo.sampling import by_class, folder_name, write_pictures

    by_number = by_class(gan, count, seed, truncation)
    if short := [f"{name} {len(x)}" for name, x in zip(gan.class_names, by_number, strict=True) if len(x) < count]:
        click.echo(f"warning: fewer than {count} images were found for the classes: {', '.join(short)}", err=True)
    if not out.suffix:
        for k, (name, images) in enumerate(zip(gan.class_names, by_number, strict=True)):
            write_pictures(out / folder_name(k, name), images)
        return
    blank = torch.ones(count, *by_number[0].shape[1:])
    save_picture(torch.cat([torch.cat([images, blank[len(images) :]]) for images in by_number]), count, out)


def write_interpolation(gan: GAN, ends: Codes, count: int, truncation: float, out: Path) -> None:
    """Write an interpolation as a strip, as an animation forth and back, or as single images.

    Args:
        gan: The model.
        ends: The two codes to interpolate between.
        count: Number of images.
        truncation: Factor in [0, 1] by which latents are moved towards their centre.
        out: Path of a .png, .gif or .mp4 file, or of a folder.
    """
    import torch

    from ganzoo.base.storage import write_file, writing
    from ganzoo.sampling import gif, interpolate, mp4, there_and_back, write_pictures

    encode = {".gif": gif, ".mp4": mp4}.get(out.suffix.lower())
    t = there_and_back(count) if encode else torch.linspace(0, 1, count)
    images = interpolate(gan, ends, t, truncation=truncation)
    if encode:
        content = encode(images)
        with writing(out):
            out.parent.mkdir(parents=True, exist_ok=True)
        write_file(out, content)
    elif out.suffix:
        save_picture(images, count, out)
    else:
        write_pictures(out, images)


def save_picture(images: Tensor, columns: int | None, out: Path) -> None:
    """Write images as one picture.

    Args:
        images: Images `[B, C, H, W]` in [-1, 1].
        columns: Images in a row; default: about as many as there are rows.
        out: Path of a .png file. Missing folders are created.
    """
    from ganzoo.base.pictures import grid, png
    from ganzoo.base.storage import write_file, writing

    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    write_file(out, png(grid(images, columns)))

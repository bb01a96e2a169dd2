"""`ganzoo reconstruct`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganzoo.cli.model import images_argument, load_model, model_argument
from ganzoo.cli.numbers import SEED
from ganzoo.cli.paths import UserPath

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS = 16


@click.command("reconstruct")
@model_argument
@images_argument
@click.option(
    "--mask", type=click.FloatRange(0, 1, True, True), help="Blank this fraction of the pixels first, at random."
)
@click.option(
    "--noise", type=click.FloatRange(0, min_open=True), help="Add noise of this standard deviation first (of 255)."
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the damage.")
@click.option("--out", type=UserPath(), help="Picture to write (.png); default: named after MODEL.")
@click.option("--device", default="cpu", show_default=True, help="Device to compute on.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def command(
    model: str,
    images: tuple[str, ...],
    mask: float | None,
    noise: float | None,
    seed: int,
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Restore damaged images.

    Writes a picture of the images before and after. With --mask or --noise the images are damaged first; the rows of
    the picture are then the original, damaged and restored images, and the peak signal-to-noise ratio (PSNR, in dB)
    measures how close the damaged and the restored images are to the original.
    """
    from ganzoo.base.pictures import psnr
    from ganzoo.errors import Incompatible

    if not math.isfinite((mask or 0) + (noise or 0)):
        raise Incompatible("--mask and --noise take finite numbers")
    if mask and noise:
        raise Incompatible("--mask and --noise are alternatives; choose one")
    out = out or Path(f"{Path(model).resolve().name}-reconstructed.png")
    if out.suffix.lower() != ".png":
        raise Incompatible(f"--out {out}: give a .png file")
    gan = load_model(model, device)
    originals = gan.prepare(list(images))
    damaged, known = damage(originals, mask, noise, seed)
    restored = gan.reconstruct(damaged, known)
    write_rows([originals, damaged, restored] if mask or noise else [originals, restored], out)
    before, after = psnr(damaged, originals).tolist(), psnr(restored, originals).tolist()
    if as_json:
        values = [
            {"image": i, "damaged": b if mask or noise else None, "restored": a}
            for i, b, a in zip(images, before, after, strict=True)
        ]
        click.echo(json.dumps({"picture": str(out), "psnr": values}, indent=2))
        return
    for image, b, a in zip(images, before, after, strict=True):
        click.echo(f"{image}  {f'PSNR {b:.1f} → {a:.1f} dB' if mask or noise else f'PSNR {a:.1f} dB'}")
    click.echo(f"rows: {'original, damaged, restored' if mask or noise else 'before, after'}: {out}")


def damage(images: Tensor, mask: float | None, noise: float | None, seed: int) -> tuple[Tensor, Tensor | None]:
    """Blank pixels of images, or add noise to them.

    Args:
        images: Images `[B, C, H, W]` in [-1, 1].
        mask: Fraction of the pixels to blank, in (0, 1).
        noise: Standard deviation of the noise, of 255.
        seed: Seed of the damage.

    Returns:
        The damaged images, and `[B, 1, H, W]` which pixels are left; None where none was blanked.
    """
    import torch

    rng = torch.Generator().manual_seed(seed)
    if mask:
        known = torch.rand(len(images), 1, *images.shape[2:], generator=rng) >= mask
        return torch.where(known, images, 0.0), known
    if noise:
        return (images + torch.randn(images.shape, generator=rng) * noise / 127.5).clamp(-1, 1), None
    return images, None


def write_rows(rows: Sequence[Tensor], out: Path) -> None:
    """Write a picture with a row for each batch of images; long rows are broken into blocks.

    Args:
        rows: Images `[B, C, H, W]` in [-1, 1], as many in each row.
        out: Path of a .png file.
    """
    import torch

    from ganzoo.cli.sample import save_picture

    columns = min(len(rows[0]), COLUMNS)
    blank = torch.ones(-len(rows[0]) % columns, *rows[0].shape[1:])
    blocks = zip(*(torch.split(torch.cat([row, blank]), COLUMNS) for row in rows), strict=True)
    save_picture(torch.cat([chunk for block in blocks for chunk in block]), columns, out)

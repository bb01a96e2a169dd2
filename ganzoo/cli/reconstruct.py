"""`ganzoo reconstruct`."""

from __future__ import annotations

import json
import math
from pathlib import Path

import click

from ganzoo.cli.model import images_argument, load_model, model_argument

COLUMNS = 16


@click.command("reconstruct")
@model_argument
@images_argument
@click.option("--mask", type=click.FloatRange(0, 1, True, True), help="First blank this part of the pixels, at random.")
@click.option("--noise", type=click.FloatRange(0, min_open=True), help="First add noise of this deviation (of 255).")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Seed of the damage.")
@click.option("--out", type=click.Path(path_type=Path), help="The picture, a .png file. Default: after MODEL.")
@click.option("--device", default="cpu", show_default=True, help="Where to compute.")
@click.option("--json", "as_json", is_flag=True, help="Print the distances as JSON.")
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
    """Restore damaged images, and write a picture of before and after.

    With --mask or --noise the images are damaged first: the rows of the picture are then the images, the damaged ones
    and the restored ones, and the peak signal-to-noise ratio (PSNR, in dB) says how near the last two are to the first.
    Without, the images are taken as they are; rows are before and after.
    """
    import torch

    from ganzoo.errors import Incompatible
    from ganzoo.pictures import grid, png, psnr
    from ganzoo.storage import write_file, writing

    if not math.isfinite((mask or 0) + (noise or 0)):
        raise Incompatible("--mask and --noise are finite numbers")
    if mask and noise:
        raise Incompatible("--mask and --noise are two ways to damage an image; choose one")
    out = out or Path(f"{Path(model).resolve().name}-reconstructed.png")
    if out.suffix.lower() != ".png":
        raise Incompatible(f"--out {out}: give a .png file")
    gan = load_model(model, device)
    whole = gan.prepare(list(images))
    rng, known, damaged = torch.Generator().manual_seed(seed), None, whole
    if mask:
        known = torch.rand(len(whole), 1, *whole.shape[2:], generator=rng) >= mask
        damaged = torch.where(known, whole, 0.0)
    if noise:
        damaged = (whole + torch.randn(whole.shape, generator=rng) * noise / 127.5).clamp(-1, 1)
    restored = gan.reconstruct(damaged, known)
    rows = [whole, damaged, restored] if mask or noise else [whole, restored]
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    blank = torch.ones(-len(whole) % min(len(whole), COLUMNS), *whole.shape[1:])
    blocks = zip(*(torch.split(torch.cat([row, blank]), COLUMNS) for row in rows), strict=True)
    write_file(out, png(grid(torch.cat([part for block in blocks for part in block]), min(len(whole), COLUMNS))))
    before, after = psnr(damaged, whole).tolist(), psnr(restored, whole).tolist()
    if as_json:
        facts = [
            {"image": i, "damaged": b if mask or noise else None, "restored": a}
            for i, b, a in zip(images, before, after, strict=True)
        ]
        click.echo(json.dumps({"picture": str(out), "psnr": facts}, indent=2))
        return
    for image, b, a in zip(images, before, after, strict=True):
        click.echo(f"{image}  {f'PSNR {b:.1f} → {a:.1f} dB' if mask or noise else f'PSNR {a:.1f} dB'}")
    click.echo(f"rows are {'image, damaged, restored' if mask or noise else 'before, after'}: {out}")

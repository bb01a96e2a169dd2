"""`ganzoo pull`."""

from __future__ import annotations

from pathlib import Path

import click

from ganzoo.cli.paths import UserPath


@click.command("pull")
@click.argument("repo", metavar="ORG/NAME")
@click.option("--revision", metavar="REVISION", help="Branch, tag or commit; default: main.")
@click.option("--out", type=UserPath(), help="Folder to write to; default: the name of the model.")
def command(repo: str, revision: str | None, out: Path | None) -> None:
    """Download a model from the Hugging Face Hub.

    Every file is verified before the folder is written.
    """
    from ganzoo.base.storage import write_folder
    from ganzoo.errors import BadData, CannotWrite
    from ganzoo.model.format import CARD, CONFIG, CURVE, SAMPLES
    from ganzoo.model.gan import GAN
    from ganzoo.model.hub import REPO, resolve

    name, _, at = repo.removeprefix("hub:").partition("@")
    if not REPO.fullmatch(name):
        raise BadData(f"'{repo}' is not the name of a model on the Hub; write org/name")
    out = out or Path(name.rpartition("/")[2])
    if out.exists():
        raise CannotWrite(f"{out} already exists; choose another folder with --out")
    folder = resolve(name, revision or at or None, None)
    gan = GAN.from_pretrained(f"hub:{name}", revision=folder.commit)
    known = [n for n in (CARD, SAMPLES, CURVE) if n in folder.sizes()]
    names = [CONFIG, *(f"{network}.safetensors" for network in gan.networks), *known]
    write_folder(out, {name: folder.file(name).read_bytes() for name in names})
    click.echo(f"{name} at {folder.commit[:8]}: {out}")
    click.echo(f"next     ganzoo sample {out}")

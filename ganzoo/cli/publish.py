"""`ganzoo publish`."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import click


@click.command("publish")
@click.argument("run", metavar="RUN")
@click.argument("repo", metavar="ORG/NAME")
@click.option("--private", is_flag=True, default=None, help="Make a new repository private.")
@click.option("--revision", metavar="BRANCH", help="Publish to a branch, which is made if need be.")
@click.option(
    "--dtype", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True, help="Weights."
)
@click.option("--license", "licence", metavar="NAME", help="Licence that you give the model, as mit or cc-by-4.0.")
@click.option("--message", default="Publish a ganzoo model", show_default=True, help="Of the commit.")
@click.option("--dry-run", is_flag=True, help="Show what would be published, and send nothing.")
def command(
    run: str,
    repo: str,
    private: bool | None,
    revision: str | None,
    dtype: str,
    licence: str | None,
    message: str,
    dry_run: bool,
) -> None:
    """Publish the model of a run on the Hugging Face Hub, in one commit.

    RUN is a run or model folder. Its card, model/README.md, is published as it lies there: edit it first if you like.
    You have to be logged in: hf auth login, or HF_TOKEN.
    """
    from ganzoo.card import tell_licence
    from ganzoo.component import NAME
    from ganzoo.errors import BadData, shown
    from ganzoo.format import CARD, CONFIG, CURVE, SAMPLES
    from ganzoo.hub import REPO, Local, contents, find, upload
    from ganzoo.model import GAN

    if not REPO.fullmatch(repo):
        raise BadData(f"'{repo}' is no name of a model on the Hub; write org/name")
    if licence is not None and not NAME.fullmatch(licence):
        raise BadData(
            f"'{shown(licence)}' is no name of a licence on the Hub; write one as mit, apache-2.0 or cc-by-4.0"
        )
    if not Path(run).is_dir():
        raise BadData(f"there is no run or model folder {run}; ganzoo train makes one")
    folder = cast(Local, find(run))
    gan = GAN.from_pretrained(folder.path)  # verifies every file of it
    with TemporaryDirectory() as place:
        sent, old = folder.path, folder_dtype(folder.path / CONFIG)
        if dtype != old or licence:
            gan.facts = {**gan.facts, **({"license": licence} if licence else {})}
            sent = Path(place) / "model"
            gan.save(sent, dtype)  # type: ignore[arg-type]
            for name in (CARD, SAMPLES, CURVE):
                if (folder.path / name).is_file():
                    shutil.copy(folder.path / name, sent / name)
            if (card := sent / CARD).is_file():
                card.write_bytes(
                    card.read_bytes().replace(b"safetensors in " + old.encode(), b"safetensors in " + dtype.encode())
                )
                if licence:
                    tell_licence(card, licence)
        files = contents(sent, repo)
        sizes = {n: Path(c).stat().st_size if isinstance(c, str) else len(c) for n, c in files.items()}
        for name, size in sizes.items():
            click.echo(f"  {name:30} {size:>13,} bytes")
        if dry_run:
            click.echo(f"nothing was sent; without --dry-run this is {repo}{f' ({revision})' if revision else ''}")
            return
        address = upload(sent, repo, private, revision, message=message)
    click.echo(f"published {address}")
    click.echo(f"next      ganzoo sample {repo}{f'@{revision}' if revision else ''}")


def folder_dtype(config: Path) -> str:
    """Return the dtype of a model folder's weights."""
    from ganzoo.format import read_model_file

    return read_model_file(config, str(config.parent))[0].dtype

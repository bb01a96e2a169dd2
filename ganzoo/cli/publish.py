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
@click.option("--revision", metavar="BRANCH", help="Publish to this branch; it is created if it does not exist.")
@click.option(
    "--dtype",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    default="fp32",
    show_default=True,
    help="Type of the weights.",
)
@click.option("--license", "licence", metavar="NAME", help="Licence of the model, as mit or cc-by-4.0.")
@click.option("--message", default="Publish a ganzoo model", show_default=True, help="Commit message.")
@click.option("--dry-run", is_flag=True, help="List the files that would be published, and upload nothing.")
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
    """Publish a model on the Hugging Face Hub, in one commit.

    RUN is a run folder or a model folder. Its card, model/README.md, is published unchanged; edit it first if you like.
    Log in with `hf auth login`, or set HF_TOKEN.
    """
    from ganzoo.errors import BadData, printable
    from ganzoo.model.hub import REPO, Local, contents, find, upload
    from ganzoo.registry.component import NAME

    if not REPO.fullmatch(repo):
        raise BadData(f"'{repo}' is not the name of a model on the Hub; write org/name")
    if licence is not None and not NAME.fullmatch(licence):
        raise BadData(
            f"'{printable(licence)}' is not the name of a licence on the Hub; write for example mit, apache-2.0 or "
            "cc-by-4.0"
        )
    if not Path(run).is_dir():
        raise BadData(f"there is no run or model folder {run}; train a model with: ganzoo train --out {run}")
    folder = cast(Local, find(run))
    with TemporaryDirectory() as temporary:
        source = converted(folder.path, Path(temporary) / "model", dtype, licence)
        files = contents(source, repo)
        sizes = {n: Path(c).stat().st_size if isinstance(c, str) else len(c) for n, c in files.items()}
        for name, size in sizes.items():
            click.echo(f"  {name:30} {size:>13,} bytes")
        if dry_run:
            target = f"{repo}{f' ({revision})' if revision else ''}"
            click.echo(f"nothing was uploaded; leave out --dry-run to publish to {target}")
            return
        address = upload(source, repo, private, revision, message=message)
    click.echo(f"published {address}")
    click.echo(f"next      ganzoo sample {repo}{f'@{revision}' if revision else ''}")


def converted(folder: Path, copy: Path, dtype: str, licence: str | None) -> Path:
    """Verify a model folder, and copy it if its dtype or licence is to change.

    Args:
        folder: The model folder; it is not changed.
        copy: Where the copy is written.
        dtype: Type of the published weights: "fp32", "bf16" or "fp16".
        licence: Licence of the published model; default: that of the folder.

    Returns:
        The folder to publish: `folder` or `copy`.

    Raises:
        CorruptFile: A file of the folder is damaged.
    """
    from ganzoo.model.card import set_licence
    from ganzoo.model.format import CARD, CONFIG, CURVE, SAMPLES
    from ganzoo.model.gan import GAN

    gan, old = GAN.from_pretrained(folder), folder_dtype(folder / CONFIG)
    if dtype == old and not licence:
        return folder
    gan.metadata = {**gan.metadata, **({"license": licence} if licence else {})}
    gan.save(copy, dtype)  # type: ignore[arg-type]
    for name in (CARD, SAMPLES, CURVE):
        if (folder / name).is_file():
            shutil.copy(folder / name, copy / name)
    if (card := copy / CARD).is_file():
        text = card.read_bytes()
        card.write_bytes(text.replace(b"safetensors in " + old.encode(), b"safetensors in " + dtype.encode()))
        if licence:
            set_licence(card, licence)
    return copy


def folder_dtype(config: Path) -> str:
    """Return the dtype of the weights of a model folder, given the path of its `config.json`."""
    from ganzoo.model.format import read_model_file

    return read_model_file(config, str(config.parent))[0].dtype

"""`ganzoo demo`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ganzoo.cli.model import load_model, model_argument


@click.command("demo")
@model_argument
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 accepts other machines."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=7860,
    show_default=True,
    help="Port to listen on; 0 picks a free one.",
)
@click.option("--device", default="cpu", show_default=True, help="Device to compute on.")
def command(model: str, host: str, port: int, device: str) -> None:
    """Explore a model on an interactive web page.

    The page offers seeds, classes, truncation, latent directions and your own images. It is served by this machine and
    sends no data anywhere; press Ctrl-C to stop it. Requires the extra `demo`: pip install 'torch-ganzoo[demo]'.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from ganzoo.report.demo import build_page, serve

    gan = load_model(model, device)
    name = Path(model).resolve().name if Path(model).exists() else model
    serve(build_page(gan, name), host, port)

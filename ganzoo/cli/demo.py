"""`ganzoo demo`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ganzoo.cli.model import load_model, model_argument


@click.command("demo")
@model_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 lets others in.")
@click.option("--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="Of the page; 0: any.")
@click.option("--device", default="cpu", show_default=True, help="Where to compute.")
def command(model: str, host: str, port: int, device: str) -> None:
    """Play with a model on a page: seeds, classes, truncation, directions, and images of your own.

    It wants an extra: pip install 'torch-ganzoo[demo]'. The page is served from this machine alone, and sends nothing
    anywhere; Ctrl-C ends it.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from ganzoo.demo import page, serve

    gan = load_model(model, device)
    name = Path(model).resolve().name if Path(model).exists() else model
    serve(page(gan, name), host, port)

"""`ganzoo doctor`."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import click

from ganzoo.component import describe
from ganzoo.registry import installed

REINSTALL = "pip install --force-reinstall torch torchvision"


@click.command("doctor")
def command() -> None:
    """Check this machine and installation. Exits with 1 when something needs mending."""
    problems = 0
    for name, said, cure in findings():
        problems += bool(cure)
        click.echo(f"{'!' if cure else ' '} {name:17}{said}" + (f"\n                   → {cure}" if cure else ""))
    click.echo(f"\n{problems} to mend" if problems else "\nall well")
    if problems:
        raise SystemExit(1)


def findings() -> Iterator[tuple[str, str, str]]:
    """Yield (what, what was found, what mends it or an empty string)."""
    yield "python", platform.python_version(), ""
    for package in ("torch-ganzoo", "torch", "torchvision", "timm", "accelerate", "datasets", "huggingface-hub"):
        yield _package(package)
    try:
        from ganzoo.backend import make_backend

        yield "device", str(make_backend()), ""
    except Exception as error:  # this command exists to say what is wrong
        yield "device", describe(error), REINSTALL
    registry = installed()
    for plugin in registry.plugins:
        cure = f"mend or remove it: pip uninstall {plugin.distribution}, or GANZOO_DISABLE_PLUGINS={plugin.name}"
        yield (
            f"plugin {plugin.name}",
            plugin.error or f"{plugin.distribution} {plugin.version}",
            cure if plugin.error else "",
        )
    free = shutil.disk_usage(".").free / 2**30
    yield "disk", f"{free:.1f} GiB free here", "" if free > 1 else "make room"
    yield (
        "writable",
        "yes" if os.access(".", os.W_OK) else "no",
        "" if os.access(".", os.W_OK) else "cd to a folder of yours",
    )


def _package(name: str) -> tuple[str, str, str]:
    try:
        found = version(name)
    except PackageNotFoundError:
        return name, "not installed", f"pip install {name}"
    module = {"torch-ganzoo": "ganzoo", "huggingface-hub": "huggingface_hub"}.get(name, name)
    try:
        importlib.import_module(module)
    except Exception as error:  # a torchvision built for another torch raises RuntimeError
        return name, f"{found}, but it cannot be imported ({describe(error)})", REINSTALL
    return name, found, ""

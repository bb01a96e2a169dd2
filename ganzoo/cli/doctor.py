"""`ganzoo doctor`."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import click

from ganzoo.registry.component import describe
from ganzoo.registry.discovery import installed

REINSTALL = "pip install --force-reinstall torch torchvision"


@click.command("doctor")
def command() -> None:
    """Check the installation and this machine.

    Exits with status 1 if there is a problem.
    """
    problems = 0
    for name, status, remedy in findings():
        problems += bool(remedy)
        click.echo(
            f"{'!' if remedy else ' '} {name:17}{status}" + (f"\n                   → {remedy}" if remedy else "")
        )
    click.echo(f"\n{problems} problem{'s' * (problems > 1)} found" if problems else "\nno problems found")
    if problems:
        raise SystemExit(1)


def findings() -> Iterator[tuple[str, str, str]]:
    """Check packages, device, plugins and disk.

    Yields:
        (name, status, remedy) of each check; the remedy is empty where there is no problem.
    """
    yield "python", platform.python_version(), ""
    for package in ("torch-ganzoo", "torch", "torchvision", "timm", "accelerate", "datasets", "huggingface-hub"):
        yield _package(package)
    try:
        from ganzoo.base.device import make_backend

        yield "device", str(make_backend()), ""
    except Exception as error:  # whatever is wrong is reported, not raised
        yield "device", describe(error), REINSTALL
    registry = installed()
    for plugin in registry.plugins:
        remedy = f"fix or remove it: pip uninstall {plugin.distribution}, or GANZOO_DISABLE_PLUGINS={plugin.name}"
        yield (
            f"plugin {plugin.name}",
            plugin.error or f"{plugin.distribution} {plugin.version}",
            remedy if plugin.error else "",
        )
    free = shutil.disk_usage(".").free / 2**30
    yield "disk", f"{free:.1f} GiB free here", "" if free > 1 else "free some disk space"
    writable = os.access(".", os.W_OK)
    yield "writable", "yes" if writable else "no", "" if writable else "change to a folder that you can write to"


def _package(name: str) -> tuple[str, str, str]:
    try:
        installed_version = version(name)
    except PackageNotFoundError:
        return name, "not installed", f"pip install {name}"
    module = {"torch-ganzoo": "ganzoo", "huggingface-hub": "huggingface_hub"}.get(name, name)
    try:
        importlib.import_module(module)
    except Exception as error:  # for example a torchvision that was built for another torch: RuntimeError
        return name, f"{installed_version}, but it cannot be imported ({describe(error)})", REINSTALL
    return name, installed_version, ""

"""What a result depends on besides its configuration: versions of packages, and the machine."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

import torch

from ganzoo.config.schema import Config
from ganzoo.errors import UnknownComponent
from ganzoo.registry.discovery import Registry


def describe_environment(config: Config, registry: Registry) -> dict[str, Any]:
    """Return the packages of every component, the versions that decide a result, and the machine.

    Args:
        config: The configuration of the run.
        registry: Where its components are looked up.
    """
    return {
        "components": [*_components(config, registry)],
        "versions": {
            "ganzoo": version("torch-ganzoo"),
            "torch": torch.__version__,
            "accelerate": version("accelerate"),
        },
        "python": platform.python_version(),
        "machine": {
            "system": platform.system(),
            "device": device_name(config.device),
            "processor": processor_name(),
            "threads": torch.get_num_threads(),
        },
    }


def _components(config: Config, registry: Registry) -> list[dict[str, str]]:
    found = []
    for kind, name in config.components():
        try:
            plugin = registry.get(kind, name).plugin
        except UnknownComponent:  # a folder of images is no registered data set
            continue
        found.append({"kind": kind, "name": name, "package": plugin.distribution, "version": plugin.version})
    return found


def device_name(device: str) -> str:
    """Return what computes: the name of the GPU or of the processor.

    Args:
        device: As in a configuration: "auto", "cpu", "cuda", "cuda:1" or "mps".
    """
    found = torch.accelerator.current_accelerator(check_available=True) if device == "auto" else torch.device(device)
    if found is None or found.type == "cpu":
        return processor_name()
    return torch.cuda.get_device_name(found) if found.type == "cuda" else found.type


def processor_name() -> str:
    """Return the model of the processor, or its architecture if the system does not say."""
    return str(torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine())

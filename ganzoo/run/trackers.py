"""Experiment trackers: those that accelerate supports, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker, get_available_trackers
from accelerate.utils import LoggerType

from ganzoo.errors import BadConfig, MissingExtra, nearest
from ganzoo.registry.component import describe

PROJECT = "ganzoo"
ALWAYS = "tensorboard"
"""Every run folder has TensorBoard events, whether this tracker is named or not."""
RUN_NAME = {"wandb": "name", "trackio": "name", "mlflow": "run_name", "swanlab": "experiment_name"}
"""Option by which a tracker takes the name of the run; other trackers choose a name themselves."""


def check_trackers(names: Sequence[str]) -> None:
    """Check that trackers are supported and installed.

    Args:
        names: Names of the trackers.

    Raises:
        BadConfig: accelerate does not support one of them.
        MissingExtra: One of them is not installed.
    """
    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            known = sorted(LOGGER_TYPE_TO_CLASS)
            raise BadConfig(f"no tracker is called '{name}'{nearest(name, known)} Trackers: {', '.join(known)}")
        if name in LoggerType.list() and name not in map(str, get_available_trackers()):
            raise MissingExtra(f"tracker '{name}' is not installed: pip install {name}")


def start_trackers(names: Sequence[str], folder: Path, settings: Mapping[str, Any]) -> dict[str, GeneralTracker]:
    """Start trackers, in the project `ganzoo` and with the name of the run folder.

    They are configured by their own environment variables.

    Args:
        names: Names of the trackers.
        folder: The run folder.
        settings: Configuration of the run, which is logged.

    Returns:
        The trackers by name.

    Raises:
        BadConfig: A tracker cannot be started.
    """
    started = {}
    for name in names:
        kind = LOGGER_TYPE_TO_CLASS[name]
        directory = [str(folder)] if kind.requires_logging_directory else []
        try:
            tracker = kind(PROJECT, *directory, **({RUN_NAME[name]: folder.name} if name in RUN_NAME else {}))
            tracker.start()
            tracker.store_init_configuration(dict(flatten(settings)))
        except Exception as error:  # clients raise errors of many types, for example without network or login
            raise BadConfig(
                f"tracker '{name}' cannot be started ({describe(error)}); fix this, or remove it from `trackers`"
            ) from error
        started[name] = tracker
    return started


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten nested values, as trackers need them.

    Args:
        values: Nested values; None is left out.
        prefix: Start of every key.

    Yields:
        Dotted keys and values; a value is a string, a number or a bool.
    """
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value if isinstance(value, str | int | float) else str(value)

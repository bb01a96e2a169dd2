"""Where metrics go besides the run folder: the trackers that accelerate knows, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker, get_available_trackers
from accelerate.utils import LoggerType

from ganzoo.component import describe
from ganzoo.errors import BadConfig, MissingExtra, nearest

PROJECT = "ganzoo"
ALWAYS = "tensorboard"
"""Run folders have its events anyway."""
RUN_NAME = {"wandb": "name", "trackio": "name", "mlflow": "run_name", "swanlab": "experiment_name"}
"""Option of a tracker that takes the name of the run; the others make up their own."""


def check_trackers(names: Sequence[str]) -> None:
    """Raise BadConfig for a tracker that accelerate does not know, or MissingExtra for one that is not installed."""
    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            known = sorted(LOGGER_TYPE_TO_CLASS)
            raise BadConfig(f"no tracker is called '{name}'{nearest(name, known)} Trackers: {', '.join(known)}")
        if name in LoggerType.list() and name not in map(str, get_available_trackers()):
            raise MissingExtra(f"tracker '{name}' is not installed: pip install {name}")


def start_trackers(names: Sequence[str], folder: Path, settings: Mapping[str, Any]) -> dict[str, GeneralTracker]:
    """Return trackers by name, each with a run called as the run folder, in the project `ganzoo`.

    Where they send or write what they are told is said by their own environment variables. Raises BadConfig when one
    does not start.
    """
    started = {}
    for name in names:
        kind = LOGGER_TYPE_TO_CLASS[name]
        place = [str(folder)] if kind.requires_logging_directory else []
        try:
            tracker = kind(PROJECT, *place, **({RUN_NAME[name]: folder.name} if name in RUN_NAME else {}))
            tracker.start()
            tracker.store_init_configuration(dict(flat(settings)))
        except Exception as error:  # whatever its client raises: no network, nobody logged in
            raise BadConfig(
                f"tracker '{name}' cannot be started ({describe(error)}); mend that, or leave it out of trackers"
            ) from error
        started[name] = tracker
    return started


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Return nested values by dotted keys, as trackers take them; what is not said is left out."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value if isinstance(value, str | int | float) else str(value)

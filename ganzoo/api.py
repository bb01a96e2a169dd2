"""Train from Python, as the command line does."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.config.keys import MODEL_KEYS
from ganzoo.config.resolve import configure, describe_run, extend, qualify
from ganzoo.config.schema import Config
from ganzoo.data.split import SPLIT, SavedSplit
from ganzoo.errors import Diverged, NoSuchData
from ganzoo.model.format import CONFIG, read_model_file
from ganzoo.model.gan import GAN
from ganzoo.model.hub import find
from ganzoo.registry.discovery import Registry, installed
from ganzoo.report.page import after_training
from ganzoo.run.folder import Run, new_folder
from ganzoo.training.assemble import assemble
from ganzoo.training.experiment import Experiment
from ganzoo.training.trainer import Progress, Trainer

if TYPE_CHECKING:
    from os import PathLike


def train(
    config: Config | Mapping[str, Any] | None = None,
    out: str | PathLike[str] | None = None,
    *,
    on_start: Callable[[Experiment, Run], None] = lambda _experiment, _run: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    registry: Registry | None = None,
) -> GAN:
    """Train a GAN, or continue a run.

    Args:
        config: A `Config`, or dotted keys over that of the run folder, if it has one, or over the default one:
            `{"gen.width": 64, "data.labels": 50}`.
        out: Run folder; an existing one is continued. Default: a new one under `runs/`.
        on_start: Called once before the first step.
        on_progress: Called whenever metrics are logged.
        registry: Where component names are looked up; default: what is installed.

    Returns:
        The GAN with averaged weights. `gan.metadata` holds `run_folder`, `report`, `step` and `metrics` (`error`,
        `balanced_error` and `macro_f1` of the held-out images in [0, 1]; `recall` and `support` of each class).

    Raises:
        GanzooError: The message says what is wrong and how to correct it.
    """
    registry = registry or installed()
    out = Path(out).expanduser() if out is not None else None
    if not isinstance(config, Config):
        values, begun = with_model_defaults(config or {}, out), Config.of_run(out) if out else None
        config = extend(begun, values, registry) if begun else configure(values=values, registry=registry)
    config = qualify(config, registry)  # that of an old run folder may have former names
    experiment = resume(config, out, registry) if out and (out / SPLIT).is_file() else assemble(config, registry)
    run = open_run(experiment, out, registry)
    trainer = Trainer(experiment, run)
    on_start(experiment, run)
    try:
        trainer.fit(on_progress)
    except Diverged:
        if experiment.backend.main:
            after_training(run.path, None, experiment.data)
        raise
    gan = trainer.averaged
    gan.metadata["run_folder"] = str(run.path)
    gan.metadata["report"] = after_training(run.path, gan, experiment.data) if experiment.backend.main else ""
    return gan


def resume(config: Config, out: Path, registry: Registry) -> Experiment:
    """Create the objects of a run that continues: with its own images and labels, wherever they lie now.

    Args:
        config: The configuration.
        out: The run folder.
        registry: Where component names are looked up.

    Raises:
        NoSuchData: The data are not where they were; the message says how to name the new place.
    """
    try:
        return assemble(config, registry, SavedSplit.of(out), bool(Run(out).checkpoints()))
    except NoSuchData as error:
        place = f"ganzoo train --out {shlex.quote(str(out))} --data NEW_PLACE"
        raise NoSuchData(f"{str(error).rstrip('.')}; if the data were moved: {place}") from error


def with_model_defaults(values: Mapping[str, Any], out: str | PathLike[str] | None = None) -> dict[str, Any]:
    """Return the values of a run, with components and image size of the model that it is initialised from as defaults.

    A name on the Hub is replaced by that of one commit: of the one that the run in `out` began with, if it is there.

    Args:
        values: Dotted keys; without `init_from` nothing is added.
        out: The run folder, if it exists.

    Raises:
        CorruptFile: The model folder is damaged.
        BadData: There is no such model.
        HubError: The Hub refuses, or cannot be reached.
    """
    if not values.get("init_from"):
        return dict(values)
    begun = Config.of_run(out) if out else None
    if begun and begun.init_from and begun.init_from.partition("@")[0] == str(values["init_from"]).partition("@")[0]:
        own = {key: getattr(begun, key) for key in MODEL_KEYS}
        shape = {f"data.{key}": getattr(begun.data, key) for key in ("size", "channels", "fit", "range")}
        source = begun.init_from
    else:
        folder = find(values["init_from"])
        described, _ = read_model_file(folder.file(CONFIG), str(folder))
        own = described.components.by_kind()
        size = f"{described.shape.height}x{described.shape.width}"
        shape = {"data.size": size, "data.channels": described.shape.channels}
        shape |= {"data.fit": described.fit, "data.range": described.range}
        source = folder.address
    components = {key: {"name": component.name, **component.options} for key, component in own.items()}
    shape = {key: value for key, value in shape.items() if value is not None}
    return {**components, **shape, **values, "init_from": source}


def open_run(experiment: Experiment, out: str | PathLike[str] | None, registry: Registry) -> Run:
    """Open a run's folder in one process, and tell the others where it is."""
    backend = experiment.backend
    if not backend.main:
        return Run(Path(backend.share("")))
    folder = Path(out) if out else new_folder(Path("runs"), describe_run(experiment.config))
    run = Run.open(folder, experiment.config, registry)
    backend.share(str(run.path))
    return run

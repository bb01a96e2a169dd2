"""Train from Python, as the command line does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.assemble import Experiment, assemble
from ganzoo.config import Config
from ganzoo.data import SPLIT, Split
from ganzoo.errors import Diverged
from ganzoo.format import CONFIG, read_model_file
from ganzoo.hub import find
from ganzoo.model import GAN
from ganzoo.recipes import configure, describe_run
from ganzoo.registry import Registry, installed
from ganzoo.report import after_training
from ganzoo.run import Run, new_folder
from ganzoo.trainer import Progress, Trainer

if TYPE_CHECKING:
    from os import PathLike


def train(
    config: Config | Mapping[str, Any] | None = None,
    out: str | PathLike[str] | None = None,
    *,
    report: Callable[[Progress], None] = lambda _: None,
    started: Callable[[Experiment, Run], None] = lambda _experiment, _run: None,
    registry: Registry | None = None,
) -> GAN:
    """Train a GAN, or continue a run, and return it with averaged weights.

    config: a `Config`, or dotted keys over the default one: `{"gen.width": 64, "data.labels": 50}`; None: the run
        folder's own, or the default one.
    out: the run folder; one that exists is continued. Default: a new one under `runs/`.
    report: called with a `Progress` whenever metrics are logged. started: called once before the first step.

    Returns the GAN; `gan.facts` holds `run_folder`, `report`, `step` and `metrics` (`error`: held-out, in [0, 1]).
    Raises a GanzooError with one sentence.
    """
    registry = registry or installed()
    if config is None and out is not None:
        config = Config.of_run(out)
    if not isinstance(config, Config):
        config = configure(values=starting(config or {}, out), registry=registry)
    kept = Path(out) / SPLIT if out and config.data.split else None
    begun = bool(out and Run(Path(out)).checkpoints())
    experiment = assemble(config, registry, Split.of(kept) if kept and kept.is_file() else None, begun)
    run = open_run(experiment, out, registry)
    trainer = Trainer(experiment, run)
    started(experiment, run)
    try:
        trainer.fit(report)
    except Diverged:
        if experiment.backend.main:
            after_training(run.path, None, experiment.data)
        raise
    gan = trainer.averaged
    gan.facts["run_folder"] = str(run.path)
    gan.facts["report"] = after_training(run.path, gan, experiment.data) if experiment.backend.main else ""
    return gan


def starting(values: Mapping[str, Any], out: str | PathLike[str] | None = None) -> dict[str, Any]:
    """Return the values of a run with those of the model that it starts from below them: its parts and image size.

    A name on the Hub is made that of one commit: of the one that the run in `out` began with, if it is there.
    Raises CorruptFile, BadData or HubError.
    """
    if not values.get("start"):
        return dict(values)
    begun = Config.of_run(out) if out else None
    if begun and begun.start and begun.start.partition("@")[0] == str(values["start"]).partition("@")[0]:
        kinds = ("generator", "discriminator", "ssl")
        parts = {kind: {"name": part.name, **part.options} for kind in kinds if (part := getattr(begun, kind))}
        shape = {f"data.{key}": getattr(begun.data, key) for key in ("size", "channels", "fit")}
        return {**parts, **shape, **values, "start": begun.start}
    folder = find(values["start"])
    told, _ = read_model_file(folder.file(CONFIG), str(folder))
    parts = {kind: {"name": c.name, **c.options} for kind, c in told.components.by_kind().items()}
    shape = {"data.size": told.shape.size, "data.channels": told.shape.channels, "data.fit": told.fit}
    return {**parts, **shape, **values, "start": folder.address}


def open_run(experiment: Experiment, out: str | PathLike[str] | None, registry: Registry) -> Run:
    """Open a run's folder in one process and tell the others."""
    backend = experiment.backend
    if not backend.main:
        return Run(Path(backend.share("")))
    folder = Path(out) if out else new_folder(Path("runs"), describe_run(experiment.config))
    run = Run.open(folder, experiment.config, registry)
    backend.share(str(run.path))
    return run

"""What a run leaves behind: metrics, samples, models and checkpoints."""

from __future__ import annotations

import math
from typing import Any

from ganzoo.base.pictures import grid, png
from ganzoo.errors import Diverged
from ganzoo.metrics.held_out import classify_held_out, to_row
from ganzoo.metrics.score import Score
from ganzoo.model.format import CURVE
from ganzoo.plots.figures import run_curves
from ganzoo.run.diagnostics import DIVERGENCE, Diagnosis
from ganzoo.run.folder import BEST, MODEL, Run
from ganzoo.run.rows import ERROR
from ganzoo.training.checkpoint import TrainingState
from ganzoo.training.experiment import Experiment

GRID = 64
"""Images in a sample grid."""


class Recorder:
    """Writes what a run produces; without a run folder, or in another than the main process, it writes nothing.

    Args:
        experiment: What is trained.
        state: What changes while it trains.
        run: The run folder, or None.
    """

    def __init__(self, experiment: Experiment, state: TrainingState, run: Run | None) -> None:
        self.experiment, self.state, self.run = experiment, state, run
        self.writes = run is not None and experiment.backend.main
        self.failed_trackers: list[Diagnosis] = []

    def log(self, row: dict[str, float]) -> None:
        """Write a row of metrics."""
        if self.run and self.writes:
            self.failed_trackers += self.run.log(self.state.step, row)

    def warn(self, *warnings: Diagnosis) -> None:
        """Write warnings."""
        if self.run and self.writes:
            self.run.add_warnings(*warnings)

    def evaluate(self) -> float | None:
        """Measure the held-out error of the averaged networks, in [0, 1], and select the best weights.

        It is logged with other measures, beside those of the live networks, and decides nothing. If the configuration
        names a `best_metric`, training images decide whether the averaged networks are the best so far.
        """
        experiment, state = self.experiment, self.state
        if not experiment.backend.main:
            return None
        sides = {"averaged": experiment.averaged, "raw": experiment.gan}
        if found := classify_held_out(sides, experiment.data, experiment.batches):
            averaged = found["averaged"]
            by_class = {"recall": averaged.recall, "support": averaged.support.tolist()}
            state.metrics = {**averaged.measures(), **by_class, "step": state.step}
            self.log(to_row(averaged, found["raw"], experiment.data.class_names))
        if experiment.best_metric and self.run:
            self.check_finite()
            score, best = experiment.best_metric(), self.run.best()
            self.log({n: v for n, v in list(score.values.items())[:1] if math.isfinite(v)})
            if experiment.best_metric.better(score, Score.of(best["best"]) if best else None):
                self._write_model(self.run, BEST, best=score.to_dict())
        return state.metrics.get(ERROR)

    def save_samples(self) -> None:
        """Write a grid of samples of the averaged generator, always of the same latents."""
        if self.run and self.writes and "generator" in self.experiment.gan.networks:
            self.run.save_picture(self.state.step, png(grid(self.experiment.averaged.sample(GRID, seed=0))))

    def save_model(self) -> None:
        """Write the model folder: the averaged networks and their error."""
        if self.run and self.writes:
            self._write_model(self.run, MODEL)
        self.experiment.backend.wait()

    def save_checkpoint(self) -> None:
        """Write a checkpoint.

        Raises:
            Diverged: A weight is not finite; no checkpoint is written then.
        """
        if self.run and self.writes:
            self.check_finite()
            self.run.save_checkpoint(self.state.step, self.state.to_files(), self.experiment.config.keep_checkpoints)
        self.experiment.backend.wait()

    def restore(self) -> None:
        """Continue from the newest checkpoint, if there is one.

        Raises:
            CorruptFile: The checkpoint is damaged.
            RunMismatch: The data has changed.
        """
        if not self.run:
            return
        if self.writes:
            self.run.keep_split(self.experiment.data)
        self.experiment.backend.wait()
        if folder := self.run.latest_checkpoint():
            self.state.load(folder)
        if self.writes:
            self.run.truncate_metrics(self.state.step)
            self.run.track(self.experiment.config.trackers, self.experiment.gan.metadata["run"])

    def fall_back(self) -> None:
        """Leave the model of the last checkpoint, if there is one."""
        if self.run and self.experiment.backend.world == 1 and (folder := self.run.latest_checkpoint()):
            self.state.load(folder)
            self.save_model()

    def check_finite(self) -> None:
        """Raise Diverged if a weight is not finite."""
        if name := self.state.non_finite():
            raise self.diverged(name)

    def diverged(self, what: str) -> Diverged:
        """Return the error that ends the run, and write its reason into the run folder."""
        self.warn(Diagnosis(self.state.step, DIVERGENCE.name, f"{what} is not finite", DIVERGENCE.remedy))
        message = f"{what} is not finite at step {self.state.step}: training has diverged. The last checkpoint is kept"
        return Diverged(f"{message}; in a new run, try {DIVERGENCE.remedy}")

    def _write_model(self, run: Run, name: str, **more: Any) -> None:
        experiment, state = self.experiment, self.state
        held_out = {"held_out": int((experiment.data.test_labels >= 0).sum()), "weights": "averaged"}
        metadata = {
            "step": state.step,
            "metrics": {**state.metrics, **held_out} if state.metrics else {},
            "seconds": round(state.seconds),
            "environment": run.environment(),
            **more,
        }
        experiment.averaged.metadata = {**experiment.gan.metadata, **metadata}
        experiment.averaged.save(run.path / name, more={CURVE: run_curves(run.metrics())})

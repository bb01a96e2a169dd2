"""The loop: players are updated one after the other, their weights are averaged, the run folder is kept whole.

Every random number of a step comes from (seed, step, process), and every batch from (seed, player, draw). So a run that
was stopped continues bit for bit from weights, optimizers and the step alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.base.device import seed_everything
from ganzoo.config.schema import Optimizer
from ganzoo.data.batches import seed_of
from ganzoo.errors import Diverged, Interrupted
from ganzoo.run.diagnostics import GRADIENT, Diagnosis, Diagnostics
from ganzoo.run.folder import Run
from ganzoo.run.rows import BALANCED_ERROR, ERROR
from ganzoo.strategy.players import Player
from ganzoo.strategy.step import Step
from ganzoo.training.averaging import WeightAverage
from ganzoo.training.checkpoint import TrainingState
from ganzoo.training.experiment import Experiment
from ganzoo.training.health import health_metrics
from ganzoo.training.optimizers import follow_schedule, make_adam
from ganzoo.training.recorder import Recorder
from ganzoo.training.stopping import StopSignal


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        step: Steps that have been taken.
        steps: Steps of the whole run.
        terms: The newest terms by `player/term`.
        images_per_second: Unlabelled images per second of training.
        seconds_left: Estimated time to the end.
        error: Newest held-out error in [0, 1], or None.
        warnings: What has begun to go wrong since the last report.
        balanced_error: Newest balanced error of the held-out images in [0, 1], or None.
    """

    step: int
    steps: int
    terms: dict[str, float]
    images_per_second: float
    seconds_left: float
    error: float | None
    warnings: Sequence[Diagnosis] = ()
    balanced_error: float | None = None


@dataclass
class PlayerState:
    """A player, the parameters that it updates, and its optimizer."""

    player: Player
    settings: Optimizer
    parameters: list[nn.Parameter]
    optimizer: Any
    terms: dict[str, Tensor] = field(default_factory=dict)


class Trainer:
    """Trains an experiment from its newest checkpoint to its last step.

    Args:
        experiment: What is trained.
        run: Where it is kept; None keeps nothing.
    """

    def __init__(self, experiment: Experiment, run: Run | None = None) -> None:
        self.experiment, self.config, self.backend = experiment, experiment.config, experiment.backend
        self.gan, self.averaged = experiment.gan, experiment.averaged
        self.players = [self._player_state(player) for player in experiment.players]
        decay = self.config.ema if self.config.ema is not None else max(0.0, 1 - 10 / self.config.steps)
        self.state = TrainingState(
            learned=nn.ModuleDict({**self.gan.networks, **experiment.adaptive}),
            averaged=nn.ModuleDict(self.averaged.networks),
            average=WeightAverage(self.gan.networks, self.averaged.networks, decay),
            optimizers={p.player.name: p.optimizer for p in self.players},
            scaler=self.backend.accelerator.scaler,
        )
        self.recorder = Recorder(experiment, self.state, run)
        self.diagnostics = Diagnostics()
        self._shared_buffers = [b for b in self.state.learned.buffers() if b.is_floating_point()]
        self._health: dict[str, Tensor] = {}
        self.stop = StopSignal()

    def _player_state(self, player: Player) -> PlayerState:
        settings = self.config.optimizer_of(player.name)
        networks = [self.gan.networks[name] for name in player.networks]
        own = [p for n in networks for p in n.parameters() if p.requires_grad]
        adam = make_adam(settings, own)
        scales = self.backend.accelerator.scaler  # fp16 alone needs accelerate's optimizer around this one
        return PlayerState(player, settings, own, self.backend.accelerator.prepare_optimizer(adam) if scales else adam)

    # --- one step -------------------------------------------------------------------------------------------------

    def train_step(self) -> None:
        """Update every player, then average the weights."""
        seed_everything(seed_of(self.config.seed, "iteration", self.state.step, self.backend.rank))
        for network in self.gan.networks.values():
            if not network.training:
                network.train()
        self._health = {}
        for player in self.players:
            with self._others_frozen(player):
                for update in range(player.settings.updates_per_step):
                    self._update(player, self.state.step * player.settings.updates_per_step + update)
        self.backend.average(self._shared_buffers)
        self.state.step += 1
        self.state.average.update(self.state.step)

    def _update(self, state: PlayerState, number: int) -> None:
        """Update one player with batch `number` of its streams, micro-batch by micro-batch."""
        config, player, accumulation = self.config, state.player, self.config.gradient_accumulation_steps
        state.terms = {}
        if not follow_schedule(state.optimizer, state.settings, self.state.step / config.steps):
            return  # its learning rate is 0: no gradient would change it
        for micro_batch in range(accumulation):
            step = self.experiment.make_step(player, number * accumulation + micro_batch, self.state.step)
            with self.backend.autocast():
                terms = player.terms(step)
                if not terms:
                    continue
                total = torch.stack([t.float() for t in terms.values()]).sum() / accumulation
            self.backend.accelerator.backward(total)
            state.terms = {term: value.detach() for term, value in terms.items()}
        gradients = [p.grad for p in state.parameters if p.grad is not None]
        if not gradients:
            return
        self.backend.average(gradients)
        if self._logs(self.state.step + 1):
            self._measure_health(player, step, gradients)
        self.state.average.begin(player.networks, self.state.step)
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        for constrain in player.after:
            constrain([self.gan.networks[name] for name in player.networks])

    @contextmanager
    def _others_frozen(self, state: PlayerState) -> Iterator[None]:
        """Freeze all other parameters: their gradients would be computed and thrown away."""
        own = set(map(id, state.parameters))
        others = [p for other in self.players for p in other.parameters if id(p) not in own]
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)

    def _measure_health(self, player: Player, step: Step, gradients: list[Tensor]) -> None:
        """Gather what diagnostics need; the values stay on the device."""
        scaler = self.backend.accelerator.scaler
        norm = nn.utils.get_total_norm(gradients) / (scaler.get_scale() if scaler else 1)
        self._health |= {f"{GRADIENT}{player.name}": norm, **health_metrics(step)}

    # --- the run --------------------------------------------------------------------------------------------------

    def fit(self, on_progress: Callable[[Progress], None] = lambda _: None) -> None:
        """Continue to the last step, keeping the run folder, and leave the model in it.

        Args:
            on_progress: Called whenever metrics are logged.

        Raises:
            Interrupted: SIGINT or SIGTERM arrived; the state is saved.
            Diverged: A term or weight is not finite; the model is that of the last checkpoint.
        """
        try:
            self.restore()
            with self.stop:
                self._fit(on_progress)
                self.recorder.save_model()
        except Diverged:
            self.recorder.fall_back()
            raise
        finally:
            self.experiment.batches.close()
            if self.recorder.run:
                self.recorder.run.close()

    def restore(self) -> None:
        """Continue from the newest checkpoint, if there is one."""
        self.recorder.restore()
        if self.recorder.run and self.recorder.writes:
            for row in self.recorder.run.metrics():
                self.diagnostics(row.pop("step"), row)

    def _fit(self, on_progress: Callable[[Progress], None]) -> None:
        config, state, recorder = self.config, self.state, self.recorder
        since, began, before = state.step, time.monotonic(), state.seconds
        if state.step == 0:
            recorder.save_samples()
        while state.step < config.steps:
            self.train_step()
            state.seconds = before + time.monotonic() - began
            last, logs = state.step == config.steps, self._logs(state.step)
            if logs or state.step % config.every("checkpoint") == 0:
                row = self._metrics()
            if last or state.step % config.every("evaluate") == 0:
                recorder.evaluate()
            if logs:
                self._report(row, (state.step - since) / (time.monotonic() - began), on_progress)
            if last or state.step % config.every("sample") == 0:
                recorder.save_samples()
            if last or state.step % config.every("checkpoint") == 0:
                recorder.save_checkpoint()
            if not last and self._stopping(logs):
                recorder.save_checkpoint()
                recorder.save_model()
                raise Interrupted(f"stopped at step {state.step} of {config.steps}; saved")

    def _report(self, row: dict[str, float], rate: float, on_progress: Callable[[Progress], None]) -> None:
        """Log a row of metrics, and report progress at `rate` steps per second."""
        state, steps, images = self.state, self.config.steps, rate * self.config.batch_size
        new = self.diagnostics(state.step, row)
        self.recorder.warn(*new)
        self.recorder.log({**row, "images_per_second": round(images, 1)})
        warnings, self.recorder.failed_trackers = [*self.recorder.failed_trackers, *new], []
        terms = {n: v for n, v in row.items() if "/" in n}
        error, balanced = (state.metrics.get(name) for name in (ERROR, BALANCED_ERROR))
        left = (steps - state.step) / rate
        on_progress(Progress(state.step, steps, terms, images, left, error, warnings, balanced))

    def _logs(self, step: int) -> bool:
        """Whether a row of metrics is written after so many steps."""
        return step == self.config.steps or step % self.config.log_every == 0

    def _metrics(self) -> dict[str, float]:
        """Return this step's terms as `player/term` and its health metrics, in one transfer from the device.

        Raises:
            Diverged: A term is not finite.
        """
        terms = {f"{p.player.name}/{name}": value for p in self.players for name, value in p.terms.items()}
        found = terms | self._health
        values = torch.stack([value.float() for value in found.values()]).tolist() if found else []
        row = {name: value for name, value in zip(found, values, strict=True) if math.isfinite(value)}
        if bad := [name for name in terms if name not in row]:
            raise self.recorder.diverged(bad[0])
        return row

    def _stopping(self, agree: bool) -> bool:
        """Whether to stop; several processes agree about it when they log."""
        return self.stop.received if self.backend.world == 1 else agree and self.backend.agree(self.stop.received)

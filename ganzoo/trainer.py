"""The loop: players move one after the other, their weights are averaged, the run folder is kept whole.

Every random number of an iteration comes from (seed, iteration, process), and every batch from (seed, player, draw);
so a run that was stopped continues bit for bit from weights, optimizers and the step alone.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, cast

import torch
from torch import Tensor, nn

from ganzoo.assemble import Experiment
from ganzoo.backend import seed_everything
from ganzoo.card import curve
from ganzoo.config import Optimizer
from ganzoo.contracts import Player
from ganzoo.data.batches import seed_of
from ganzoo.errors import CorruptFile, Diverged, Interrupted
from ganzoo.format import CURVE
from ganzoo.metrics import Score
from ganzoo.metrics.held_out import held_out_errors
from ganzoo.optimizers import follow_schedule, load_optimizers, make_adam, optimizer_state
from ganzoo.pictures import grid, png
from ganzoo.run import BEST, MODEL, Run
from ganzoo.step import Step
from ganzoo.storage import load_weights, read_json, read_tensors, tensor_bytes, to_json
from ganzoo.watch import DIVERGED, GRADIENT, Trouble, Watch, signs

GRID = 64
STATE = {"step", "error", "error_step", "optimizers", "scaler"}


@dataclass(frozen=True)
class Progress:
    """How far a run is: what the last rows of metrics say, and what has begun to go wrong since the ones before."""

    step: int
    steps: int
    terms: dict[str, float]
    images_per_second: float
    seconds_left: float
    error: float | None
    troubles: Sequence[Trouble] = ()


@dataclass
class Moving:
    """A player, the parameters it moves, and its optimizer."""

    player: Player
    settings: Optimizer
    parameters: list[nn.Parameter]
    optimizer: Any
    log: dict[str, Tensor] = field(default_factory=dict)


def averaging_weight(decay: float, step: int) -> float:
    """Return the weight of the newest parameters in a bias-corrected average after `step` ≥ 1 of them.

    It makes avg = (1-β) Σ βᵗ⁻ⁱ wᵢ / (1-βᵗ): Kingma and Ba 2015 (Adam), §3, for weights.
    """
    return (1 - decay) / (1 - decay**step)


class Trainer:
    """Moves an experiment from its newest checkpoint to its last step.

    run: where it is kept; None keeps nothing (for measuring).
    """

    def __init__(self, experiment: Experiment, run: Run | None = None) -> None:
        self.experiment, self.run = experiment, run
        self.config, self.backend = experiment.config, experiment.backend
        self.gan, self.averaged = experiment.gan, experiment.averaged
        self.decay = self.config.ema if self.config.ema is not None else max(0.0, 1 - 10 / self.config.steps)
        self.moving = [self._moving(player) for player in experiment.players]
        self._optimizers = {m.player.name: m.optimizer for m in self.moving}
        pairs = {n: (self.averaged.networks[n], self.gan.networks[n]) for n in self.gan.networks}
        self._weights: dict[str, list[list[Tensor]]] = {
            n: [list(i.parameters()) for i in pair] for n, pair in pairs.items()
        }
        self._state = {n: [list(i.buffers()) for i in pair] for n, pair in pairs.items()}
        self._since: dict[str, int] = {}
        self._learnt = nn.ModuleDict({**self.gan.networks, **experiment.parts})
        self._floats = [b for b in self._learnt.buffers() if b.is_floating_point()]
        self.step = 0
        self.error: float | None = None
        self.error_step = 0
        self.seconds = 0.0
        self.watch = Watch()
        self._signs: dict[str, Tensor] = {}
        self._untold: list[Trouble] = []
        self._stop = False

    def _moving(self, player: Player) -> Moving:
        settings = self.config.optimizer_of(player.name)
        networks = [self.gan.networks[name] for name in player.networks]
        own = [p for n in networks for p in n.parameters() if p.requires_grad]
        adam = make_adam(settings, own)
        scales = self.backend.accelerator.scaler  # fp16 alone needs accelerate's optimizer around this one
        return Moving(player, settings, own, self.backend.accelerator.prepare_optimizer(adam) if scales else adam)

    # --- one iteration --------------------------------------------------------------------------------------------

    def iterate(self) -> None:
        """Let every player move, then average the weights."""
        seed_everything(seed_of(self.config.seed, "iteration", self.step, self.backend.rank))
        for network in self.gan.networks.values():
            if not network.training:
                network.train()
        self._signs = {}
        for moving in self.moving:
            with self._alone(moving):
                for move in range(moving.settings.moves):
                    self._move(moving, self.step * moving.settings.moves + move)
        self.backend.average(self._floats)
        self.step += 1
        self._average()

    def _move(self, moving: Moving, number: int) -> None:
        config, settings = self.config, moving.settings
        moving.log = {}
        if not follow_schedule(moving.optimizer, settings, self.step / config.steps):
            return  # it rests at a rate of 0: nothing that it computed would move it
        for part in range(config.accumulate):
            step = self.experiment.step(moving.player, number * config.accumulate + part, self.step)
            with self.backend.autocast():
                terms = moving.player.terms(step)
                if not terms:
                    continue
                total = torch.stack([t.float() for t in terms.values()]).sum() / config.accumulate
            self.backend.accelerator.backward(total)
            moving.log = {term: value.detach() for term, value in terms.items()}
        gradients = [p.grad for p in moving.parameters if p.grad is not None]
        if not gradients:
            return
        self.backend.average(gradients)
        if self._logged(self.step + 1):
            self._look(moving, step, gradients)
        for name in moving.player.networks:
            self._since.setdefault(name, self.step)
        moving.optimizer.step()
        moving.optimizer.zero_grad(set_to_none=True)
        for constrain in moving.player.after:
            constrain([self.gan.networks[name] for name in moving.player.networks])

    def _look(self, moving: Moving, step: Step, gradients: list[Tensor]) -> None:
        """Gather the signs of what goes wrong; they stay on the device."""
        scaler = self.backend.accelerator.scaler
        norm = nn.utils.get_total_norm(gradients) / (scaler.get_scale() if scaler else 1)
        self._signs |= {f"{GRADIENT}{moving.player.name}": norm, **signs(step)}

    @contextmanager
    def _alone(self, moving: Moving) -> Iterator[None]:
        """Freeze everybody else: gradients of their weights would be computed and thrown away."""
        own = set(map(id, moving.parameters))
        others = [p for m in self.moving for p in m.parameters if id(p) not in own]
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)

    @torch.no_grad()
    def _average(self) -> None:
        """Average every network's weights since it first moved; its buffers are the live one's."""
        for name, first in self._since.items():
            kept, live = self._weights[name]
            torch._foreach_lerp_(kept, live, averaging_weight(self.decay, self.step - first))
            for old, new in zip(*self._state[name], strict=True):
                old.copy_(new)

    # --- the run --------------------------------------------------------------------------------------------------

    def fit(self, report: Callable[[Progress], None] = lambda _: None) -> None:
        """Continue to the last step, keeping the run folder, and leave the model in it.

        Raises Interrupted after SIGINT or SIGTERM, once the state is saved, and Diverged when a term is not a number:
        then the model is that of the last checkpoint.
        """
        try:
            self.resume()
            with self._signals():
                self._fit(report)
                self.save_model()
        except Diverged:
            self._fall_back()
            raise
        finally:
            self.experiment.batches.close()
            if self.run:
                self.run.close()

    def _fit(self, report: Callable[[Progress], None]) -> None:
        config, since, began, before = self.config, self.step, time.monotonic(), self.seconds
        if self.step == 0:
            self.picture()
        while self.step < config.steps:
            self.iterate()
            self.seconds = before + time.monotonic() - began
            last, logs = self.step == config.steps, self._logged(self.step)
            if logs or self.step % config.every("checkpoint") == 0:
                row = self._terms()
            if last or self.step % config.every("evaluate") == 0:
                self.evaluate()
            if logs:
                self._tell(row, (self.step - since) / (time.monotonic() - began), report)
            if last or self.step % config.every("sample") == 0:
                self.picture()
            if last or self.step % config.every("checkpoint") == 0:
                self.save()
            if not last and self._stopping(logs):
                self.save()
                self.save_model()
                raise Interrupted(f"stopped at step {self.step} of {config.steps}; saved")

    def _tell(self, row: dict[str, float], rate: float, report: Callable[[Progress], None]) -> None:
        """Log a row at so many steps a second, and report how far the run is and what begins to go wrong."""
        new = self.watch(self.step, row)
        self._note(*new)
        self.log({**row, "images_per_second": round(rate * self.config.batch, 1)})
        told, self._untold = [*self._untold, *new], []
        terms, left = {n: v for n, v in row.items() if "/" in n}, (self.config.steps - self.step) / rate
        report(Progress(self.step, self.config.steps, terms, rate * self.config.batch, left, self.error, told))

    def _logged(self, step: int) -> bool:
        """Whether a row of metrics is written after so many steps."""
        return step == self.config.steps or step % self.config.log_every == 0

    def _stopping(self, agreed: bool) -> bool:
        """Whether to stop; several processes agree about it when they log."""
        return self._stop if self.backend.world == 1 else agreed and self.backend.agree(self._stop)

    def _terms(self) -> dict[str, float]:
        """Return this step's terms as `player/term`, and signs of trouble; all leave the device together.

        Raises Diverged when a term is not a number.
        """
        found = {f"{m.player.name}/{name}": value for m in self.moving for name, value in m.log.items()} | self._signs
        values = torch.stack([value.float() for value in found.values()]).tolist() if found else []
        row = {name: value for name, value in zip(found, values, strict=True) if math.isfinite(value)}
        if bad := [name for name in found if "/" in name and name not in row]:
            raise self._diverged(bad[0])
        return row

    def _diverged(self, what: str) -> Diverged:
        """Return the error that ends the run, and keep what it says."""
        self._note(Trouble(self.step, DIVERGED.name, f"{what} is not a number", DIVERGED.remedy))
        said = f"{what} is not a number at step {self.step}: training has diverged. The last checkpoint is kept"
        return Diverged(f"{said}; in another run, try {DIVERGED.remedy}")

    def _note(self, *troubles: Trouble) -> None:
        if self.run and self.backend.main:
            self.run.note(*troubles)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let SIGINT and SIGTERM end the run after the current iteration; a second one ends it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: FrameType | None) -> None:
            if self._stop:
                raise KeyboardInterrupt
            self._stop = True

        old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    # --- what is kept ---------------------------------------------------------------------------------------------

    def log(self, row: dict[str, float]) -> None:
        """Write a row of metrics."""
        if self.run and self.backend.main:
            self._untold += self.run.log(self.step, row)

    def evaluate(self) -> float | None:
        """Measure the held-out error of the averaged networks, in [0, 1]; None where there is nothing to measure.

        It is logged beside that of the live networks, and decides nothing. Where the configuration asks for the best
        weights, training images judge the averaged networks, and these are kept if none before were better.
        """
        if not self.backend.main:
            return None
        sides = {"error": self.averaged, "error_raw": self.gan}
        if errors := held_out_errors(sides, self.experiment.data, self.experiment.batches):
            self.error, self.error_step = errors["error"], self.step
            self.log(errors)
        if (judge := self.experiment.judge) and self.run:
            self._check()
            score, best = judge(), self.run.best()
            self.log({n: v for n, v in list(score.values.items())[:1] if math.isfinite(v)})
            if judge.better(score, Score.of(best["best"]) if best else None):
                self._write_model(BEST, best=score.to_dict())
        return errors["error"] if errors else None

    def picture(self) -> None:
        """Write a grid of samples of the averaged generator, always of the same latents."""
        if self.run and self.backend.main and "generator" in self.gan.networks:
            self.run.save_picture(self.step, png(grid(self.averaged.sample(GRID, seed=0))))

    def save_model(self) -> None:
        """Write the model folder: the averaged networks, and the error they have."""
        if self.run and self.backend.main:
            self._write_model(MODEL)
        self.backend.wait()

    def _write_model(self, name: str, **more: Any) -> None:
        run = cast(Run, self.run)
        held_out = int((self.experiment.data.test_labels >= 0).sum())
        error = {"error": self.error, "held_out": held_out, "weights": "averaged", "step": self.error_step}
        facts = {
            "step": self.step,
            "metrics": {} if self.error is None else error,
            "seconds": round(self.seconds),
            "environment": run.environment(),
            **more,
        }
        self.averaged.facts = {**self.gan.facts, **facts}
        self.averaged.save(run.path / name, more={CURVE: curve(run.metrics())})

    def _check(self) -> None:
        """Raise Diverged when a weight is not a number."""
        if bad := [n for n, t in self._learnt.state_dict().items() if not bool(t.isfinite().all())]:
            raise self._diverged(bad[0])

    def save(self) -> None:
        """Write a checkpoint. Raises Diverged, and writes none, when a weight is not a number."""
        if self.run and self.backend.main:
            self._check()
            scaler = self.backend.accelerator.scaler
            tensors, facts = optimizer_state(self._optimizers)
            state = {
                "step": self.step,
                "since": self._since,
                "error": self.error,
                "error_step": self.error_step,
                "seconds": self.seconds,
                "optimizers": facts,
                "scaler": scaler.state_dict() if scaler else {},
            }
            files = {
                "weights.safetensors": tensor_bytes(self._learnt.state_dict()),
                "averaged.safetensors": tensor_bytes(nn.ModuleDict(self.averaged.networks).state_dict()),
                "optimizers.safetensors": tensor_bytes(tensors),
                "state.json": to_json(state),
            }
            self.run.save_checkpoint(self.step, files, self.config.keep_checkpoints)
        self.backend.wait()

    def resume(self) -> None:
        """Take up the newest checkpoint, if there is one. Raises CorruptFile or RunMismatch."""
        if not self.run:
            return
        if self.backend.main:
            self.run.keep_split(self.experiment.data)
        self.backend.wait()
        if folder := self.run.latest_checkpoint():
            self._load(folder)
        if self.backend.main:
            self.run.truncate_metrics(self.step)
            self.run.track(self.config.trackers, self.gan.facts["run"])
            for row in self.run.metrics():
                self.watch(row.pop("step"), row)

    def _load(self, folder: Path) -> None:
        state = read_json(folder / "state.json")
        if missing := STATE - state.keys():
            raise CorruptFile(
                f"{folder}/state.json lacks '{min(missing)}'; delete {folder} to go on from the one before"
            )
        for file, networks in (("weights", self._learnt), ("averaged", nn.ModuleDict(self.averaged.networks))):
            tensors = read_tensors(folder / f"{file}.safetensors")
            load_weights(networks, tensors, str(folder / f"{file}.safetensors"))
        load_optimizers(self._optimizers, read_tensors(folder / "optimizers.safetensors"), state["optimizers"])
        if self.backend.accelerator.scaler and state["scaler"]:
            self.backend.accelerator.scaler.load_state_dict(state["scaler"])
        self.step, self.error, self.error_step = int(state["step"]), state["error"], int(state["error_step"])
        self.seconds = float(state.get("seconds", 0.0))
        self._since = state.get("since") or dict.fromkeys(self.gan.networks, 0)

    def _fall_back(self) -> None:
        """Leave the model of the last checkpoint, if there is one."""
        if self.run and self.backend.world == 1 and (folder := self.run.latest_checkpoint()):
            self._load(folder)
            self.save_model()

"""The loop: players move one after the other, their weights are averaged, the run folder is kept whole.

Every random number of an iteration comes from (seed, iteration, process), and every batch from (seed, player, draw);
so a run that was stopped continues bit for bit from weights, optimizers and the step alone.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

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
from ganzoo.pictures import grid, png
from ganzoo.run import Run
from ganzoo.storage import load_weights, read_json, read_tensors, tensor_bytes, to_json

GRID = 64
STATE = {"step", "error", "error_step", "optimizers", "scaler"}
REMEDY = "The last checkpoint is kept; try a smaller --set optimizer.lr, --precision fp32 or a --penalty"


@dataclass(frozen=True)
class Progress:
    """How far a run is: what the last rows of metrics say."""

    step: int
    steps: int
    terms: dict[str, float]
    images_per_second: float
    seconds_left: float
    error: float | None


@dataclass
class Moving:
    """A player, the parameters it moves, and its optimizer."""

    player: Player
    settings: Optimizer
    parameters: list[nn.Parameter]
    optimizer: Any
    log: dict[str, Tensor] = field(default_factory=dict)


def schedule(kind: str, progress: float, hold: float, until: float = 1.0) -> float:
    """Return how much is left of what a schedule lowers, at `progress` in [0, 1): 1 up to `hold`, 0 from `until` on."""
    t = min(max(0.0, progress - hold) / (until - hold), 1.0)
    return {"constant": 1.0, "linear": 1 - t, "cosine": 0.5 * (1 + math.cos(math.pi * t))}[kind]


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
        live, kept = self.gan.networks.values(), self.averaged.networks.values()
        self._weights: list[list[Tensor]] = [[p for n in side for p in n.parameters()] for side in (kept, live)]
        self._state = [[b for n in side for b in n.buffers()] for side in (kept, live)]
        self._learnt = nn.ModuleDict({**self.gan.networks, **experiment.parts})
        self._floats = [b for b in self._learnt.buffers() if b.is_floating_point()]
        self.step = 0
        self.error: float | None = None
        self.error_step = 0
        self.seconds = 0.0
        self._stop = False

    def _moving(self, player: Player) -> Moving:
        settings = self.config.optimizer_of(player.name)
        networks = [self.gan.networks[name] for name in player.networks]
        own = [p for n in networks for p in n.parameters() if p.requires_grad]
        adam = torch.optim.AdamW(
            own,
            settings.lr,
            (settings.beta1, settings.beta2),
            settings.eps,
            weight_decay=settings.weight_decay,
            fused=self.backend.device.type in ("cpu", "cuda"),
        )
        scales = self.backend.accelerator.scaler  # fp16 alone needs accelerate's optimizer around this one
        return Moving(player, settings, own, self.backend.accelerator.prepare_optimizer(adam) if scales else adam)

    # --- one iteration --------------------------------------------------------------------------------------------

    def iterate(self) -> None:
        """Let every player move, then average the weights."""
        seed_everything(seed_of(self.config.seed, "iteration", self.step, self.backend.rank))
        for network in self.gan.networks.values():
            if not network.training:
                network.train()
        for moving in self.moving:
            with self._alone(moving):
                for move in range(moving.settings.moves):
                    self._move(moving, self.step * moving.settings.moves + move)
        self.backend.average(self._floats)
        self.step += 1
        self._average()

    def _move(self, moving: Moving, number: int) -> None:
        config, settings = self.config, moving.settings
        left = schedule(settings.schedule, self.step / config.steps, settings.hold, settings.until)
        beta2 = settings.beta2 if settings.beta2_final is None else settings.beta2_final
        for group in moving.optimizer.param_groups:
            group["lr"] = settings.lr * (settings.final + left * (1 - settings.final))
            group["betas"] = settings.beta1, beta2 + left * (settings.beta2 - beta2)
        moving.log = {}
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
        moving.optimizer.step()
        moving.optimizer.zero_grad(set_to_none=True)
        for constrain in moving.player.after:
            constrain([self.gan.networks[name] for name in moving.player.networks])

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
        kept, live = self._weights
        torch._foreach_lerp_(kept, live, averaging_weight(self.decay, self.step))
        for old, new in zip(*self._state, strict=True):
            old.copy_(new)

    # --- the run --------------------------------------------------------------------------------------------------

    def fit(self, report: Callable[[Progress], None] = lambda _: None) -> None:
        """Continue to the last step, keeping the run folder, and leave the model in it.

        Raises Interrupted after SIGINT or SIGTERM, once the state is saved, and Diverged when a term is not a number.
        """
        try:
            self.resume()
            with self._signals():
                self._fit(report)
                self.save_model()
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
            last = self.step == config.steps
            logs = last or self.step % config.log_every == 0
            if logs or self.step % config.every("checkpoint") == 0:
                terms = self._terms()
            if last or self.step % config.every("evaluate") == 0:
                self.evaluate()
            if logs:
                rate = (self.step - since) / (time.monotonic() - began)
                self.log({**terms, "images_per_second": round(rate * config.batch, 1)})
                left = (config.steps - self.step) / rate
                report(Progress(self.step, config.steps, terms, rate * config.batch, left, self.error))
            if last or self.step % config.every("sample") == 0:
                self.picture()
            if last or self.step % config.every("checkpoint") == 0:
                self.save()
            if not last and self._stopping(logs):
                self.save()
                self.save_model()
                raise Interrupted(f"stopped at step {self.step} of {config.steps}; saved")

    def _stopping(self, agreed: bool) -> bool:
        """Whether to stop; several processes agree about it when they log."""
        return self._stop if self.backend.world == 1 else agreed and self.backend.agree(self._stop)

    def _terms(self) -> dict[str, float]:
        terms = {f"{m.player.name}/{name}": float(value) for m in self.moving for name, value in m.log.items()}
        if bad := [name for name, value in terms.items() if not math.isfinite(value)]:
            raise Diverged(f"{bad[0]} is {terms[bad[0]]} at step {self.step}: training has diverged. {REMEDY}")
        return terms

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
            self.run.log(self.step, row)

    @torch.no_grad()
    def evaluate(self) -> float | None:
        """Measure the held-out error of the averaged networks, in [0, 1]; None where there is nothing to measure.

        In fp32, as the model folder will be used. It is logged beside that of the live networks, and decides nothing.
        """
        data = self.experiment.data
        known = data.test_labels >= 0
        if not (self.gan.shape.classes and bool(known.any()) and self.backend.main):
            return None
        wrong = {"error": 0, "error_raw": 0}
        places = torch.split(torch.arange(len(data.test)), GRID * 4)
        for network in self.gan.networks.values():
            network.eval()
        for place, images in zip(places, data.test.batches(iter(places)), strict=False):
            x, truth = self.experiment.batches.see(images, "plain"), data.test_labels[place]
            for name, side in zip(wrong, (self.averaged, self.gan), strict=True):
                logits = side.strategy.classify(side.networks, x)
                if logits is None:
                    return None
                wrong[name] += int(((logits.argmax(1).cpu() != truth) & (truth >= 0)).sum())
        errors = {name: count / int(known.sum()) for name, count in wrong.items()}
        self.error, self.error_step = errors["error"], self.step
        self.log(errors)
        return self.error

    def picture(self) -> None:
        """Write a grid of samples of the averaged generator, always of the same latents."""
        if self.run and self.backend.main and "generator" in self.gan.networks:
            self.run.save_picture(self.step, png(grid(self.averaged.sample(GRID, seed=0))))

    def save_model(self) -> None:
        """Write the model folder: the averaged networks, and the error they have."""
        if self.run and self.backend.main:
            held_out = int((self.experiment.data.test_labels >= 0).sum())
            error = {"error": self.error, "held_out": held_out, "weights": "averaged", "step": self.error_step}
            facts = {
                "step": self.step,
                "metrics": {} if self.error is None else error,
                "seconds": round(self.seconds),
                "environment": self.run.environment(),
            }
            self.averaged.facts = {**self.gan.facts, **facts}
            self.averaged.save(self.run.path / "model", more={CURVE: curve(self.run.metrics())})
        self.backend.wait()

    def save(self) -> None:
        """Write a checkpoint. Raises Diverged, and writes none, when a weight is not a number."""
        if self.run and self.backend.main:
            if bad := [n for n, t in self._learnt.state_dict().items() if not bool(t.isfinite().all())]:
                raise Diverged(f"{bad[0]} is not a number at step {self.step}: training has diverged. {REMEDY}")
            scaler = self.backend.accelerator.scaler
            tensors, facts = self._optimizer_state()
            state = {
                "step": self.step,
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
            state = read_json(folder / "state.json")
            if missing := STATE - state.keys():
                raise CorruptFile(
                    f"{folder}/state.json lacks '{min(missing)}'; delete {folder} to go on from the one before"
                )
            for file, networks in (("weights", self._learnt), ("averaged", nn.ModuleDict(self.averaged.networks))):
                tensors = read_tensors(folder / f"{file}.safetensors")
                load_weights(networks, tensors, str(folder / f"{file}.safetensors"))
            self._load_optimizers(read_tensors(folder / "optimizers.safetensors"), state["optimizers"])
            if self.backend.accelerator.scaler and state["scaler"]:
                self.backend.accelerator.scaler.load_state_dict(state["scaler"])
            self.step, self.error, self.error_step = int(state["step"]), state["error"], int(state["error_step"])
            self.seconds = float(state.get("seconds", 0.0))
        if self.backend.main:
            self.run.truncate_metrics(self.step)

    def _optimizer_state(self) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
        """Return the optimizers' state: tensors by `player/number/key`, and plain values likewise."""
        tensors: dict[str, Tensor] = {}
        facts: dict[str, dict[str, Any]] = {}
        for m in self.moving:
            for number, state in m.optimizer.state_dict()["state"].items():
                for key, value in state.items():
                    kept: dict[str, Any] = tensors if isinstance(value, Tensor) else facts.setdefault("plain", {})
                    kept[f"{m.player.name}/{number}/{key}"] = value
        return tensors, facts

    def _load_optimizers(self, tensors: dict[str, Tensor], facts: dict[str, dict[str, Any]]) -> None:
        for m in self.moving:
            state: dict[int, dict[str, Any]] = {}
            for name, value in {**tensors, **facts.get("plain", {})}.items():
                player, number, key = name.rsplit("/", 2)
                if player == m.player.name:
                    state.setdefault(int(number), {})[key] = value
            for index, values in state.items():  # in the layout of the weights: fused kernels walk raw memory
                like = m.parameters[index]
                alike = {k: v for k, v in values.items() if isinstance(v, Tensor) and v.shape == like.shape}
                values |= {k: torch.empty_like(like, requires_grad=False).copy_(v) for k, v in alike.items()}
            groups = m.optimizer.state_dict()["param_groups"]
            m.optimizer.load_state_dict({"state": state, "param_groups": groups})

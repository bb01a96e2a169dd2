"""Everything that changes while a run trains, as the files of a checkpoint and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ganzoo.base.storage import load_weights, read_json, read_tensors, tensor_bytes, to_json
from ganzoo.errors import CorruptFile
from ganzoo.training.averaging import WeightAverage
from ganzoo.training.optimizers import load_optimizers, optimizer_state

REQUIRED = {"step", "error", "error_step", "optimizers", "scaler"}
"""Keys of `state.json` without which a checkpoint cannot be read."""


@dataclass
class TrainingState:
    """Everything that changes while a run trains.

    Attributes:
        learned: Networks, adaptive augmentations and penalties.
        averaged: Averaged copies of the networks.
        average: Keeps these up to date.
        optimizers: Optimizers by player.
        scaler: Gradient scaler of fp16, or None.
        step: Steps that have been taken.
        error: Held-out error in [0, 1] of the averaged weights, or None.
        error_step: Step at which that error was measured.
        seconds: Time spent training.
    """

    learned: nn.ModuleDict
    averaged: nn.ModuleDict
    average: WeightAverage
    optimizers: dict[str, Any]
    scaler: Any
    step: int = 0
    error: float | None = None
    error_step: int = 0
    seconds: float = 0.0

    def non_finite(self) -> str | None:
        """Return the name of a weight that is not finite, or None."""
        return next((n for n, t in self.learned.state_dict().items() if not bool(t.isfinite().all())), None)

    def to_files(self) -> dict[str, bytes]:
        """Return the files of a checkpoint by name."""
        tensors, plain = optimizer_state(self.optimizers)
        state = {
            "step": self.step,
            "since": self.average.since,
            "error": self.error,
            "error_step": self.error_step,
            "seconds": self.seconds,
            "optimizers": plain,
            "scaler": self.scaler.state_dict() if self.scaler else {},
        }
        return {
            "weights.safetensors": tensor_bytes(self.learned.state_dict()),
            "averaged.safetensors": tensor_bytes(self.averaged.state_dict()),
            "optimizers.safetensors": tensor_bytes(tensors),
            "state.json": to_json(state),
        }

    def load(self, folder: Path) -> None:
        """Restore the state from the folder of a checkpoint.

        Raises:
            CorruptFile: A file is damaged, or is of another run.
        """
        state = read_json(folder / "state.json")
        if missing := REQUIRED - state.keys():
            raise CorruptFile(
                f"{folder}/state.json lacks '{min(missing)}'; delete {folder} to continue from the checkpoint before"
            )
        for file, networks in (("weights", self.learned), ("averaged", self.averaged)):
            tensors = read_tensors(folder / f"{file}.safetensors")
            load_weights(networks, tensors, str(folder / f"{file}.safetensors"))
        load_optimizers(self.optimizers, read_tensors(folder / "optimizers.safetensors"), state["optimizers"])
        if self.scaler and state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self.step, self.error, self.error_step = int(state["step"]), state["error"], int(state["error_step"])
        self.seconds = float(state.get("seconds", 0.0))
        self.average.since = state.get("since") or dict.fromkeys(self.averaged, 0)

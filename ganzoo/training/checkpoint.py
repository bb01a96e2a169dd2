"""Everything that changes while a run trains, as the files of a checkpoint and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from ganzoo.base.storage import load_weights, read_json, read_tensors, tensor_bytes, to_json
from ganzoo.errors import CorruptFile
from ganzoo.training.averaging import WeightAverage
from ganzoo.training.optimizers import load_optimizers, optimizer_state

REQUIRED = {"step", "optimizers", "scaler"}
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
        metrics: How the averaged networks classify held-out images: the measures of `ClassCounts`, recall and support
            of each class, and the step at which they were measured; empty if they were not.
        seconds: Time spent training.
    """

    learned: nn.ModuleDict
    averaged: nn.ModuleDict
    average: WeightAverage
    optimizers: dict[str, Any]
    scaler: Any
    step: int = 0
    metrics: dict[str, Any] = field(default_factory=dict)
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
            "metrics": self.metrics,
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
        self.step, self.metrics = int(state["step"]), state.get("metrics", former_metrics(state))
        self.seconds = float(state.get("seconds", 0.0))
        self.average.since = state.get("since") or dict.fromkeys(self.averaged, 0)


def former_metrics(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics of a checkpoint from before balanced error and macro F1 were measured."""
    error = state.get("error")
    return {} if error is None else {"error": error, "step": int(state.get("error_step", 0))}

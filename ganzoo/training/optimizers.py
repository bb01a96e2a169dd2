"""Adam: how it is made of a configuration, its schedule over a run, and its state as a checkpoint can hold it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.config.schema import Optimizer


def make_adam(settings: Optimizer, parameters: Sequence[nn.Parameter]) -> torch.optim.AdamW:
    """Return the optimizer of a player's parameters."""
    return torch.optim.AdamW(
        parameters,
        settings.lr,
        (settings.beta1, settings.beta2),
        settings.eps,
        weight_decay=settings.weight_decay,
        fused=parameters[0].device.type in ("cpu", "cuda"),
    )


def schedule(kind: str, progress: float, hold: float, until: float = 1.0) -> float:
    """Return how much is left of what a schedule lowers, at `progress` in [0, 1): 1 up to `hold`, 0 from `until` on."""
    t = min(max(0.0, progress - hold) / (until - hold), 1.0)
    return {"constant": 1.0, "linear": 1 - t, "cosine": 0.5 * (1 + math.cos(math.pi * t))}[kind]


def follow_schedule(optimizer: Any, settings: Optimizer, progress: float) -> bool:
    """Give an optimizer its rate and betas at `progress` in [0, 1). Returns whether the rate is not 0."""
    left = schedule(settings.schedule, progress, settings.decay_start, settings.decay_end)
    beta2 = settings.beta2 if settings.final_beta2 is None else settings.final_beta2
    for group in optimizer.param_groups:
        group["lr"] = settings.lr * (settings.final_lr_ratio + left * (1 - settings.final_lr_ratio))
        group["betas"] = settings.beta1, beta2 + left * (settings.beta2 - beta2)
    return left > 0 or settings.final_lr_ratio > 0


def optimizer_state(optimizers: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    """Return the state of optimizers by player: tensors by `player/number/key`, and plain values likewise."""
    tensors: dict[str, Tensor] = {}
    facts: dict[str, dict[str, Any]] = {}
    for player, optimizer in optimizers.items():
        for number, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                kept: dict[str, Any] = tensors if isinstance(value, Tensor) else facts.setdefault("plain", {})
                kept[f"{player}/{number}/{key}"] = value
    return tensors, facts


def load_optimizers(
    optimizers: Mapping[str, Any], tensors: Mapping[str, Tensor], facts: Mapping[str, Mapping[str, Any]]
) -> None:
    """Give optimizers the state that `optimizer_state` returned."""
    for player, optimizer in optimizers.items():
        state: dict[int, dict[str, Any]] = {}
        for name, value in {**tensors, **facts.get("plain", {})}.items():
            owner, number, key = name.rsplit("/", 2)
            if owner == player:
                state.setdefault(int(number), {})[key] = value
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for index, values in state.items():  # in the layout of the weights: fused kernels walk raw memory
            like = parameters[index]
            alike = {k: v for k, v in values.items() if isinstance(v, Tensor) and v.shape == like.shape}
            values |= {k: torch.empty_like(like, requires_grad=False).copy_(v) for k, v in alike.items()}
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})

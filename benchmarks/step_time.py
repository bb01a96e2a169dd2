"""Milliseconds a step of the Trainer against a bare loop over the same modules: K+1, Improved-GAN MLPs, MNIST.

    python -m benchmarks.step_time --mnist FOLDER [--rounds 7] [--steps 30]

FOLDER holds MNIST in the Hub's parquet layout. Both are measured in turn, round after round in one process; the ratio
is of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

from benchmarks.record import record
from ganzoo import configure
from ganzoo.assemble import assemble
from ganzoo.trainer import Trainer

BATCH = 100
VALUES = {
    "gen": "mlp", "disc": "mlp", "ssl": "kplus1", "ssl.adversarial_weight": 0.0, "loss": "nonsaturating",
    "data.size": 28, "data.labels": 100, "batch": BATCH, "steps": 180_000, "optimizer.lr": 3e-3, "optimizer.eps": 1e-4,
}  # fmt: skip


def trainer(values: dict[str, object]) -> Callable[[], None]:
    """Return one iteration of the library's loop."""
    return Trainer(assemble(configure(values=values))).iterate


def bare(values: dict[str, object]) -> Callable[[], None]:
    """Return one iteration of the loop that one would write by hand for this recipe, with every common saving.

    Labelled, unlabelled and generated images go through the discriminator together; what does not move is frozen; Adam
    is fused; the images lie in memory as uint8. No averaging of weights, logs, checks, seeds or epochs.
    """
    experiment = assemble(configure(values=values))
    generator, critic = experiment.gan.networks["generator"], experiment.gan.networks["discriminator"]
    data = experiment.data
    pixels = data.train.pixels  # type: ignore[attr-defined]
    labelled, labels = pixels[data.labelled], data.labels
    adam = [
        torch.optim.Adam([p for p in n.parameters() if p.requires_grad], 3e-3, (0.5, 0.999), 1e-4, fused=True)
        for n in (critic, generator)
    ]
    frozen = [p for p in critic.parameters() if p.requires_grad]
    dtype = torch.bfloat16 if experiment.backend.precision == "bf16" else None

    def images(source: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return source[index].float() / 127.5 - 1

    def iterate() -> None:
        with torch.autocast("cpu", dtype, enabled=dtype is not None):
            some = torch.randint(len(labelled), (BATCH,))
            with torch.no_grad():
                fake = generator(torch.rand(BATCH, 100)).float()
            known, unknown = images(labelled, some), images(pixels, torch.randint(len(pixels), (BATCH,)))
            out = critic(torch.cat([known, unknown, fake]))
            real, made = out.adv[BATCH : 2 * BATCH], out.adv[2 * BATCH :]
            loss = F.cross_entropy(out.logits[:BATCH], labels[some])
            loss = loss + 0.5 * (F.softplus(-real).mean() + F.softplus(made).mean())
        loss.backward()
        adam[0].step()
        adam[0].zero_grad()
        for p in frozen:
            p.requires_grad_(False)
        with torch.autocast("cpu", dtype, enabled=dtype is not None):
            with torch.no_grad():
                wanted = critic(images(pixels, torch.randint(len(pixels), (BATCH,)))).features.mean(0)
            loss = (critic(generator(torch.rand(BATCH, 100)).float()).features.mean(0) - wanted).square().mean()
        loss.backward()
        adam[1].step()
        adam[1].zero_grad()
        for p in frozen:
            p.requires_grad_(True)

    return iterate


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", metavar="FOLDER", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=30)
    chosen = parser.parse_args()
    values = {**VALUES, "data.source": chosen.mnist}
    loops = {"bare": bare(values), "trainer": trainer(values)}
    times: dict[str, list[float]] = {name: [] for name in loops}
    for loop in loops.values():
        for _ in range(5):
            loop()
    for _ in range(chosen.rounds):
        for name, loop in loops.items():
            began = time.perf_counter()
            for _ in range(chosen.steps):
                loop()
            times[name].append(1000 * (time.perf_counter() - began) / chosen.steps)
    median = {name: round(statistics.median(t), 2) for name, t in times.items()}
    record(
        "step_time",
        {
            "task": "K+1, Improved-GAN MLPs, MNIST, batches of 100, precision auto: milliseconds of a whole iteration",
            "rounds": chosen.rounds,
            "steps": chosen.steps,
            "milliseconds": median,
            "every_round": {name: [round(x, 2) for x in t] for name, t in times.items()},
            "trainer_over_bare": round(median["trainer"] / median["bare"], 3),
        },
    )


if __name__ == "__main__":
    main()

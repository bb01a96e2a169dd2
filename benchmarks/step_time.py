"""Compare the Trainer with a bare loop over the same modules, in milliseconds per step: K+1, Improved-GAN MLPs, MNIST.

    python -m benchmarks.step_time --mnist FOLDER [--rounds 7] [--steps 30]

FOLDER holds MNIST in the Hub's parquet layout. Both loops take turns, round after round in one process; the ratio is
of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

from benchmarks.record import images_in_memory, record
from ganzoo import configure
from ganzoo.training.assemble import assemble
from ganzoo.training.trainer import Trainer

BATCH = 100
VALUES = {
    "gen": "mlp", "disc": "mlp", "ssl": "kplus1", "ssl.adversarial_weight": 0.0, "loss": "nonsaturating",
    "data.size": 28, "data.labels": 100, "batch_size": BATCH, "steps": 180_000, "device": "cpu",
    "optimizer.lr": 3e-3, "optimizer.eps": 1e-4,
}  # fmt: skip


def trainer(values: dict[str, object]) -> Callable[[], None]:
    """Return one iteration of the library's loop."""
    return Trainer(assemble(configure(values=values))).train_step


def bare(values: dict[str, object]) -> Callable[[], None]:
    """Return one iteration of the loop that one would write by hand for this recipe, with every common optimisation.

    Labelled, unlabelled and generated images go through the discriminator together; the network that is not updated is
    frozen; Adam is fused; the images are in memory as uint8. There is no averaging of weights, and no logs, checks,
    seeds or epochs.
    """
    experiment = assemble(configure(values=values))
    generator, discriminator = experiment.gan.networks["generator"], experiment.gan.networks["discriminator"]
    data = experiment.data
    pixels = images_in_memory(data)
    labelled, labels = pixels[data.labelled], data.labels
    adam = [
        torch.optim.Adam([p for p in n.parameters() if p.requires_grad], 3e-3, (0.5, 0.999), 1e-4, fused=True)
        for n in (discriminator, generator)
    ]
    frozen = [p for p in discriminator.parameters() if p.requires_grad]

    def images(source: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return source[index].float() / 127.5 - 1

    def iterate() -> None:
        with experiment.backend.autocast():
            chosen = torch.randint(len(labelled), (BATCH,))
            with torch.no_grad():
                fake = generator(torch.rand(BATCH, 100)).float()
            known, unknown = images(labelled, chosen), images(pixels, torch.randint(len(pixels), (BATCH,)))
            out = discriminator(torch.cat([known, unknown, fake]))
            real, made = out.adv[BATCH : 2 * BATCH], out.adv[2 * BATCH :]
            loss = F.cross_entropy(out.logits[:BATCH], labels[chosen])
            loss = loss + 0.5 * (F.softplus(-real).mean() + F.softplus(made).mean())
        torch.autograd.backward(loss)
        adam[0].step()
        adam[0].zero_grad()
        for p in frozen:
            p.requires_grad_(False)
        with experiment.backend.autocast():
            with torch.no_grad():
                target = discriminator(images(pixels, torch.randint(len(pixels), (BATCH,)))).features.mean(0)
            loss = (discriminator(generator(torch.rand(BATCH, 100)).float()).features.mean(0) - target).square().mean()
        torch.autograd.backward(loss)
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

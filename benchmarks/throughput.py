"""Images per second of the Trainer against a bare loop over the same modules, loss and data: DCGAN-64 or SNGAN-32.

    python -m benchmarks.throughput [--model sngan] [--rounds 5] [--steps 8]  # sngan: some seconds a step in fp32

Also `--precision auto` against fp32. All are measured in turn, round after round in one process, so that a change of
the machine's speed meets each of them; ratios are of the medians.
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
from ganzoo.step import latent
from ganzoo.trainer import Trainer

BATCH = 64
COMMON = {"ssl": "none", "loss": "nonsaturating", "data.channels": 3, "batch": BATCH, "steps": 10_000}
MODELS: dict[str, dict[str, object]] = {
    "dcgan": {"gen": "dcgan", "disc": "dcgan", "disc.norm": "batch", "data.size": 64, **COMMON},
    "sngan": {"gen": "sngan", "disc": "sngan", "data.size": 32, **COMMON},
}


def trainer(values: dict[str, object], precision: str) -> Callable[[], None]:
    """Return one iteration of the library's loop."""
    return Trainer(assemble(configure(values=values | {"precision": precision}))).iterate


def bare(values: dict[str, object], precision: str) -> Callable[[], None]:
    """Return one iteration of the loop that a tutorial would write by hand.

    The discriminator is frozen in the generator's step, fakes of the discriminator's step carry no graph, Adam is
    fused, the images lie in memory as uint8. No averaging of weights, logs, checks or seeds. With precision `naive` it
    is in fp32 and in the layout that torch has by default; else as the library computes.
    """
    experiment = assemble(configure(values=values | {"precision": "fp32" if precision == "naive" else precision}))
    generator, critic = experiment.gan.networks["generator"], experiment.gan.networks["discriminator"]
    pixels = experiment.data.train.pixels  # type: ignore[attr-defined]
    adam = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999), fused=True) for n in (critic, generator)]
    dtype = {"bf16": torch.bfloat16}.get(experiment.backend.precision)
    layout = torch.contiguous_format if precision == "naive" else experiment.batches.format
    for network in (generator, critic):
        network.to(memory_format=layout)  # type: ignore[call-overload]

    def iterate() -> None:
        with torch.autocast("cpu", dtype, enabled=dtype is not None):
            real = (pixels[torch.randint(len(pixels), (BATCH,))].float() / 127.5 - 1).contiguous(memory_format=layout)
            with torch.no_grad():
                fake = generator(latent(generator, BATCH))
            loss = F.softplus(-critic(real).adv).mean() + F.softplus(critic(fake).adv).mean()
        loss.backward()
        adam[0].step()
        adam[0].zero_grad()
        critic.requires_grad_(False)
        with torch.autocast("cpu", dtype, enabled=dtype is not None):
            loss = F.softplus(-critic(generator(latent(generator, BATCH))).adv).mean()
        loss.backward()
        adam[1].step()
        adam[1].zero_grad()
        critic.requires_grad_(True)

    return iterate


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="dcgan")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    chosen = parser.parse_args()
    values = MODELS[chosen.model]
    loops = {
        "bare_auto": bare(values, "auto"),
        "trainer_auto": trainer(values, "auto"),
        "bare_fp32": bare(values, "fp32"),
        "trainer_fp32": trainer(values, "fp32"),
        "naive_fp32": bare(values, "naive"),
    }
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for loop in loops.values():
        loop()
        loop()
    for _ in range(chosen.rounds):
        for name, loop in loops.items():
            began = time.perf_counter()
            for _ in range(chosen.steps):
                loop()
            rates[name].append(chosen.steps * BATCH / (time.perf_counter() - began))
    median = {name: round(statistics.median(r), 1) for name, r in rates.items()}
    size = values["data.size"]
    record(
        "throughput" if chosen.model == "dcgan" else f"throughput_{chosen.model}",
        {
            "command": f"python -m benchmarks.throughput --model {chosen.model} "
            f"--rounds {chosen.rounds} --steps {chosen.steps}",
            "task": f"{chosen.model}, batch {BATCH}, 3×{size}×{size}, images per second of whole iterations",
            "rounds": chosen.rounds,
            "steps": chosen.steps,
            "images_per_second": median,
            "every_round": {name: [round(x, 1) for x in r] for name, r in rates.items()},
            "trainer_over_bare_auto": round(median["trainer_auto"] / median["bare_auto"], 3),
            "trainer_over_bare_fp32": round(median["trainer_fp32"] / median["bare_fp32"], 3),
            "auto_over_fp32": round(median["trainer_auto"] / median["trainer_fp32"], 3),
            "auto_over_naive": round(median["trainer_auto"] / median["naive_fp32"], 3),
        },
    )


if __name__ == "__main__":
    main()

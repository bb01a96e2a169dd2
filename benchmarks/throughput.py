"""Images per second of the Trainer, and of a bare loop over the same modules, loss and data: DCGAN-64 or SNGAN-32.

    python -m benchmarks.throughput [--model sngan] [--device cpu] [--rounds 5] [--steps 8]

Also compares `--precision auto` with fp32. All loops take turns, round after round in one process, so that a change in
the speed of the machine affects each of them; ratios are of the medians. A step of SNGAN-32 in fp32 takes some seconds
on two cores. Before anything is timed, the networks' parameters are counted: the names stand for networks of a known
size.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.record import images_in_memory, record, synchronize
from ganzoo import configure
from ganzoo.config.schema import Config
from ganzoo.model.build import count_parameters
from ganzoo.strategy.networks import draw_latents
from ganzoo.training.assemble import assemble
from ganzoo.training.experiment import Experiment
from ganzoo.training.trainer import Trainer

BATCH = 64
COMMON = {"ssl": "none", "loss": "nonsaturating", "data.channels": 3, "steps": 10_000}
LOOPS = ("bare_auto", "trainer_auto", "bare_fp32", "trainer_fp32", "naive_fp32")
"""Kind of loop and precision. `naive` is a bare loop in fp32 with torch's default memory format."""


@dataclass(frozen=True)
class Model:
    """Networks with their own defaults, and how many parameters they then have.

    Attributes:
        name: What the pair is called.
        component: Name of the generator and of the discriminator.
        size: Side of the RGB images in pixels.
        generator: Parameters of the generator.
        discriminator: Parameters of the discriminator: trunk and last layer.
    """

    name: str
    component: str
    size: int
    generator: int
    discriminator: int

    def config(self, device: str, batch_size: int, precision: str) -> Config:
        """Return the configuration of a run with these networks."""
        networks = {"gen": self.component, "disc": self.component, "data.size": self.size}
        return configure(
            values={**COMMON, **networks, "device": device, "batch_size": batch_size, "precision": precision}
        )

    def check(self, experiment: Experiment) -> dict[str, int]:
        """Return the number of parameters of each network. Ends the program where it is not the expected one."""
        expected = {"generator": self.generator, "discriminator": self.discriminator}
        found = {name: count_parameters(network) for name, network in experiment.gan.networks.items()}
        if found != expected:
            raise SystemExit(
                f"error: {self.name} has {found} parameters, and not {expected}: other networks than its name says "
                "would be measured"
            )
        return found


MODELS = {
    "dcgan": Model("DCGAN-64", "dcgan", 64, 3_576_704, 2_765_568),
    "sngan": Model("SNGAN-32", "sngan", 32, 4_276_739, 1_053_825),
}


def make_bare(experiment: Experiment, layout: torch.memory_format) -> Callable[[], None]:
    """Return one iteration of the loop that a tutorial would write by hand.

    The discriminator is frozen in the generator's update, generated images of the discriminator's update carry no
    graph, Adam is fused, the images are in memory as uint8. There is no averaging of weights, and no logs, checks or
    seeds.
    """
    device, batch_size = experiment.backend.device, experiment.config.batch_size
    generator, discriminator = experiment.gan.networks["generator"], experiment.gan.networks["discriminator"]
    pixels = images_in_memory(experiment.data)
    adam = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999), fused=True) for n in (discriminator, generator)]
    for network in (generator, discriminator):
        network.to(memory_format=layout)

    def real() -> torch.Tensor:
        some = pixels[torch.randint(len(pixels), (batch_size,), device=device)]
        return (some.float() / 127.5 - 1).contiguous(memory_format=layout)

    def fake() -> torch.Tensor:
        images: torch.Tensor = generator(draw_latents(generator, batch_size).to(device))
        return images

    def update(loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()

    def iterate() -> None:
        with experiment.backend.autocast():
            with torch.no_grad():
                generated = fake()
            loss = F.softplus(-discriminator(real()).adv).mean() + F.softplus(discriminator(generated).adv).mean()
        update(loss, adam[0])
        discriminator.requires_grad_(False)
        with experiment.backend.autocast():
            loss = F.softplus(-discriminator(fake()).adv).mean()
        update(loss, adam[1])
        discriminator.requires_grad_(True)

    return iterate


def measure(
    model: Model, device: str, rounds: int, steps: int, batch_size: int = BATCH, names: Sequence[str] = LOOPS
) -> dict[str, Any]:
    """Return the images per second of each loop, and the ratios of their medians.

    Args:
        model: The networks.
        device: As in a configuration: "auto", "cpu", "cuda", …
        rounds: How often each loop is timed.
        steps: Iterations in a round.
        batch_size: Images in a batch.
        names: The loops to time, of `LOOPS`.
    """
    loops: dict[str, Callable[[], None]] = {}
    for name in names:
        kind, _, precision = name.partition("_")
        experiment = assemble(model.config(device, batch_size, precision))
        parameters = model.check(experiment)
        layout = torch.contiguous_format if kind == "naive" else experiment.batches.format
        loops[name] = Trainer(experiment).train_step if kind == "trainer" else make_bare(experiment, layout)
    used = experiment.backend.device
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for loop in loops.values():
        loop()
        loop()
    for _ in range(rounds):
        for name, loop in loops.items():
            synchronize(used)
            began = time.perf_counter()
            for _ in range(steps):
                loop()
            synchronize(used)
            rates[name].append(steps * batch_size / (time.perf_counter() - began))
    median = {name: round(statistics.median(r), 1) for name, r in rates.items()}
    return {
        "task": f"{model.name}, batch {batch_size}, 3×{model.size}×{model.size}, images per second of whole iterations",
        "device": used.type,
        "parameters": parameters,
        "rounds": rounds,
        "steps": steps,
        "images_per_second": median,
        "every_round": {name: [round(x, 1) for x in r] for name, r in rates.items()},
        **ratios(median),
    }


def ratios(median: dict[str, float]) -> dict[str, float]:
    """Return the ratios of the loops that were timed."""
    pairs = {
        "trainer_over_bare_auto": ("trainer_auto", "bare_auto"),
        "trainer_over_bare_fp32": ("trainer_fp32", "bare_fp32"),
        "auto_over_fp32": ("trainer_auto", "trainer_fp32"),
        "auto_over_naive": ("trainer_auto", "naive_fp32"),
    }
    return {name: round(median[a] / median[b], 3) for name, (a, b) in pairs.items() if {a, b} <= median.keys()}


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="dcgan")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    chosen = parser.parse_args()
    result = measure(MODELS[chosen.model], chosen.device, chosen.rounds, chosen.steps)
    command = f"python -m benchmarks.throughput --model {chosen.model} --rounds {chosen.rounds} --steps {chosen.steps}"
    words = [
        "throughput",
        *[chosen.model] * (chosen.model != "dcgan"),
        *[result["device"]] * (result["device"] != "cpu"),
    ]
    record("_".join(words), {"command": f"{command} --device {result['device']}", **result})


if __name__ == "__main__":
    main()

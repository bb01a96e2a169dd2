"""Do class-conditional samples show their class? S3GAN on MNIST with ten labels a class, judged by another classifier.

    python -m benchmarks.conditional --mnist FOLDER [--steps 4000]

FOLDER holds MNIST in the Hub's parquet layout. The judge is `supervised` on all labels, trained apart from the GAN; its
own test error is recorded beside the agreement. A picture with a row of samples for each class goes to docs/assets.
"""

from __future__ import annotations

import argparse
import time

import torch

from benchmarks.record import RESULTS, record
from ganzoo import GAN, configure
from ganzoo.assemble import assemble
from ganzoo.pictures import grid, png
from ganzoo.trainer import Trainer

PICTURE = RESULTS.parents[1] / "docs" / "assets" / "s3gan_mnist.png"
SAMPLES, SHOWN = 10_000, 12
NETWORKS = {"gen": "dcgan", "gen.width": 32, "disc": "dcgan", "disc.width": 32, "data.size": 32, "batch": 64}
GENERATOR = {
    "ssl": "s3gan", "gen.conditional": True, "loss": "hinge", "disc.norm": "spectral", "data.labels": 100,
    "data.shift": 2,
}  # fmt: skip
JUDGE = {
    "ssl": "supervised",
    "disc.norm": "batch",
    "disc.dropout": 0.2,
    "data.shift": 2,
    "data.labels": "all",
    "seed": 1,
}


def train(values: dict[str, object]) -> tuple[GAN, float | None]:
    """Return the averaged networks and the test error."""
    trainer = Trainer(assemble(configure(values=values)))
    for _ in range(trainer.config.steps):
        trainer.iterate()
    return trainer.averaged, trainer.evaluate()


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", metavar="FOLDER", required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--judge-steps", type=int, default=2000)
    chosen = parser.parse_args()
    data = {"data.source": chosen.mnist}
    judge, judge_error = train(NETWORKS | JUDGE | data | {"steps": chosen.judge_steps})
    began = time.perf_counter()
    gan, error = train(NETWORKS | GENERATOR | data | {"steps": chosen.steps})
    seconds = time.perf_counter() - began
    wanted = torch.arange(SAMPLES) % 10
    said = judge.classify(gan.sample(SAMPLES, wanted, seed=0)).argmax(1)
    by_class = [(said[wanted == k] == k).float().mean().item() for k in range(10)]
    shown = torch.arange(10).repeat_interleave(SHOWN)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_bytes(png(grid(gan.sample(len(shown), shown, seed=1), columns=SHOWN)))
    record(
        "conditional",
        {
            "task": "s3gan on MNIST, 10 labels a class: part of 10,000 samples that another classifier takes for the "
            "class asked for",
            "settings": {k: str(v) for k, v in (NETWORKS | GENERATOR | {"steps": chosen.steps}).items()},
            "agreement": (said == wanted).float().mean().item(),
            "lowest_class_agreement": min(by_class),
            "agreement_by_class": [round(a, 4) for a in by_class],
            "test_error_of_its_own_classifier": error,
            "test_error_of_the_judge": judge_error,
            "seconds": round(seconds, 1),
        },
    )


if __name__ == "__main__":
    main()

"""Measure whether conditional samples show their class: S3GAN on MNIST, ten labels per class, by another classifier.

    python -m benchmarks.conditional --mnist FOLDER [--steps 4000]

FOLDER holds MNIST in the Hub's parquet layout. The other classifier is `supervised`, trained with all labels and
independently of the GAN; its own test error is recorded too. A picture with a row of samples for each class is written
to docs/assets.
"""

from __future__ import annotations

import argparse
import time

import torch

from benchmarks.record import RESULTS, record
from ganzoo import GAN, configure
from ganzoo.base.pictures import grid, png
from ganzoo.training.assemble import assemble
from ganzoo.training.trainer import Trainer

PICTURE = RESULTS.parents[1] / "docs" / "assets" / "s3gan_mnist.png"
SAMPLES, COLUMNS = 10_000, 12
NETWORKS = {"gen": "dcgan", "gen.width": 32, "disc": "dcgan", "disc.width": 32, "data.size": 32, "batch_size": 64}
GENERATOR = {
    "ssl": "s3gan", "gen.conditional": True, "loss": "hinge", "disc.norm": "spectral", "data.labels": 100,
    "data.shift": 2,
}  # fmt: skip
CLASSIFIER = {
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
        trainer.train_step()
    return trainer.averaged, trainer.recorder.evaluate()


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", metavar="FOLDER", required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--classifier-steps", type=int, default=2000)
    chosen = parser.parse_args()
    data = {"data.source": chosen.mnist}
    classifier, classifier_error = train(NETWORKS | CLASSIFIER | data | {"steps": chosen.classifier_steps})
    began = time.perf_counter()
    gan, error = train(NETWORKS | GENERATOR | data | {"steps": chosen.steps})
    seconds = time.perf_counter() - began
    classes = torch.arange(SAMPLES) % 10
    predicted = classifier.classify(gan.sample(SAMPLES, classes, seed=0)).argmax(1)
    by_class = [(predicted[classes == k] == k).float().mean().item() for k in range(10)]
    shown = torch.arange(10).repeat_interleave(COLUMNS)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_bytes(png(grid(gan.sample(len(shown), shown, seed=1), columns=COLUMNS)))
    record(
        "conditional",
        {
            "task": "s3gan on MNIST, 10 labels per class: fraction of 10,000 samples of which another classifier "
            "predicts the class that was asked for",
            "settings": {k: str(v) for k, v in (NETWORKS | GENERATOR | {"steps": chosen.steps}).items()},
            "agreement": (predicted == classes).float().mean().item(),
            "lowest_class_agreement": min(by_class),
            "agreement_by_class": [round(a, 4) for a in by_class],
            "test_error_of_its_own_classifier": error,
            "test_error_of_the_judge": classifier_error,
            "seconds": round(seconds, 1),
        },
    )


if __name__ == "__main__":
    main()

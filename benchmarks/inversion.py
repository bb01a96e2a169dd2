"""Measure how well `project` finds the latents of generated images: PSNR, and CPU seconds per image.

    python -m benchmarks.inversion [--run FOLDER] [--images N]

The model is that of the README's first command, `ganzoo train`: trained here, or an existing run. Generated images can
be reconstructed exactly, so their PSNR measures the search. The PSNR of held-out images also depends on what the
generator can generate.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

import ganzoo
from benchmarks.record import record
from ganzoo.metrics.evidence import choose_indices, read_batches
from ganzoo.report.page import images_of_run
from ganzoo.run.folder import Run
from ganzoo.sampling import project

SEED = 1000


def measure(folder: Path, number: int) -> dict[str, object]:
    """Project generated and held-out images, and return the PSNR and seconds of each kind."""
    gan = ganzoo.GAN.from_pretrained(folder)
    data = images_of_run(gan, Run(folder))
    held_out = torch.cat([*read_batches(data.test, [choose_indices(len(data.test), number, 0)])])
    result: dict[str, object] = {"step": gan.metadata["step"], "images": number}
    for name, images in (("generated", gan.sample(number, seed=SEED)), ("held_out", held_out)):
        began = time.process_time()
        psnr = project(gan, images).psnr.sort().values
        result[name] = {
            "psnr_min": round(float(psnr[0]), 1),
            "psnr_median": round(float(psnr.median()), 1),
            "cpu_seconds_per_image": round((time.process_time() - began) / number, 2),
        }
    return result


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, metavar="FOLDER")
    parser.add_argument("--images", type=int, default=16)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = asked.run or Path(place) / "run"
        if asked.run is None:
            ganzoo.train(out=folder)
        record("inversion", measure(folder, asked.images))


if __name__ == "__main__":
    main()

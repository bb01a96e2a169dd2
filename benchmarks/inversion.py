"""How well the latents of generated images are found again: PSNR of `project`, and what finding them costs.

    python -m benchmarks.inversion [--run FOLDER] [--images N]

The model is that of the README's first command after installation, `ganzoo train`: trained here, or a run of it.
The images are its own, so that a perfect search finds every one of them. Held-out images are searched for beside them:
how near those come says what the generator can make.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

import ganzoo
from benchmarks.record import record
from ganzoo.metrics.evidence import chosen, uint8
from ganzoo.report.page import images_of_run
from ganzoo.run import Run
from ganzoo.sampling import project

SEED = 1000


def measure(folder: Path, number: int) -> dict[str, object]:
    """Search for generated and for held-out images."""
    gan = ganzoo.GAN.from_pretrained(folder)
    data = images_of_run(gan, Run(folder))
    held_out = torch.cat([*uint8(data.test, chosen(len(data.test), number, 0))])
    result: dict[str, object] = {"step": gan.facts["step"], "images": number}
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

"""Every preset trains, from its first step to its last, on images of its size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo
from benchmarks.watch import SMALLER
from ganzoo import GAN, configure
from ganzoo.registry.discovery import installed
from ganzoo.run.folder import Run
from ganzoo.strategy.base import SemiSupervised

CLASSES, EACH, STEPS = 10, 6, 10
PRESETS = {r.component.name: r.component.load() for r in installed().list("preset")}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of images of ten classes, coloured and grey."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for channels in (1, 3):
        for k in range(CLASSES):
            folder = root / str(channels) / str(k)
            folder.mkdir(parents=True)
            for i in range(EACH):
                noise = rng.integers(0, 256, (32, 32, channels), dtype=np.uint8)
                Image.fromarray(noise.squeeze()).save(folder / f"{i}.png")
    return root


def small(preset: str, images: Path) -> dict[str, Any]:
    """Return what makes a preset short: ten steps, few images and narrow networks, else as it is."""
    channels = 1 if "mnist" in str(PRESETS[preset]["data"]["source"]) else 3
    labels = {"data.labels": 2 * CLASSES} if isinstance(PRESETS[preset]["data"].get("labels"), int) else {}
    batches = {key: 8 for key in ("batch_size", "labelled_batch_size") if key in PRESETS[preset]}
    data = {"data.source": str(images / str(channels)), **labels}
    return {**SMALLER.get(preset, {}), **batches, **data, "steps": STEPS, "evaluate_every": STEPS, "log_every": 1}


@pytest.mark.parametrize("preset", PRESETS)
def test_ten_steps_of_a_preset(preset: str, images: Path, tmp_path: Path) -> None:
    config = configure(preset, values=small(preset, images))
    gan = ganzoo.train(config, tmp_path / "run")
    rows = Run(tmp_path / "run").metrics()
    steps = [row for row in rows if "images_per_second" in row]
    assert [row["step"] for row in steps] == [*range(1, STEPS + 1)]
    players = {key.partition("/")[0] for row in steps for key in row if "/" in key}
    assert players, "nobody learnt"
    assert all(np.isfinite(value) for row in rows for value in row.values())
    again = GAN.from_pretrained(tmp_path / "run" / "model")
    if "generator" in gan.networks:
        made = again.sample(2, seed=0)
        assert list(made.shape) == [2, gan.shape.channels, gan.shape.height, gan.shape.height]
        torch.testing.assert_close(made, gan.sample(2, seed=0), rtol=0, atol=1e-4)  # their memory formats may differ
    if isinstance(again.strategy, SemiSupervised):
        assert [row["step"] for row in rows if "error" in row] == [STEPS]
        picture = next((images / str(again.shape.channels)).glob("0/*.png"))
        assert again.classify([picture]).sum().item() == pytest.approx(1, abs=1e-3)

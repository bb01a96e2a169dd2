"""Check that two versions of the library train the same weights, bit for bit.

    python benchmarks/same_weights.py run OUT.json            # with the version that is imported
    python benchmarks/same_weights.py compare BEFORE AFTER    # prints a table; exit code 1 where weights differ

Every preset, and every generator, discriminator, loss, penalty, augmentation and strategy trains for three steps in
fp32 on one thread, on images that the script draws. OUT.json holds a SHA-256 of all weights of each, live and averaged.
To run it with another version, put a checkout of that version first in the search path:

    PYTHONPATH=OTHER:OTHER/plugins:OTHER/plugins/ganzoo-r3gan:… python benchmarks/same_weights.py run OUT.json
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

import ganzoo
from ganzoo import Config, configure

STEPS, CLASSES, EACH, SIDE = 3, 10, 8, 32
RENAMED = {
    "batch_size": "batch",
    "labelled_batch_size": "labelled_batch",
    "players.discriminator.updates_per_step": "players.discriminator.moves",
}
"""Configuration keys, and what they were called before the names of the field were adopted."""
OLD = "batch" in Config.model_fields
DIGITS = "default" if OLD else "digits"
"""What the preset of `ganzoo train` without arguments was called, whose options once leaked into other runs."""
NARROW: dict[str, Any] = {"gen.width": 8, "disc.width": 8}
SMALLER: dict[str, dict[str, Any]] = {
    "badgan-cifar10": NARROW,
    "best-cifar10-4000": {**NARROW, "ssl.width": 8},
    "biggan-cifar10": {**NARROW, "players.discriminator.updates_per_step": 2},
    "dcgan-64": {**NARROW, "disc.norm": "group"},
    "digits": {"gen.width": 32, "disc.width": 32, "disc.norm": "group"},
    "fixmatch-mnist": {"disc.width": 8},
    "improved-gan-cifar10": NARROW,
    "progan-cifar10": NARROW,
    "r3gan-cifar10": NARROW,
    "sngan-cifar10": NARROW,
    "sngan-mnist": NARROW,
    "stylegan2-ada-cifar10": NARROW,
    "wgan-gp-cifar10": NARROW,
}
PARTS: dict[str, Any] = {
    "gen": "dcgan", "gen.width": 8, "gen.conditional": True, "disc": "dcgan", "disc.width": 8, "disc.norm": "none",
    "loss": "nonsaturating", "ssl": "kplus1", "data.labels": 2 * CLASSES, "data.size": SIDE,
}  # fmt: skip
"""What a single component is tried with; every value that once came from a preset is said."""
TINY = {"width": 8, "hidden": 16, "z_dim": 8, "w_dim": 8, "z_chunk": 4}


def draw_images(root: Path) -> None:
    """Write folders of noise in ten classes, grey and in colour, each class of its own brightness."""
    rng = np.random.default_rng(0)
    for channels in (1, 3):
        for label in range(CLASSES):
            folder = root / str(channels) / str(label)
            folder.mkdir(parents=True)
            for i in range(EACH):
                noise = rng.integers(0, 100, (SIDE, SIDE, channels), dtype=np.uint8) + np.uint8(15 * label)
                Image.fromarray(noise.squeeze()).save(folder / f"{i}.png")


def cases(root: Path) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    """Yield (name, preset, values) of every run."""
    for preset in ganzoo.list_components("presets"):
        name, recipe = preset.component.name, preset.component.load()
        if name == "default" != DIGITS:
            continue  # what every run starts from
        name = "digits" if name == DIGITS else name
        channels = 1 if "mnist" in str(recipe.get("data", {}).get("source", "mnist")) else 3
        batches = {"batch_size": 8}
        batches |= {k: 8 for k in ("labelled_batch_size",) if {k, RENAMED[k]} & recipe.keys()}
        labels = {"data.labels": 2 * CLASSES} if isinstance(recipe.get("data", {}).get("labels"), int) else {}
        source = {"data.source": str(root / str(channels)), "data.size": 64 if name == "dcgan-64" else SIDE}
        yield f"preset/{name}", preset.component.name, {**SMALLER.get(name, {}), **batches, **labels, **source}
    common = {**PARTS, "batch_size": 8, "data.source": str(root / "3")}
    for kind, key in (("generator", "gen"), ("discriminator", "disc"), ("loss", "loss"), ("augment", "augment")):
        for found in ganzoo.list_components(kind):
            name = found.component.name
            values = {k: v for k, v in common.items() if not k.startswith(f"{key}.")} | {key: name}
            if found.component.family:
                values[key] = f"{name}/test_resnet"
            if (kind, name) == ("discriminator", "dcgan"):
                values["disc.norm"] = "group"
            yield f"{kind}/{name}", None, values | small_options(kind, key, values[key])
    for found in ganzoo.list_components("penalty"):
        name = found.component.name.replace("_", "-")
        dropout = {"disc.dropout": 0.2} if name == "consistency" else {}  # which it needs
        yield f"penalty/{name}", None, {**common, **dropout, "penalties": {found.qualified: {}}}
    for found in ganzoo.list_components("ssl"):
        yield f"ssl/{found.component.name}", None, {**common, "ssl": found.component.name}


MOVED = {"options": "registry", "trainer": "training", "assemble": "training"}
"""Modules that were divided into packages, and the package that has their public names."""


def imported(module: str, name: str) -> Any:
    """Return a public object, from the package that has it today or from the module that had it before."""
    return getattr(importlib.import_module(f"ganzoo.{module if OLD else MOVED.get(module, module)}"), name)


def small_options(kind: str, key: str, name: str) -> dict[str, Any]:
    """Return the options that make a network small, of those that it has."""
    if kind not in ("generator", "discriminator"):
        return {}
    found = imported("registry", "installed")().get(kind, name)
    known = {o.name for o in imported("options", "options_of")(found.component.load())}
    values = {**TINY, "hidden": [16, 16]} if kind == "discriminator" else {**TINY, "conditional": True}
    return {f"{key}.{option}": value for option, value in values.items() if option in known}


def weights_after(preset: str | None, values: dict[str, Any]) -> str:
    """Return a SHA-256 of all live and averaged weights after a few steps."""
    always = {"steps": STEPS, "precision": "fp32", "device": "cpu", "ema": 0.9}
    settings = {(RENAMED.get(k, k) if OLD else k): v for k, v in {**values, **always}.items()}
    trainer = imported("trainer", "Trainer")(imported("assemble", "assemble")(configure(preset, values=settings)))
    for _ in range(STEPS):
        trainer.iterate() if hasattr(trainer, "iterate") else trainer.train_step()
    digest = hashlib.sha256()
    for gan in (trainer.gan, trainer.averaged):
        for network, module in sorted(gan.networks.items()):
            for key, tensor in sorted(module.state_dict().items()):
                digest.update(f"{network}.{key} {tensor.dtype} {list(tensor.shape)}".encode())
                digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def run(out: Path) -> None:
    """Train every case and write its hash, or the first line of why it was refused."""
    torch.set_num_threads(1)
    found: dict[str, str] = {}
    with TemporaryDirectory() as folder:
        draw_images(Path(folder))
        for name, preset, values in cases(Path(folder)):
            try:
                found[name] = weights_after(preset, values)
            except ganzoo.errors.GanzooError as error:
                found[name] = f"refused: {str(error).splitlines()[0].replace(folder, 'FOLDER')}"
            print(f"{name:32} {found[name][:80]}", flush=True)
    out.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")


def compare(before: Path, after: Path) -> int:
    """Print which weights are the same. Returns how many are not."""
    old, new = (json.loads(path.read_text()) for path in (before, after))
    same = {
        name: old.get(name) == new.get(name) and not new.get(name, "").startswith("refused") for name in {*old, *new}
    }
    for name in sorted(same):
        words = "same" if same[name] else f"{old.get(name, 'absent')[:40]} → {new.get(name, 'absent')[:40]}"
        print(f"{name:32} {words}")
    different = [name for name, equal in same.items() if not equal and name in old and name in new]
    alone = len(same) - sum(same.values()) - len(different)
    print(f"{sum(same.values())} the same, {len(different)} different, {alone} in one alone")
    return len(different)


def main() -> None:
    """Run or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run").add_argument("out", type=Path)
    both = commands.add_parser("compare")
    both.add_argument("before", type=Path)
    both.add_argument("after", type=Path)
    chosen = parser.parse_args()
    if chosen.command == "run":
        run(chosen.out)
    else:
        sys.exit(min(compare(chosen.before, chosen.after), 1))


if __name__ == "__main__":
    main()

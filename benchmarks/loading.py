"""Compare `from_pretrained` from the cache and a first sample with the same by hand, in milliseconds.

    python -m benchmarks.loading [--rounds 15] [--networks sngan,stylegan2,dcgan]

By hand means: create the same modules, load the same safetensors into them, run the generator. Every measurement is a
process of its own; the ways take turns, and their modules are compiled to bytecode, as after `pip install`. `hub` asks
a Hub server on this machine for the commit of `main`; `cache` names a commit that is in the cache; `offline` has
HF_HUB_OFFLINE=1. `generator` loads that network alone, `whole` the discriminator, too. `all` is the time after `import
torch`, `work` the time after the other imports, which are fewer by hand. The models are untrained, for RGB images of
32×32.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.record import record
from tests.hub import Hub

NAME, TOKEN, SIZE = "alice/gan", "hf_alice", 32

PUBLISH = """
import sys
from ganzoo import GAN, ImageShape, configure
values = {"gen": sys.argv[1], "disc": sys.argv[1], "ssl": "none", "data.size": SIZE}
gan = GAN.build(configure(values=values), ImageShape(3, SIZE, SIZE, 0))
gan.push_to_hub("NAME")
GAN.from_pretrained("NAME")
"""

LIBRARY = """
from ganzoo.model import GAN
imported()
gan = GAN.from_pretrained("NAME", revision=REVISION, network=None if whole else "generator")
images = gan.sample(1, seed=0)
"""

BY_HAND = """
from safetensors.torch import load_file
from ganzoo import ImageShape
from ganzoo.strategy.heads import RealnessHead
from ganzoo.strategy.networks import HeadedNetwork
imported()
shape = ImageShape(3, SIZE, SIZE, 0)
def read(network, name):
    network.load_state_dict(load_file(f"{folder}/{name}.safetensors"))
    return network.requires_grad_(False).eval()
generator = read(import_module(f"ganzoo_zoo.generators.{zoo}").Generator(shape, **options["generator"]), "generator")
if whole:
    trunk = import_module(f"ganzoo_zoo.discriminators.{zoo}").Discriminator(shape, **options["discriminator"])
    discriminator = read(HeadedNetwork(trunk, RealnessHead(trunk)), "discriminator")
with torch.no_grad():
    images = generator(torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(0)))
"""

TIMED = """
import hashlib, json, sys, time
from importlib import import_module
from pathlib import Path
import torch
zoo, folder, whole, options = sys.argv[1], sys.argv[2], sys.argv[3] == "whole", json.loads(sys.argv[4])
times = [time.perf_counter()]
def imported():
    times.append(time.perf_counter())
CODE
imported()
seconds = {"all": times[2] - times[0], "work": times[2] - times[1]}
print(json.dumps([seconds, hashlib.sha256(images.numpy().tobytes()).hexdigest()]))
"""

WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "hub": (LIBRARY.replace("REVISION", "None"), {}),
    "cache": (LIBRARY.replace("REVISION", "Path(folder).name"), {}),
    "offline": (LIBRARY.replace("REVISION", "None"), {"HF_HUB_OFFLINE": "1"}),
    "by hand": (BY_HAND, {}),
}


def script(code: str) -> str:
    """Return code with its constants filled in."""
    return code.replace("NAME", NAME).replace("SIZE", str(SIZE))


def python(code: str, *words: str, **environ: str) -> str:
    """Run Python code in a new process, and return what it prints."""
    command = [sys.executable, "-c", script(code), *words]
    done = subprocess.run(
        command,
        env={**os.environ, **environ, "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def measure(network: str, rounds: int) -> dict[str, Any]:
    """Publish a model, and time loading it each way."""
    with tempfile.TemporaryDirectory() as place, Hub({TOKEN: "alice"}) as hub:
        environ = hub.env(Path(place), TOKEN)
        python(PUBLISH, network, **environ)
        folder = next(Path(place).glob("hub/models--*/snapshots/*"))
        components = json.loads((folder / "config.json").read_text())["components"]
        options = json.dumps({kind: component["options"] for kind, component in components.items()})
        found: dict[str, Any] = {path.name: path.stat().st_size for path in sorted(folder.glob("*.safetensors"))}
        for scope in ("generator", "whole"):
            times: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            images = set()
            for number in range(rounds + 1):
                for way, (code, more) in WAYS.items():
                    words = network, str(folder), scope, options
                    seconds, digest = json.loads(python(TIMED.replace("CODE", code), *words, **{**environ, **more}))
                    images.add(digest)
                    if number:  # the first round warms the disk cache
                        times[way].append(seconds)
            assert len(images) == 1, "the ways do not generate the same image"
            found[scope] = {span: compare(times, span) for span in ("all", "work")}
    return found


def compare(times: dict[str, list[dict[str, float]]], span: str) -> dict[str, float]:
    """Return the median milliseconds of each way, and their ratios to that by hand."""
    median = {way: statistics.median(t[span] for t in rows) for way, rows in times.items()}
    way_names = [way for way in WAYS if way != "by hand"]
    ratios = {f"{way} over by hand": round(median[way] / median["by hand"], 3) for way in way_names}
    return {**{way: round(1000 * t, 1) for way, t in median.items()}, **ratios}


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--networks", default="sngan,stylegan2,dcgan")
    chosen = parser.parse_args()
    result: dict[str, Any] = {"rounds": chosen.rounds}
    for network in chosen.networks.split(","):
        result[network] = measure(network, chosen.rounds)
    record("loading", result)


if __name__ == "__main__":
    main()

"""Compare the Fréchet distance of 50,000 × 2048 features with torch-fidelity's: seconds and memory.

    python -m benchmarks.frechet [--number 50000] [--width 2048]

Each library runs in a process of its own, with two sets of features in memory before the clock starts. `moments` is the
time for the means and covariances of both sets, `distance` the time from these to the score, and `memory` the peak
memory in addition to the features. Both libraries are given float32, as extractors return it; torch-fidelity then
computes its statistics with numpy in float64.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from benchmarks.record import record

SCRIPT = """
import json, resource, sys, time
import torch
number, width = map(int, sys.argv[2:])
def features(seed):
    rng = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=rng) / width**0.5
    made = torch.empty(number, width)
    for rows in made.split(1000):
        torch.mm(torch.randn(len(rows), width, generator=rng), mix, out=rows).abs_()
    return made
sides = [features(seed) for seed in (0, 1)]
if sys.argv[1] == "ganzoo":
    from ganzoo.metrics import Moments, frechet_distance
    moments, distance = Moments.of, frechet_distance
else:
    from torch_fidelity.metric_fid import fid_features_to_statistics as moments, fid_statistics_to_metric
    def distance(one, two):
        return fid_statistics_to_metric(one, two, verbose=False)["frechet_inception_distance"]
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, times = peak(), [time.perf_counter()]
made = [moments(side) for side in sides]
times.append(time.perf_counter())
score = distance(*made)
times.append(time.perf_counter())
seconds = {"moments": round(times[1] - times[0], 2), "distance": round(times[2] - times[1], 2)}
print(json.dumps({**seconds, "memory_mib": round(peak() - before), "score": score}))
"""


def measure(library: str, number: int, width: int) -> dict[str, Any]:
    """Return the seconds and memory of one library, and its score."""
    command = [sys.executable, "-c", SCRIPT, library, str(number), str(width)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=2048)
    chosen = parser.parse_args()
    found = {library: measure(library, chosen.number, chosen.width) for library in ("ganzoo", "torch-fidelity")}
    ours, theirs = found.values()
    assert abs(ours["score"] / theirs["score"] - 1) < 1e-3, found
    ratios = {name: round(ours[name] / theirs[name], 3) for name in ("moments", "distance", "memory_mib")}
    record("frechet", {"number": chosen.number, "width": chosen.width, **found, "ganzoo over torch-fidelity": ratios})


if __name__ == "__main__":
    main()

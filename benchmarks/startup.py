"""Measure the seconds of `ganzoo list` and `ganzoo --help`: median of 20, warm disk cache.

python -m benchmarks.startup
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.record import record

CODE = "from ganzoo.cli import main; main()"


def seconds(*words: str, times: int = 20) -> float:
    """Return the median wall time of a Python process."""
    taken = []
    for _ in range(times + 2):
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    return round(statistics.median(taken[2:]), 4)


def main() -> None:
    """Measure and record."""
    result = {
        "bare python": seconds("-c", "pass"),
        "import click": seconds("-c", "import click"),
        "ganzoo --help": seconds("-c", CODE, "--help"),
        "ganzoo list": seconds("-c", CODE, "list"),
    }
    record("startup", {"seconds, median of 20": result})


if __name__ == "__main__":
    main()

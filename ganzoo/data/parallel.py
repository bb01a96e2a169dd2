"""Work on many images at once: in processes where that pays, else in threads."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from ganzoo.errors import BadData

T = TypeVar("T")
CHUNK = 64
"""Images in a task: starting a task costs about as much as decoding a small image."""
MANY = 2000
"""Images from which on processes are worth their start."""

_work: Callable[[range], Any] | None = None


def chunks(count: int, size: int = CHUNK) -> list[range]:
    """Divide the numbers 0 … count - 1 into ranges of at most `size`."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def map_ranges(work: Callable[[range], T], ranges: Sequence[range], many: int | None = None) -> Iterator[T]:
    """Apply a function to ranges of images, several at a time.

    Args:
        work: The function. In another process it cannot change what the caller sees; its result is pickled.
        ranges: The ranges.
        many: Numbers in all ranges from which on processes are used instead of threads; default: `MANY`.

    Yields:
        The results, in order.

    Raises:
        BadData: A process died.
    """
    global _work
    workers = min(cores(), 16)
    if sum(map(len, ranges)) < (MANY if many is None else many) or workers == 1 or sys.platform != "linux":
        with ThreadPoolExecutor(workers) as pool:
            yield from _each(pool, work, ranges, workers)
        return
    _work = work  # a forked process inherits it, so that it need not be pickled
    try:
        fork = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(workers, fork, lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) as processes:
            yield from _each(processes, _call, ranges, workers)
    except BrokenProcessPool as error:
        raise BadData(
            "a process that decodes images was killed, most likely because memory ran out; close other programs, or "
            "use a smaller --size"
        ) from error
    finally:
        _work = None


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _each(pool: Executor, work: Callable[[range], T], ranges: Sequence[range], workers: int) -> Iterator[T]:
    """Submit a few tasks ahead, and yield results in order; after an error no further task begins."""
    rest = iter(ranges)
    waiting = deque(pool.submit(work, each) for each in islice(rest, 4 * workers))
    try:
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(work, each) for each in islice(rest, 1))
            yield result
    finally:
        for future in waiting:
            future.cancel()


def _call(each: range) -> Any:
    assert _work is not None
    return _work(each)

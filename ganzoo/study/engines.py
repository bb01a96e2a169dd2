"""Where cells run: in this process, in several of this machine, or on a cluster."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

from ganzoo.component import describe
from ganzoo.config import Config
from ganzoo.errors import BadConfig, GanzooError, Interrupted, MissingExtra
from ganzoo.study.cells import Outcome


class Engine(Protocol):
    """Somewhere to run cells; yields each as it ends, in any order."""

    def __call__(self, jobs: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, Outcome]]:
        """Run jobs: name → (configuration as JSON, run folder)."""


def run_cell(config: str, folder: str) -> Outcome:
    """Train one cell in this process; a fault becomes its outcome."""
    from ganzoo.api import train

    try:
        facts = train(Config.parse(json.loads(config)), folder).facts
    except Interrupted:
        raise
    except GanzooError as error:
        return Outcome(failed=str(error).splitlines()[0])
    except Exception as error:  # of one cell, not of the study
        return Outcome(failed=describe(error))
    return Outcome(facts["metrics"].get("error"), facts["split"])


def here(jobs: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, Outcome]]:
    """Run one cell after another in this process."""
    for name, job in jobs.items():
        yield name, run_cell(*job)


def processes(number: int) -> Engine:
    """Return an engine of so many processes of this machine, which share its cores.

    A process that dies is replaced, and fails its own cell alone.
    """

    def run(jobs: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, Outcome]]:
        threads = max(1, (os.cpu_count() or 1) // number)
        waiting = iter(jobs.items())
        with ExitStack() as stack:

            def process() -> ProcessPoolExecutor:
                return stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), _begin, (threads, os.getpid())))

            free = [process() for _ in range(min(number, len(jobs)))]
            running: dict[Future[Outcome], tuple[str, ProcessPoolExecutor]] = {}
            while True:
                # A process has one cell at a time: what lies in its queue would begin after an interrupt.
                for name, job in itertools.islice(waiting, len(free)):
                    idle = free.pop()
                    try:
                        future = idle.submit(run_cell, *job)
                    except BrokenExecutor:  # it died while it had nothing to do
                        idle = process()
                        future = idle.submit(run_cell, *job)
                    running[future] = name, idle
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    (name, used), fault = running.pop(done), done.exception()
                    if isinstance(fault, Interrupted | KeyboardInterrupt):
                        raise fault
                    died = isinstance(fault, BrokenExecutor)
                    free.append(process() if died else used)
                    said = "its process died, perhaps for want of memory" if died else fault and describe(fault)
                    yield name, Outcome(failed=said) if said else done.result()

    return run


def _begin(threads: int, parent: int) -> None:
    import torch

    torch.set_num_threads(min(threads, torch.get_num_threads()))  # which OMP_NUM_THREADS may have limited

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        while True:  # the study is gone: save what is being trained, and end
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)

    if hasattr(os, "getppid"):
        threading.Thread(target=follow, daemon=True).start()


def ray(address: str) -> Engine:
    """Return an engine of a Ray cluster: `auto`, an address, or `local` for one on this machine.

    Every node needs the current folder under the same path. Raises MissingExtra when ray is not installed, and
    BadConfig when no cluster answers.
    """
    try:
        import ray as cluster
    except ImportError as error:
        raise MissingExtra("a Ray cluster needs ray: pip install 'torch-ganzoo[ray]'") from error
    own: dict[str, Any] = {"_node_ip_address": "127.0.0.1", "include_dashboard": False} if address == "local" else {}
    try:
        cluster.init(address=address, ignore_reinit_error=True, log_to_driver=False, **own)
    except (ConnectionError, ValueError) as error:
        said = f"no Ray cluster answers at '{address}'; try --ray local, or start one: ray start --head"
        raise BadConfig(said) from error

    def run(jobs: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, Outcome]]:
        gpus = 1 if cluster.cluster_resources().get("GPU") else 0  # type: ignore[no-untyped-call]
        cell = cluster.remote(_run_cell_at).options(num_gpus=gpus)
        running = {cell.remote(str(Path.cwd()), *job): name for name, job in jobs.items()}
        while running:
            (done,), _ = cluster.wait([*running], num_returns=1)
            name = running.pop(done)
            try:
                yield name, cluster.get(done)
            except Exception as error:  # a node that died, of this cell alone
                yield name, Outcome(failed=describe(error))

    return run


def _run_cell_at(place: str, config: str, folder: str) -> Outcome:
    os.chdir(place)  # where the paths of the configuration begin
    return run_cell(config, folder)

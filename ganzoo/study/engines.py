"""Engines that run cells: in this process, in several processes, or on a Ray cluster."""

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

from ganzoo.config.schema import Config
from ganzoo.errors import BadConfig, GanzooError, Interrupted, MissingExtra
from ganzoo.registry.component import describe
from ganzoo.study.cells import Outcome


class Engine(Protocol):
    """Runs cells."""

    def __call__(self, jobs: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, Outcome]]:
        """Run cells.

        Args:
            jobs: (configuration as JSON, run folder) by name of the cell.

        Yields:
            Name and outcome of each cell as it ends, in any order.
        """


def run_cell(config: str, folder: str) -> Outcome:
    """Train one cell in this process. An error becomes its outcome.

    Args:
        config: Configuration as JSON.
        folder: Run folder.

    Raises:
        Interrupted: The run was stopped by a signal.
    """
    from ganzoo.api import train

    try:
        metadata = train(Config.restore(json.loads(config)), folder).metadata
    except Interrupted:
        raise
    except GanzooError as error:
        return Outcome(failed=str(error).splitlines()[0])
    except Exception as error:  # an error of one cell must not end the study
        return Outcome(failed=describe(error))
    return Outcome.of(metadata)


def sequential(jobs: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, Outcome]]:
    """Run one cell after another in this process (an Engine)."""
    for name, job in jobs.items():
        yield name, run_cell(*job)


def processes(number: int) -> Engine:
    """Return an engine that runs cells in several processes of this machine, which share its cores.

    If a process dies, only its own cell fails, and the process is replaced.

    Args:
        number: Number of processes.
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
                # A process gets one cell at a time, since queued cells would start even after an interrupt.
                for name, job in itertools.islice(waiting, len(free)):
                    idle = free.pop()
                    try:
                        future = idle.submit(run_cell, *job)
                    except BrokenExecutor:  # it died while idle
                        idle = process()
                        future = idle.submit(run_cell, *job)
                    running[future] = name, idle
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    (name, used), error = running.pop(done), done.exception()
                    if isinstance(error, Interrupted | KeyboardInterrupt):
                        raise error
                    died = isinstance(error, BrokenExecutor)
                    free.append(process() if died else used)
                    reason = "its process died, perhaps because memory ran out" if died else error and describe(error)
                    yield name, Outcome(failed=reason) if reason else done.result()

    return run


def _begin(threads: int, parent: int) -> None:
    """Initialise a worker: limit its threads, and stop it when the study ends."""
    import torch

    torch.set_num_threads(min(threads, torch.get_num_threads()))  # OMP_NUM_THREADS may set a lower limit

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        while True:  # the study has ended: save the run and exit
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)

    if hasattr(os, "getppid"):
        threading.Thread(target=follow, daemon=True).start()


def ray(address: str) -> Engine:
    """Return an engine that runs cells on a Ray cluster.

    Every node needs the working directory under the same path.

    Args:
        address: "auto", the address of a cluster, or "local" for a cluster on this machine.

    Raises:
        MissingExtra: ray is not installed.
        BadConfig: No cluster answers.
    """
    try:
        import ray as cluster
    except ImportError as error:
        raise MissingExtra("a Ray cluster requires ray: pip install 'torch-ganzoo[ray]'") from error
    options: dict[str, Any] = (
        {"_node_ip_address": "127.0.0.1", "include_dashboard": False} if address == "local" else {}
    )
    try:
        cluster.init(address=address, ignore_reinit_error=True, log_to_driver=False, **options)
    except (ConnectionError, ValueError) as error:
        message = f"no Ray cluster answers at '{address}'; try --ray local, or start one: ray start --head"
        raise BadConfig(message) from error

    def run(jobs: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, Outcome]]:
        gpus = 1 if cluster.cluster_resources().get("GPU") else 0  # type: ignore[no-untyped-call]
        cell = cluster.remote(_run_cell_at).options(num_gpus=gpus)
        running = {cell.remote(str(Path.cwd()), *job): name for name, job in jobs.items()}
        while running:
            (done,), _ = cluster.wait([*running], num_returns=1)
            name = running.pop(done)
            try:
                yield name, cluster.get(done)
            except Exception as error:  # for example a node died; only this cell fails
                yield name, Outcome(failed=describe(error))

    return run


def _run_cell_at(directory: str, config: str, folder: str) -> Outcome:
    os.chdir(directory)  # paths in the configuration are relative to it
    return run_cell(config, folder)

"""Many runs as one table: strategies × numbers of labels × seeds, each the same in everything else.

A study folder holds its plan (`study.json`), a run folder for every cell (`cells/`), and what came of them
(`results.json`, `table.md`, `table.csv`, `curve.png`, `curve.svg`). A study that was stopped goes on when it is started
again: finished cells are kept, a cell cut short continues from its checkpoint, a failed one is tried again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import os
import re
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

from ganzoo.component import describe
from ganzoo.config import Config, differences
from ganzoo.errors import BadConfig, CannotWrite, CorruptFile, GanzooError, Interrupted, MissingExtra, RunMismatch
from ganzoo.recipes import configure, parse_setting
from ganzoo.storage import read_json, to_json, write_file, writing

DECIDED = {"ssl", "ssl.name", "seed", "data.labels", "data.split", "data.split_seed"}
PLAN, RESULTS, CELLS = "study.json", "results.json", "cells"


@dataclass(frozen=True)
class Cell:
    """One run of a study: a strategy as it was written, a number of labels, a seed, and the whole configuration."""

    strategy: str
    labels: int | str
    seed: int
    config: Config

    @property
    def name(self) -> str:
        """What its run folder is called."""
        safe = re.sub(r"[^a-z0-9.=_-]+", "_", self.strategy)
        if safe != self.strategy:  # two strategies may be one with these characters replaced
            safe += f"-{hashlib.sha256(self.strategy.encode()).hexdigest()[:6]}"
        return f"{safe}-{self.labels}-{self.seed}"


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: its held-out error in [0, 1] and the hash of its split, or why it failed."""

    error: float | None = None
    split: str | None = None
    failed: str | None = None


class Engine(Protocol):
    """Somewhere to run cells; yields each as it ends, in any order."""

    def __call__(self, jobs: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, Outcome]]:
        """Run jobs: name → (configuration as JSON, run folder)."""


def plan(
    strategies: Sequence[str], labels: Sequence[int | str], seeds: Sequence[int], values: Mapping[str, Any], **more: Any
) -> list[Cell]:
    """Return the cells of a study.

    strategies: `name`, or `name:key=value:…` with settings of its own, as in `kplus1:ssl.gan=off`.
    labels: how many, or "all". seeds: of weights and batches, and of the split.
    values: what every cell has in common, by dotted keys. more: `preset`, `file`, `registry`, as for `configure`.
    Raises what `configure` raises, and BadConfig for a cell that is named twice or says what the study decides.
    """
    cells = []
    for strategy in strategies:
        name, *settings = re.split(r":(?=[\w.]+=)", strategy)
        own = {"ssl": name, **dict(map(parse_setting, settings))}
        if said := sorted(DECIDED & (own.keys() | values.keys()) - {"ssl"}) or sorted({"ssl"} & values.keys()):
            raise BadConfig(f"a study decides {said[0]} itself: leave it out of its settings")
        for number in labels:
            for seed in seeds:
                cell = {"data.labels": number, "data.split_seed": seed, "seed": seed}
                cells.append(Cell(strategy, number, seed, configure(values={**values, **own, **cell}, **more)))
    names = [cell.name for cell in cells]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise BadConfig(f"the study has two cells called '{twice[0]}'; say each strategy, number and seed once")
    return cells


def study(
    cells: Sequence[Cell], out: str | Path, engine: Engine, report: Callable[[Cell, Outcome, int], None]
) -> dict[str, Outcome]:
    """Run what is not finished, and write what came of it.

    report: called with a cell, its outcome and how many are left, for cells that were finished before too.
    Returns outcomes by cell name. Cells that the folder has already, and that are not asked for now, stay in its table;
    so a study can be extended. Raises RunMismatch when it has a cell of that name and another configuration.
    """
    folder = Path(out)
    if not cells:
        raise BadConfig("a study needs at least one strategy, one number of labels and one seed")
    rehearse(folder, cells)
    every = _keep_plan(folder, cells)
    asked = {cell.name: cell for cell in cells}
    found = {n: outcome for n, outcome in failures(folder, every).items() if n not in asked}  # those are tried again
    found |= {cell.name: outcome for cell in every if (outcome := finished(folder / CELLS / cell.name, cell.config))}
    jobs = {n: (cell.config.to_json(), str(folder / CELLS / n)) for n, cell in asked.items() if n not in found}
    left = len(jobs)
    for name in (n for n in asked if n in found):
        report(asked[name], found[name], left)
    shown = [cell for cell in every if cell.name in asked or cell.name in found]
    write_results(folder, shown, found)
    for name, outcome in engine(jobs):
        found[name], left = outcome, left - 1
        report(asked[name], outcome, left)
        write_results(folder, shown, found)
    return {name: found[name] for name in asked}


def rehearse(folder: Path, cells: Sequence[Cell]) -> None:
    """Put one cell of every strategy together, where it has none in the folder yet: what is refused is refused now."""
    from ganzoo.assemble import assemble

    for strategy, cell in {c.strategy: c for c in reversed(cells)}.items():
        if any((folder / CELLS / c.name).exists() for c in cells if c.strategy == strategy):
            continue
        try:
            assemble(cell.config)
        except GanzooError as error:
            raise type(error)(f"strategy {strategy}: {error}") from error


def failures(folder: Path, cells: Iterable[Cell]) -> dict[str, Outcome]:
    """Return the outcomes of the cells that failed when the study was last run."""
    path = folder / RESULTS
    rows = read_json(path)["cells"] if path.is_file() else []
    failed = {(r["strategy"], r["labels"], r["seed"]): r["failed"] for r in rows if r["failed"]}
    outcomes = {cell.name: failed.get((cell.strategy, cell.labels, cell.seed)) for cell in cells}
    return {name: Outcome(failed=said) for name, said in outcomes.items() if said}


def finished(folder: Path, config: Config) -> Outcome | None:
    """Return the outcome of a run that is at its end, or None."""
    file = folder / "model" / "config.json"
    if not file.is_file():
        return None
    facts = read_json(file)
    if facts.get("step") != config.steps or Config.of_run(folder) != config:
        return None
    return Outcome(facts["metrics"].get("error"), facts["split"])


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


# --- engines ----------------------------------------------------------------------------------------------------------


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
                    running[idle.submit(run_cell, *job)] = name, idle
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

    torch.set_num_threads(threads)

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


# --- what is written --------------------------------------------------------------------------------------------------


def _keep_plan(folder: Path, cells: Iterable[Cell]) -> list[Cell]:
    """Add cells to the plan of a folder, and return all that it has."""
    path = folder / PLAN
    if not path.is_file() and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotWrite(f"{folder} exists and is not a study folder; choose another with --out")
    kept = read_json(path) if path.is_file() else {}
    try:
        every = {n: Cell(**{**facts, "config": Config.parse(facts["config"])}) for n, facts in kept.items()}
    except (TypeError, KeyError, AttributeError, BadConfig) as error:
        raise CorruptFile(f"{path} is not the plan of a study; choose another folder with --out") from error
    for cell in cells:
        if (old := every.get(cell.name)) and (rows := differences(old.config.to_dict(), cell.config.to_dict())):
            listed = "\n  ".join(rows)
            raise RunMismatch(
                f"{folder} has a cell {cell.name} of another configuration:\n  {listed}\n"
                "Choose another folder with --out"
            )
        every[cell.name] = cell
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_file(path, to_json({n: {**vars(c), "config": c.config.to_dict()} for n, c in every.items()}))
    return list(every.values())


def write_results(folder: Path, cells: Sequence[Cell], found: Mapping[str, Outcome]) -> None:
    """Write every outcome, the table in three forms, and the curve in two."""
    rows = [
        {
            "strategy": c.strategy,
            "labels": c.labels,
            "seed": c.seed,
            "error": o.error if o else None,
            "split": o.split if o else None,
            "failed": o.failed if o else None,
            "steps": c.config.steps,
        }
        for c in cells
        for o in [found.get(c.name)]
    ]
    write_file(folder / RESULTS, to_json({"cells": rows, "table": summary(rows)}))
    write_file(folder / "table.md", markdown(rows).encode())
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_file(folder / "table.csv", text.getvalue().encode())
    for suffix, content in curve(rows).items():
        write_file(folder / f"curve.{suffix}", content)


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return mean, sample standard deviation and median of the errors for each strategy and number of labels."""
    table = []
    for strategy, labels in dict.fromkeys((r["strategy"], r["labels"]) for r in rows):
        same = [r for r in rows if (r["strategy"], r["labels"]) == (strategy, labels)]
        errors = [r["error"] for r in same if r["error"] is not None]
        table.append(
            {
                "strategy": strategy,
                "labels": labels,
                "runs": len(errors),
                "failed": sum(r["failed"] is not None for r in same),
                "mean": statistics.fmean(errors) if errors else None,
                "std": statistics.stdev(errors) if len(errors) > 1 else None,
                "median": statistics.median(errors) if errors else None,
                "errors": errors,
            }
        )
    return table


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table as Markdown: held-out error in %, mean ± sample standard deviation, and every value below."""
    table = summary(rows)
    labels = list(dict.fromkeys(r["labels"] for r in rows))
    cells = {(t["strategy"], t["labels"]): t for t in table}
    lines = [
        "Held-out error in %, mean ± sample standard deviation (runs).",
        "",
        f"| strategy | {' | '.join(f'{n} labels' for n in labels)} |",
        f"| --- |{' --- |' * len(labels)}",
    ]
    for strategy in dict.fromkeys(r["strategy"] for r in rows):
        shown = [short(cells[strategy, n]) if (strategy, n) in cells else "" for n in labels]
        lines.append(f"| {strategy} | {' | '.join(shown)} |")
    lines += ["", "Every value:", ""]
    lines += [
        f"- {t['strategy']}, {t['labels']} labels: {', '.join(f'{100 * e:.2f}' for e in t['errors']) or 'none'}"
        for t in table
    ]
    failed = [r for r in rows if r["failed"]]
    lines += ["", "Failed:", ""] if failed else []
    lines += [f"- {r['strategy']}, {r['labels']} labels, seed {r['seed']}: {r['failed']}" for r in failed]
    return "\n".join(lines) + "\n"


def short(cell: Mapping[str, Any]) -> str:
    """Return a cell of the table."""
    if cell["mean"] is None:
        return "failed" if cell["failed"] else "–"
    spread = "" if cell["std"] is None else f" ± {100 * cell['std']:.2f}"
    lost = f", {cell['failed']} failed" if cell["failed"] else ""
    return f"{100 * cell['mean']:.2f}{spread} ({cell['runs']}{lost})"


def curve(rows: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """Return the label-efficiency curve as PNG and SVG: error against labels, mean, spread and every value."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator, NullLocator

    pyplot.rcParams["svg.hashsalt"] = "ganzoo"  # the same file for the same values
    table = [t for t in summary(rows) if t["mean"] is not None]
    strategies = list(dict.fromkeys(t["strategy"] for t in table))
    figure, axes = pyplot.subplots(figsize=(6.4, 3.8 + 0.2 * len(strategies)), layout="constrained")
    places = {n: n if isinstance(n, int) else None for n in dict.fromkeys(r["labels"] for r in rows)}
    most = max((p for p in places.values() if p), default=1)
    where = {n: p or 10 * most for n, p in places.items()}
    for number, strategy in enumerate(strategies):
        aside = 1.02 ** (number - (len(strategies) - 1) / 2)  # so that equal values do not hide each other
        own = sorted((t for t in table if t["strategy"] == strategy), key=lambda t: where[t["labels"]])
        x = [aside * where[t["labels"]] for t in own]
        mean, std = [100 * t["mean"] for t in own], [100 * (t["std"] or 0) for t in own]
        line = axes.errorbar(x, mean, std, label=strategy, marker="o", capsize=3)
        for place, t in zip(x, own, strict=True):
            values = [100 * e for e in t["errors"]]
            axes.plot([place] * len(values), values, ".", color=line[0].get_color(), alpha=0.4)
    scale = "log" if table and min(e for t in table for e in t["errors"]) > 0 else "linear"
    axes.set(xscale="log", yscale=scale, xlabel="labels", ylabel="held-out error in %")
    axes.set_xticks(list(where.values()), [str(n) for n in where])
    low, high = axes.get_ylim()
    fine = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    if scale == "log":
        axes.yaxis.set_major_locator(LogLocator(subs=fine if high < 5 * low else (1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3)
    if table:
        figure.legend(loc="outside upper left", fontsize="small")  # within the axes it hides values
    made = {}
    for suffix, facts in (("png", {"Software": None}), ("svg", {"Date": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, dpi=150, metadata=facts)
        made[suffix] = buffer.getvalue()
    pyplot.close(figure)
    return made

"""The folder of a study: its plan, its finished cells, and the cells that are left to run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ganzoo.base.storage import read_json, to_json, write_file, writing
from ganzoo.config.files import differences
from ganzoo.config.schema import Config
from ganzoo.errors import BadConfig, CannotWrite, CorruptFile, GanzooError, Notice, RunMismatch
from ganzoo.registry.discovery import installed
from ganzoo.run.folder import ENVIRONMENT
from ganzoo.study.cells import Cell, Outcome
from ganzoo.study.engines import Engine
from ganzoo.study.table import RESULTS, files

PLAN, CELLS = "study.json", "cells"


def study(
    cells: Sequence[Cell], out: str | Path, engine: Engine, report: Callable[[Cell, Outcome, int], None]
) -> dict[str, Outcome]:
    """Run the cells that are not finished, and write the results after each.

    Cells that the folder has from an earlier call stay in the table, so that a study can be extended.

    Args:
        cells: The cells.
        out: The study folder.
        engine: Runs the cells.
        report: Called with a cell, its outcome and the number of cells that are left; also for finished cells.

    Returns:
        Outcomes by name of the cell.

    Raises:
        BadConfig: There is no cell.
        RunMismatch: The folder has a cell of the same name and another configuration.
        CannotWrite: The folder exists and is not a study folder, or a file cannot be written.
    """
    folder = Path(out)
    if not cells:
        raise BadConfig("a study needs at least one strategy, one number of labels and one seed")
    rehearse(folder, cells)
    every = _update_plan(folder, cells)
    outcomes = failures(folder, every)
    outcomes |= {cell.name: o for cell in every if (o := finished(folder / CELLS / cell.name, cell.config))}
    requested = {cell.name: cell for cell in cells}
    left = [name for name in requested if name not in outcomes or outcomes[name].failed]
    if left and (old := outdated(folder / CELLS / name for name, outcome in outcomes.items() if not outcome.failed)):
        message = f"{folder} has finished cells of {old}; to compare equal versions, choose another folder with --out"
        warnings.warn(message, Notice, stacklevel=2)
    for name in (name for name in requested if name not in left):
        report(requested[name], outcomes[name], len(left))
    listed = [cell for cell in every if cell.name in requested or cell.name in outcomes]
    _write_results(folder, listed, outcomes)
    jobs = {name: (requested[name].config.to_json(), str(folder / CELLS / name)) for name in left}
    for number, (name, outcome) in enumerate(engine(jobs), 1):
        outcomes[name] = outcome
        report(requested[name], outcome, len(left) - number)
        _write_results(folder, listed, outcomes)
    return {name: outcomes[name] for name in requested}


def rehearse(folder: Path, cells: Sequence[Cell]) -> None:
    """Assemble one cell of every strategy that has none in the folder yet, so that errors occur before training.

    Args:
        folder: The study folder.
        cells: The cells.

    Raises:
        GanzooError: A cell cannot be assembled.
    """
    from ganzoo.training.assemble import assemble

    for strategy, cell in {c.strategy: c for c in reversed(cells)}.items():
        if any((folder / CELLS / c.name).exists() for c in cells if c.strategy == strategy):
            continue
        try:
            assemble(cell.config)
        except GanzooError as error:
            raise type(error)(f"strategy {strategy}: {error}") from error


def failures(folder: Path, cells: Iterable[Cell]) -> dict[str, Outcome]:
    """Return the outcomes of the cells that failed last time, by name; none if the results are damaged."""
    try:
        rows = read_json(folder / RESULTS)["cells"]
        failed = {(r["strategy"], r["labels"], r["seed"]): r["failed"] for r in rows}
    except (GanzooError, KeyError, TypeError):  # the results are written again
        return {}
    outcomes = {cell.name: failed.get((cell.strategy, cell.labels, cell.seed)) for cell in cells}
    return {name: Outcome(failed=reason) for name, reason in outcomes.items() if reason}


def finished(folder: Path, config: Config) -> Outcome | None:
    """Return the outcome of a run; None if it is not finished or has another configuration."""
    file = folder / "model" / "config.json"
    if not file.is_file():
        return None
    metadata = read_json(file)
    if metadata.get("step") != config.steps or Config.of_run(folder) != config:
        return None
    return Outcome.of(metadata)


def outdated(runs: Iterable[Path]) -> str:
    """Describe the packages whose versions have changed since runs were made; empty if there are none."""
    import torch

    now = {p.distribution: p.version for p in installed().plugins} | {"torch": torch.__version__}
    rows = set()
    for run in runs:
        try:
            recorded = read_json(run / ENVIRONMENT)
            then = [(c["package"], c["version"]) for c in recorded["components"]]
            then.append(("torch", recorded["versions"]["torch"]))
        except (GanzooError, KeyError, TypeError):  # the versions were not recorded, or are damaged
            continue
        rows |= {f"{name} {version}, not {now[name]}" for name, version in then if now.get(name, version) != version}
    return " and ".join(sorted(rows))


def _update_plan(folder: Path, cells: Iterable[Cell]) -> list[Cell]:
    """Add cells to the plan of a folder, and return all cells of the plan."""
    path = folder / PLAN
    if not path.is_file() and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotWrite(f"{folder} exists and is not a study folder; choose another with --out")
    stored = read_json(path) if path.is_file() else {}
    try:
        every = {n: Cell(**{**values, "config": Config.restore(values["config"])}) for n, values in stored.items()}
    except (TypeError, KeyError, AttributeError, BadConfig) as error:
        raise CorruptFile(f"{path} is not the plan of a study; choose another folder with --out") from error
    for cell in cells:
        if (old := every.get(cell.name)) and (rows := differences(old.config.to_dict(), cell.config.to_dict())):
            listed = "\n  ".join(rows)
            raise RunMismatch(
                f"{folder} has a cell {cell.name} with another configuration:\n  {listed}\n"
                "Choose another folder with --out"
            )
        every[cell.name] = cell
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_file(path, to_json({n: {**vars(c), "config": c.config.stored()} for n, c in every.items()}))
    return list(every.values())


def _write_results(folder: Path, cells: Sequence[Cell], outcomes: Mapping[str, Outcome]) -> None:
    for name, content in files(cells, outcomes).items():
        write_file(folder / name, content)

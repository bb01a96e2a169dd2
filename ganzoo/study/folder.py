"""The folder of a study: its plan, what is finished in it, and what is left to run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ganzoo.config import Config, differences
from ganzoo.errors import BadConfig, CannotWrite, CorruptFile, GanzooError, Notice, RunMismatch
from ganzoo.registry import installed
from ganzoo.run import ENVIRONMENT
from ganzoo.storage import read_json, to_json, write_file, writing
from ganzoo.study.cells import Cell, Outcome
from ganzoo.study.engines import Engine
from ganzoo.study.table import RESULTS, files

PLAN, CELLS = "study.json", "cells"


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
    found = failures(folder, every)
    found |= {cell.name: outcome for cell in every if (outcome := finished(folder / CELLS / cell.name, cell.config))}
    asked = {cell.name: cell for cell in cells}
    left = [name for name in asked if name not in found or found[name].failed]
    if left and (old := outdated(folder / CELLS / name for name, outcome in found.items() if not outcome.failed)):
        said = f"{folder} has finished cells of {old}; to compare like with like, choose another folder with --out"
        warnings.warn(said, Notice, stacklevel=2)
    for name in (name for name in asked if name not in left):
        report(asked[name], found[name], len(left))
    shown = [cell for cell in every if cell.name in asked or cell.name in found]
    _write(folder, shown, found)
    jobs = {name: (asked[name].config.to_json(), str(folder / CELLS / name)) for name in left}
    for number, (name, outcome) in enumerate(engine(jobs), 1):
        found[name] = outcome
        report(asked[name], outcome, len(left) - number)
        _write(folder, shown, found)
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
    """Return the outcomes of the cells that failed when the study was last run; none where its results are damaged."""
    try:
        rows = read_json(folder / RESULTS)["cells"]
        failed = {(r["strategy"], r["labels"], r["seed"]): r["failed"] for r in rows}
    except (GanzooError, KeyError, TypeError):  # they are written anew
        return {}
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


def outdated(runs: Iterable[Path]) -> str:
    """Return which packages have another version now than when runs were made, or nothing."""
    import torch

    now = {p.distribution: p.version for p in installed().plugins} | {"torch": torch.__version__}
    rows = set()
    for run in runs:
        try:
            facts = read_json(run / ENVIRONMENT)
            then = [(c["package"], c["version"]) for c in facts["components"]] + [("torch", facts["versions"]["torch"])]
        except (GanzooError, KeyError, TypeError):  # then nobody knows
            continue
        rows |= {f"{name} {version}, not {now[name]}" for name, version in then if now.get(name, version) != version}
    return " and ".join(sorted(rows))


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


def _write(folder: Path, cells: Sequence[Cell], found: Mapping[str, Outcome]) -> None:
    for name, content in files(cells, found).items():
        write_file(folder / name, content)

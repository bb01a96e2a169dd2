"""Studies: runs over strategies × numbers of labels × seeds, equal in everything else, summarised in one table.

A place to run them on is an engine in `engines`.

A study folder holds the plan (`study.json`), a run folder for every cell (`cells/`), and the results (`results.json`,
`table.md`, `table.csv`, `curve.png`, `curve.svg`). A study that was stopped can be started again: finished cells are
kept, interrupted ones continue from their checkpoints, and failed ones are run again.
"""

from ganzoo.study.cells import Cell, Outcome, plan
from ganzoo.study.engines import Engine, processes, ray, sequential
from ganzoo.study.folder import study
from ganzoo.study.table import RESULTS, TABLE, markdown, short, summary

__all__ = [
    "RESULTS", "TABLE", "Cell", "Engine", "Outcome", "markdown", "plan", "processes", "ray", "sequential", "short",
    "study", "summary",
]  # fmt: skip

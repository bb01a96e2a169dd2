"""Many runs as one table: strategies × numbers of labels × seeds, each the same in everything else.

A study folder holds its plan (`study.json`), a run folder for every cell (`cells/`), and what came of them
(`results.json`, `table.md`, `table.csv`, `curve.png`, `curve.svg`). A study that was stopped goes on when it is started
again: finished cells are kept, a cell cut short continues from its checkpoint, a failed one is tried again.
"""

from ganzoo.study.cells import Cell, Outcome, plan
from ganzoo.study.engines import Engine, here, processes, ray
from ganzoo.study.folder import study
from ganzoo.study.table import RESULTS, TABLE, curve, markdown, short, summary

__all__ = [
    "RESULTS", "TABLE", "Cell", "Engine", "Outcome", "curve", "here", "markdown", "plan", "processes", "ray", "short",
    "study", "summary",
]  # fmt: skip

"""The run folder, trackers, and the warnings about a training: a new warning is a `Diagnostic` in `diagnostics`."""

from ganzoo.run.diagnostics import Diagnosis, Diagnostics
from ganzoo.run.folder import BEST, METRICS, MODEL, Run, new_folder

__all__ = ["BEST", "METRICS", "MODEL", "Diagnosis", "Diagnostics", "Run", "new_folder"]

"""Pages for readers: the report of a run, the comparison of runs, the demo. A new section of the report goes here."""

from ganzoo.report.page import REPORT, after_training, write_report

__all__ = ["REPORT", "after_training", "write_report"]

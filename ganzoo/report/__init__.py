"""A run on one page: a file of HTML that needs nothing else."""

from ganzoo.report.page import REPORT, after_training, write_report

__all__ = ["REPORT", "after_training", "write_report"]

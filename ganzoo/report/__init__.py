"""A run on one page: a file of HTML that needs nothing else."""

from ganzoo.report.page import REPORT, write_report

__all__ = ["REPORT", "write_report"]

"""The report of a batch: its figures and its page. Importing this package does not import matplotlib."""

from recobatch.report.coverage import CoverageResult
from recobatch.report.inputs import ModelResult, PublishedTable, ReportInputs, titles_by_index
from recobatch.report.lists import ListResult

__all__ = ["CoverageResult", "ListResult", "ModelResult", "PublishedTable", "ReportInputs", "titles_by_index"]

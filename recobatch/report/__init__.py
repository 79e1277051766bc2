"""The report of a batch: its figures and its page. Importing this package does not import matplotlib."""

from recobatch.report.inputs import ModelResult, PublishedTable, ReportInputs, titles_by_index
from recobatch.report.lists import ListResult

__all__ = ["ListResult", "ModelResult", "PublishedTable", "ReportInputs", "titles_by_index"]

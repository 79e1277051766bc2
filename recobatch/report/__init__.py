"""The report of a batch: its figures and its page. Importing this package does not import matplotlib."""

from recobatch.report.inputs import (
    DataSummary,
    ModelResult,
    PublishedTable,
    ReportInputs,
    TestRows,
    titles_by_index,
)

__all__ = ["DataSummary", "ModelResult", "PublishedTable", "ReportInputs", "TestRows", "titles_by_index"]

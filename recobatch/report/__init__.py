"""The pictures and the page that people look at. Importing this package does not import matplotlib."""

from recobatch.report.inputs import DataSummary, ModelResult, PublishedTable, ReportInputs, TestRows

__all__ = ["DataSummary", "ModelResult", "PublishedTable", "ReportInputs", "TestRows"]

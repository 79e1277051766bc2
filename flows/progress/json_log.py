"""Log lines as JSON objects, for a collector that reads the job's stderr."""

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

_KEPT = (
    "flow_name",
    "flow_run_name",
    "flow_run_id",
    "task_run_name",
    "batch_id",
    "stage",
    "seconds",
    "reused",
    "counts",
)
"""Fields of a record beside its message: Prefect's, and those of ``StageLog``."""


class JsonLines(logging.Formatter):
    """One JSON object a record: time (UTC), level, logger, message and further fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname, "logger": record.name, "message": record.getMessage(),
        }  # fmt: skip
        line |= {name: value for name in _KEPT if (value := getattr(record, name, None)) is not None}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = type(record.exc_info[1]).__name__
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, default=str)


def log_as_json() -> None:
    """Let every handler that writes to the console write JSON lines; the server gets its lines as before."""
    logging.captureWarnings(capture=True)
    known = logging.root.manager.loggerDict.values()
    for logger in (logging.root, *(one for one in known if isinstance(one, logging.Logger))):
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                logger.removeHandler(handler)
                logger.addHandler(_plain(handler))


def _plain(handler: "logging.StreamHandler[Any]") -> "logging.StreamHandler[Any]":
    """A handler in place of one that may wrap, colour or replace (Prefect's sees an emoji in ``:1:``)."""
    plain = logging.StreamHandler(handler.stream)
    plain.setLevel(handler.level)
    plain.filters = list(handler.filters)
    plain.setFormatter(JsonLines())
    return plain

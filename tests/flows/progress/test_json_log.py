"""Log lines as JSON: every line an object, none of them lost to colours or wrapping."""

import json
import logging
import subprocess
import sys

import pytest

from flows.progress.json_log import JsonLines
from tests.support.flow_runs import QUICK

MAIN = "from flows.cli.commands import main; main()"

pytestmark = pytest.mark.usefixtures("one_model")


def test_a_record_becomes_an_object_with_what_it_carries():
    record = logging.LogRecord("prefect.task_runs", logging.INFO, __file__, 1, "ingest: %s :1:", ("5 ratings",), None)
    record.__dict__ |= {"stage": "ingest", "counts": {"ratings": 5}, "seconds": 0.25, "batch_id": "b", "reused": False}
    line = json.loads(JsonLines().format(record))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO", "logger": "prefect.task_runs", "message": "ingest: 5 ratings :1:", "stage": "ingest",
        "counts": {"ratings": 5}, "seconds": 0.25, "batch_id": "b", "reused": False,
    }  # fmt: skip


def test_an_exception_stays_on_the_line():
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "broken", (), sys.exc_info())
    text = JsonLines().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert line["error"] == "ValueError"
    assert line["traceback"].startswith("Traceback") and line["traceback"].endswith("two\nlines\n")  # noqa: PT018


@pytest.mark.long
def test_every_line_of_a_run_is_an_object(recobatch, ratings_csv, at_project, server):
    trained = recobatch("train", ratings_csv, *QUICK)
    assert trained.code == 0, trained.err
    command = [sys.executable, "-c", MAIN, "score", "--table", "lines", "--set", "log.format=json", "--json"]
    done = subprocess.run(command, cwd=at_project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    batch = json.loads(done.stdout)["batch_id"]
    story = {line["stage"]: line for line in lines if line.get("batch_id") == batch}
    assert {"fetch champion", "score", "publish"} <= story.keys()
    assert story["score"]["counts"] == {"predictions": 2400}
    assert story["score"]["seconds"] > 0
    assert story["score"]["flow_run_name"] in {line.get("flow_run_name") for line in lines}
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)

"""What commands print reaches an output of any encoding."""

import io
import os
import subprocess
import sys

import pyarrow as pa
import pytest
from rich.console import Console

from flows.cli.output import print_in_any_encoding
from recobatch.table import open_table
from tests.support.small_table import make_ids, make_model, publish, write_inputs

TOP = "from flows.cli.commands import main; main()"


# click takes ASCII for a mistake and writes UTF-8.
@pytest.mark.process
@pytest.mark.parametrize(("encoding", "written"), [("ascii", "utf-8"), ("latin-1", "latin-1"), ("utf-8", "utf-8")])
def test_titles_that_stdout_cannot_encode_are_printed_with_question_marks(encoding, written, tmp_path):
    inputs, titles = write_inputs(tmp_path / "inputs", make_model(6, 4)), ["Alien ✓", "Brazil – 日本", "C", "Dé"]
    named = pa.table({"item_id": make_ids(4).ids, "title": titles})
    publish(open_table(tmp_path / "predictions"), "first", inputs, titles=named)
    command = [sys.executable, "-c", TOP, "top", "10", "--all", "--table", str(tmp_path / "predictions")]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    for title in titles:
        assert title.encode(written, errors="replace") in done.stdout


def test_tables_and_errors_are_printed_too(monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    print_in_any_encoding()
    Console(file=sys.stdout).print("two – models")
    sys.stderr.write("recobatch: žluť\n")
    written = []
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        written.append(stream.buffer.getvalue())
    assert written == [b"two ? models\n", b"recobatch: ?lu?\n"]

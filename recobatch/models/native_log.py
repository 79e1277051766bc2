"""The import of TensorFlow, without what its C++ writes to stderr meanwhile. Imports no TensorFlow by itself."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_NATIVE = re.compile(
    rb"[IWE]\d{4} |WARNING: All log messages before absl::InitializeLog|To enable the following instructions|"
    rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] "
)
"""How its lines begin. It looks for a GPU and reports the processor's features at any log level."""


def import_tensorflow() -> None:
    """Import TensorFlow, seconds where it is the first time; without its native log lines unless it fails."""
    if "tensorflow" in sys.modules:
        return
    with _held_back():
        import tensorflow  # noqa: F401


@contextmanager
def _held_back() -> Iterator[None]:
    """Collect what is written to stderr, and write it once the block ends, but for TensorFlow's lines.

    All lines are written if the block fails. Lines of other threads arrive late and are not lost.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    has_failed = True
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
            has_failed = False
        finally:
            os.dup2(stderr, 2)
            aside.seek(0)
            for line in aside:
                if has_failed or not _NATIVE.match(line):
                    os.write(stderr, line)
            os.close(stderr)

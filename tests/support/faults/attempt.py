"""Rivals: ``python -m tests.support.faults.attempt ROOT FOLDER NUMBER...`` forks one publishing process per number.

All start at the same moment. Prints one JSON list per process: number, exit code, and the line it would put on stderr.
"""

import json
import os
import sys
from pathlib import Path

import pandas  # noqa: F401 - pyarrow imports it on first use; once here is better than once per child

from recobatch.errors import RecobatchError
from tests.support.faults.numbered import inputs_of, publish_number


def attempt(root: str, folder: Path, number: int, gate: int) -> None:
    os.chdir(folder)  # where tables in an object store leave what grows
    inputs, code, line = inputs_of(folder, number), 0, ""
    os.read(gate, 1)  # until the parent closes its end
    try:
        publish_number(root, inputs, number)
    except RecobatchError as error:
        code, line = error.exit_code, str(error)
    (folder / f"end-{number}.json").write_text(json.dumps([number, code, line]))


def main() -> None:
    root, folder, numbers = sys.argv[1], Path(sys.argv[2]), [int(number) for number in sys.argv[3:]]
    gate, opener = os.pipe()
    children = []
    for number in numbers:
        if (child := os.fork()) == 0:
            os.close(opener)
            attempt(root, folder, number, gate)
            os._exit(0)
        children.append(child)
    os.close(opener)
    for child in children:
        os.waitpid(child, 0)
    for number in numbers:
        print((folder / f"end-{number}.json").read_text())  # noqa: T201 - the answer


if __name__ == "__main__":
    main()

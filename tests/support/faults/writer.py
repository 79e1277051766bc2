"""A process that forks publishing processes on demand: real ones to kill, without a second of imports for each.

One JSON line in: root, folder, number, keep, at, errno (0 to kill). One JSON line out: exit code, error, calls seen.
"""

import json
import os
import sys
from pathlib import Path

import pandas  # noqa: F401 - pyarrow imports it on first use; once here is better than once per child

from recobatch.errors import RecobatchError
from tests.support.faults.disk import killing, refusing
from tests.support.faults.numbered import inputs_of, publish_number


def run(order: dict) -> int:
    disk = refusing(order["at"], order["errno"]) if order["errno"] else killing(order["at"])
    os.chdir(order["folder"])  # where tables in an object store leave what grows
    Path(order["pid"]).write_text(str(os.getpid()))
    inputs, told = inputs_of(Path(order["folder"]), order["number"]), {"error": None}
    try:
        with disk.mounted():
            publish_number(order["root"], inputs, order["number"], keep=order["keep"])
        code = 0
    except RecobatchError as error:
        code, told["error"] = error.exit_code, str(error)
    Path(order["told"]).write_text(json.dumps(told | {"calls": disk.seen}))
    return code


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        if (child := os.fork()) == 0:
            os._exit(run(order))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps({"code": status}), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()

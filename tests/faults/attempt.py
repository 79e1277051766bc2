"""One publish in a process of its own, as a run does it: ``python -m tests.faults.attempt ROOT FOLDER NUMBER``.

Ends with the error's exit code and one line on stderr. Prints ``ready`` and waits for a line first, so that rivals
start at once.
"""

import sys
from pathlib import Path

from recobatch.errors import RecobatchError
from tests.faults.numbered import inputs_of, publish_number


def main() -> int:
    root, folder, number = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    inputs = inputs_of(folder, number)
    print("ready", flush=True)  # noqa: T201 - the signal
    sys.stdin.readline()
    try:
        publish_number(root, inputs, number)
    except RecobatchError as error:
        print(error, file=sys.stderr)  # noqa: T201 - as the command line does
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

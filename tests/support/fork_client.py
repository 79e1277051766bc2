"""``recobatch`` for a shell, answered by the fork server: ``python -S -E fork_client.py SOCKET ARGUMENTS…``."""

import array
import json
import os
import socket
import sys


def submit(address: str, arguments: list[str], *, cwd: str, env: dict[str, str], fds: tuple[int, int]) -> socket.socket:
    """Ask for a run that writes to ``fds``; the lines of the answer are its process id and, at its end, its status."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(address)
    request = json.dumps({"arguments": arguments, "cwd": cwd, "environment": env}).encode()
    server.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
    return server


def main() -> None:
    _, address, *arguments = sys.argv
    with submit(address, arguments, cwd=os.getcwd(), env=dict(os.environ), fds=(1, 2)) as server:  # noqa: PTH109
        _, status = map(int, server.makefile())
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()

"""What processes listen on, as Linux' kernel tells it."""

import socket
from contextlib import suppress
from pathlib import Path


def family(pid):
    """A process and all its descendants."""
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return [pid, *(one for child in children for one in family(child))]


def listening_sockets(pids):
    """Address and port of every TCP socket that the processes listen on; an IPv6 address as the kernel writes it."""
    inodes = set()
    for handle in (handle for pid in pids for handle in Path(f"/proc/{pid}/fd").iterdir()):
        with suppress(OSError):
            inodes.add(str(handle.readlink()).removeprefix("socket:[").removesuffix("]"))
    found = set()
    for line in [line for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]:
        fields = line.split()
        address, port = fields[1].split(":")
        if fields[3] == "0A" and fields[9] in inodes:
            packed = bytes.fromhex(address)
            found.add((socket.inet_ntoa(packed[::-1]) if len(packed) == 4 else address, int(port, 16)))
    return found

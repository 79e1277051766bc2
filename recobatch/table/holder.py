"""The card on which the writer of a table names itself, in the lock file of a folder and in the lease of a bucket."""

import json
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from recobatch.errors import TableBusy


def card_of(holder: str) -> dict[str, Any]:
    """The card of this process.

    Args:
        holder: The batch id that others will read.
    """
    return {"holder": holder, "pid": os.getpid(), "host": socket.gethostname(), "since": utc(time.time())}


def read_card(content: bytes) -> dict[str, Any]:
    """A card; empty if it cannot be read."""
    try:
        card = json.loads(content)
    except ValueError:
        return {}
    return card if isinstance(card, dict) else {}


def is_running(pid: int) -> bool:
    """Whether another process of this machine has this id; for this one, ``session`` knows what it holds."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def busy(where: str, card: Mapping[str, Any]) -> TableBusy:
    """The error for a table that another run holds; a lease has ``expires``, in seconds since the epoch."""
    try:
        who = f"batch {card['holder']} (pid {card['pid']} on {card['host']}, since {card['since']})"
        hint = f"until {utc(card['expires'])} if it died" if "expires" in card else "stop it"
    except (KeyError, TypeError, ValueError, OverflowError):
        who, hint = "another process", "stop it"
    return TableBusy(
        f"{where}: found the table held by {who}, expected a table that nobody writes to; "
        f"wait until that run ends, or {hint}, or pass another --table"
    )


def utc(seconds: float) -> str:
    """A time in ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))

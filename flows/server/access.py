"""Who may use a Prefect server of our own: whoever knows its password, by an address of this machine.

A port on loopback is open to every user of the machine, and to every page that one of them has open in a browser. A
flow run reads and writes files as the user who serves it, so whoever can start one can read what that user can read.
"""

import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recobatch.storage.durable import explained, write_file
from recobatch.storage.initialize import lock_to_initialize

AUTH_STRING = "auth-string"
"""File in Prefect's home with the user name and password of a server that outlives one run; its owner's alone."""
_HOSTS = ("127.0.0.1", "localhost")


def auth_string(kept_in: Path | None = None) -> str:
    """``name:password`` of a server: what the environment says, else a random one.

    Args:
        kept_in: Prefect's home, where the random one is kept, so that a browser and a shell that knew it yesterday know
            it today. None keeps it nowhere.

    Raises:
        RecobatchError: If the file cannot be read or written.
    """
    if given := os.environ.get("PREFECT_SERVER_API_AUTH_STRING") or os.environ.get("PREFECT_API_AUTH_STRING"):
        return given
    made = f"recobatch:{secrets.token_urlsafe(24)}"
    if kept_in is None:
        return made
    path = kept_in / AUTH_STRING
    with explained("keep the password of the Prefect server", path):
        lock = lock_to_initialize(kept_in / f".{AUTH_STRING}-lock", path.exists)
        if lock is not None:
            with lock:
                write_file(path, made.encode() + b"\n", mode=0o600)
        return path.read_text(encoding="utf-8").strip()


def prepare_home(home: Path) -> None:
    """Make Prefect's home, if it is missing, as a folder of its owner alone: it holds settings, logs and results.

    Raises:
        RecobatchError: If the server could not write there.
    """
    with explained("write the files of the Prefect server", home):
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()


def server_environment(port: int, auth_string: str) -> dict[str, str]:
    """Variables of a server at a port of this machine, beside those of this process."""
    own_pages = ",".join(f"http://{host}:{port}" for host in _HOSTS)
    return {
        # By default any page may read the answers. Of two names, the one that gives way to a user's own setting.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": own_pages,
        **os.environ,
        "PREFECT_SERVER_API_AUTH_STRING": auth_string,
        # The UI in the browser calls the API at this address; its default is port 4200.
        "PREFECT_SERVER_UI_API_URL": f"http://{_HOSTS[0]}:{port}/api",
    }


def create_app() -> Callable[..., Any]:
    """Prefect's application, for requests that name this machine as their host alone.

    A page can have its own name resolve to 127.0.0.1, and would then pass for a page of the server (DNS rebinding).
    """
    from prefect.server.api.server import create_app as create_prefect_app
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    return TrustedHostMiddleware(create_prefect_app(), allowed_hosts=_HOSTS, www_redirect=False)

"""A real Postgres server on loopback, with a database and a user of its own, in a folder that vanishes with it."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.support.mlflow_server import free_port

PASSWORD = "h%75sh-me"
"""Of the user ``ann``, as it stands in an address."""
_NOBODY = 65534


def programs() -> Path:
    """Folder of the server's programs; skips the test where there is none."""
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt").glob("*/postgresql*/bin")]
    found = [folder for folder in folders if (folder / "initdb").exists()]
    if found:
        return max(found)
    if there := shutil.which("initdb"):
        return Path(there).parent
    pytest.skip("this machine has no Postgres server (apt-get install postgresql): the export to one is untested")


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server until the block ends; yields the address of its superuser, without a database."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    # Postgres refuses to run as root.
    somebody = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    if somebody:
        os.chown(folder, _NOBODY, _NOBODY)
    try:
        with _running(programs(), folder, free_port(), somebody) as url:
            yield url
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _running(bin_folder: Path, folder: Path, port: int, somebody: dict) -> Iterator[str]:
    here = {"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **somebody}
    (folder / "password").write_text("root-hush")
    initdb = [
        "initdb",
        "-D",
        "data",
        "-U",
        "root",
        "-A",
        "scram-sha-256",
        "--pwfile=password",
        "--no-sync",
        "-E",
        "UTF8",
    ]
    made = subprocess.run([bin_folder / initdb[0], *initdb[1:], "--locale=C"], text=True, **here)
    assert made.returncode == 0, made.stdout
    options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off"}
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([bin_folder / "postgres", "-D", "data", *flags], **here | {"stdout": log})
    try:
        url = f"postgresql://root:root-hush@127.0.0.1:{port}"
        _wait(process, f"{url}/postgres", folder / "log")
        yield url
    finally:
        process.send_signal(signal.SIGINT)  # ends sessions and leaves in order
        process.wait(30)


def _wait(process: subprocess.Popen, url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg2.connect(url).close()
            return
        except psycopg2.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()[-3000:]) from None
            time.sleep(0.05)


def sql(url, *statements):
    """Run statements in a transaction; the rows of the last one, if it has any."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else None


def tables(url):
    """Names of the tables of the schema public."""
    return sorted(name for (name,) in sql(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))

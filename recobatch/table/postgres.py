"""The address of a table of a Postgres server, and what the server refuses; the only module that imports psycopg2."""

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from recobatch.errors import BadInput, RecobatchError
from recobatch.table.copy_text import column_types
from recobatch.table.export_file import OnRows
from recobatch.table.pieces import Rows
from recobatch.table.replacement import LOCK_SECONDS, Replacement

_ADDRESS = re.compile(r"postgres(ql)?://")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,62}\.)?[A-Za-z_][A-Za-z0-9_]{0,62}")
_PORTS = re.compile(r"\d+(,\d*)*")
_CONNECT_SECONDS = 10
_WRONG_INPUT = ("0A", "22", "28", "2B", "3D", "3F", "42")
"""Classes of SQLSTATE that a change of the address, the rights or the target solves."""
_HINTS = {
    "42501": "grant this user what is missing, or name another user",
    "42809": "name another one with ?table=",
    "2BP01": "drop what depends on the table, or name another one with ?table=",
    "3F000": "create the schema, or name another one",
    "55P03": f"another session held the table, or read this database, for {LOCK_SECONDS} seconds: end its transaction "
    "and export again",
}


@dataclass(frozen=True)
class PostgresTable:
    """A table of a server."""

    dsn: str = field(repr=False)
    """Address for libpq, possibly with a password."""
    shown: str
    """Host, port and database, for messages."""
    name: tuple[str, ...]
    """Name, or schema and name."""


def is_postgres(target: str) -> bool:
    """Whether a target is the address of a Postgres server."""
    return _ADDRESS.match(target) is not None


def parse_target(target: str, default: str) -> PostgresTable:
    """Parse ``postgresql://user@host:port/database?table=name``; everything but ``table`` is for libpq.

    Args:
        target: The address.
        default: Name of the table where the address has none.

    Raises:
        BadInput: If it is malformed, or psycopg2 is not installed. The message never quotes the address: what cannot be
            parsed may hold a password anywhere.
    """
    address, _, query = target.partition("?")
    options = [option for option in query.split("&") if option]
    names = [unquote(option[len("table=") :]) for option in options if option.startswith("table=")]
    name = names[-1] if names else default
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"--to: found {name[:80]!r} as the name of a table, expected letters, digits and underscores, at most 63, "
            f"or schema.table; correct ?table="
        )
    dsn = "?".join(filter(None, [address, "&".join(option for option in options if not option.startswith("table="))]))
    return PostgresTable(dsn, _shown(dsn), tuple(name.split(".")))


def copy_to_postgres(target: PostgresTable, rows: Rows, *, on_rows: OnRows, on_resume: OnRows) -> None:
    """Replace a table of a server by these rows.

    Rights that were granted on the old table are granted on the new one, and the first column is indexed.

    Args:
        target: Where to.
        rows: Read one batch at a time, while they are sent.
        on_rows: Called after the rows of each piece are at the server.
        on_resume: Called with the rows that an export which broke off had sent.

    Raises:
        BadInput: If the server cannot be reached or refuses the user or the table.
        BadTable: If a column has a type that is not exported.
        RecobatchError: If the server fails; the old table stands.
    """
    column_types(rows.schema)
    psycopg2 = _import_psycopg2()
    replacing = None
    try:
        with closing(_connect(psycopg2, target)) as connection, connection.cursor() as cursor:
            replacing = Replacement(psycopg2.sql, connection, cursor, target.name, rows)
            replacing.run(on_rows=on_rows, on_resume=on_resume)
    except psycopg2.Error as error:
        if replacing is not None and replacing.read_error is not None:
            raise replacing.read_error from None  # psycopg2 raises the server's answer to it instead
        outcome = replacing.outcome if replacing is not None else "what was there stands"
        raise _refusal(error, target, outcome) from error


def _shown(dsn: str) -> str:
    """Host, port and database of an address.

    An unescaped character of a password moves the bounds of the parts; that shows in the others.
    """
    psycopg2 = _import_psycopg2()
    try:
        parts = psycopg2.extensions.parse_dsn(dsn)
    except psycopg2.Error:
        parts = {"port": "malformed"}
    host, port, database = (parts.get(part, "") for part in ("host", "port", "dbname"))
    if (port and not _PORTS.fullmatch(port)) or "@" in host + database:
        raise BadInput(
            "--to: found a malformed address of a Postgres server, expected postgresql://user@host:port/database; "
            "percent-encode special characters, or pass the password in PGPASSWORD or ~/.pgpass"
        )
    return f"postgresql://{host}{port and ':'}{port}/{database}"


def _connect(psycopg2: Any, target: PostgresTable) -> Any:  # noqa: ANN401
    limits = {} if "connect_timeout=" in target.dsn else {"connect_timeout": _CONNECT_SECONDS}
    try:
        return psycopg2.connect(target.dsn, client_encoding="utf8", fallback_application_name="recobatch", **limits)
    except psycopg2.Error as error:
        raise BadInput(
            f"{target.shown}: found no way to connect ({_reason(error)}), expected a Postgres server that accepts this "
            f"user; start it, or correct host, port, user, password or database"
        ) from error


def _refusal(error: Any, target: PostgresTable, outcome: str) -> RecobatchError:  # noqa: ANN401
    code = error.pgcode or ""
    kind: Callable[[str], RecobatchError] = BadInput if code[:2] in _WRONG_INPUT else RecobatchError
    return kind(
        f"{target.shown}: found that Postgres could not replace the table {'.'.join(target.name)} ({_reason(error)}), "
        f"expected a server with space where this user may create and drop it; {outcome}; "
        f"{_HINTS.get(code, 'look at the server and export again')}"
    )


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0].removeprefix("ERROR:").strip()[:200]


def _import_psycopg2() -> Any:  # noqa: ANN401 - the module
    try:
        import psycopg2
        import psycopg2.extensions
        import psycopg2.sql
    except ModuleNotFoundError:
        raise BadInput(
            "export: found no psycopg2, expected the package installed; install it with pip install 'recobatch[export]'"
        ) from None
    return psycopg2

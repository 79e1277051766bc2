"""A table of a Postgres server is replaced: rows go into a new table, which takes the name of the old one at the end.

Whoever reads meanwhile sees the old table, and a run that breaks off leaves it as it was. Rows of one piece are copied
and take the name in one transaction. More are committed piece by piece, into a table that the next export of the same
rows continues.
"""

from collections.abc import Callable, Iterator
from typing import Any

from recobatch.table.copy_text import column_types, text_rows
from recobatch.table.pieces import Rows

LOCK_SECONDS = 60
_READ_BYTES = 1 << 18
_UNFINISHED = "recobatch: unfinished"
_LEFT = """
SELECT nspname, relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = coalesce(%s, current_schema()) AND relkind = 'r' AND obj_description(pg_class.oid, 'pg_class') = %s
"""
_INDEXES = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = to_regclass(%s)"
_GRANTS = """
SELECT granted.privilege_type, granted.is_grantable, role.rolname
FROM pg_class CROSS JOIN aclexplode(relacl) AS granted LEFT JOIN pg_roles AS role ON role.oid = granted.grantee
WHERE pg_class.oid = to_regclass(%s) AND granted.grantee <> relowner
"""


class Replacement:
    """One export into a table, over a connection without autocommit."""

    def __init__(self, sql: Any, connection: Any, cursor: Any, name: tuple[str, ...], rows: Rows) -> None:  # noqa: ANN401
        self._sql, self._connection, self._cursor, self._rows = sql, connection, cursor, rows
        self._new_name = (*name[:-1], f"{name[-1][:40]}_new_{rows.identity[:8]}")
        self._parts = {
            "old": sql.Identifier(*name), "new": sql.Identifier(*self._new_name), "name": sql.Identifier(name[-1]),
            "first": sql.Identifier(rows.schema.names[0]),
        }  # fmt: skip
        self._comment = f"recobatch: {rows.name} of version {rows.version}"
        self._unfinished = f"{_UNFINISHED} {name[-1]}"
        self._in_pieces = len(rows.pieces) > 1
        self.read_error: BaseException | None = None
        """What ended the reading of the rows, if that failed."""
        self.outcome = "what was there stands"

    def run(self, *, on_rows: Callable[[int], None], on_resume: Callable[[int], None]) -> None:
        """Copy the rows that are missing, and give the table its name."""
        self._execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        self._execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", self._unfinished)
        done = self._take_up()
        self._connection.commit()
        on_resume(sum(piece.rows for piece in self._rows.pieces[: done or 0]))
        if done is None:
            self._create()
        for piece in self._rows.pieces[done or 0 :]:
            stream = _Stream(map(text_rows, piece.batches(self._rows.schema)))
            # Frozen rows are visible to a reader whose snapshot is older than they are: it would find the new table
            # empty. They can be frozen in the transaction that created the table alone; see ``_await_readers``.
            frozen = "" if self._in_pieces else " (FREEZE)"
            copy = self._sql.SQL(f"COPY {{}} FROM STDIN{frozen}").format(self._parts["new"])
            try:
                self._cursor.copy_expert(copy, stream, _READ_BYTES)
            finally:
                self.read_error = stream.error
            if self._in_pieces:
                self._connection.commit()
            on_rows(piece.rows)
        if self._in_pieces:
            self._await_readers()
        else:
            self._execute("CREATE INDEX ON {new} ({first})")
        self._swap()

    def _take_up(self) -> int | None:
        """Drop what exports of other rows left; how many pieces an export of these left, None without its table."""
        schema = self._new_name[0] if len(self._new_name) > 1 else None
        self._execute(_LEFT, schema, self._unfinished)
        done = None
        for left in self._cursor.fetchall():
            if left[1] == self._new_name[-1]:
                self._execute("SELECT count(*) FROM {new}")
                done = self._rows.pieces_within(self._cursor.fetchone()[0])
            if left[1] != self._new_name[-1] or done is None:
                self._execute("DROP TABLE {left}", left=self._sql.Identifier(*left))
        return done

    def _create(self) -> None:
        sql = self._sql
        columns = column_types(self._rows.schema).items()
        typed = [sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind)) for column, kind in columns]
        self._execute("CREATE TABLE {new} ({columns})", columns=sql.SQL(", ").join(typed))
        self._execute("COMMENT ON TABLE {new} IS %s", self._unfinished)

    def _await_readers(self) -> None:
        """Index the table in the way that waits for every snapshot of this database from before the last piece.

        A reader that had one would find the new table empty, or a part of it.
        """
        self._connection.autocommit = True
        self._cursor.execute(_INDEXES, (self._parts["new"].as_string(self._cursor),))
        for (left,) in self._cursor.fetchall():  # of a wait in vain
            self._cursor.execute(f"DROP INDEX {left}")
        self._execute("CREATE INDEX CONCURRENTLY ON {new} ({first})")
        self._connection.autocommit = False

    def _swap(self) -> None:
        self._execute("COMMENT ON TABLE {new} IS %s", self._comment)
        self._cursor.execute(_GRANTS, (self._parts["old"].as_string(self._cursor),))
        for privilege, may_grant, role in self._cursor.fetchall():
            to = self._sql.SQL("PUBLIC") if role is None else self._sql.Identifier(role)
            option = " WITH GRANT OPTION" if may_grant else ""
            grant = f"GRANT {{privilege}} ON {{new}} TO {{role}}{option}"
            self._execute(grant, privilege=self._sql.SQL(privilege), role=to)
        self._execute("DROP TABLE IF EXISTS {old}")
        self._execute("ALTER TABLE {new} RENAME TO {name}")
        self.outcome = f"the table is the old one or the new one, as its comment says ({self._comment})"
        self._connection.commit()

    def _execute(self, statement: str, *values: Any, **parts: Any) -> None:  # noqa: ANN401
        self._cursor.execute(self._sql.SQL(statement).format(**self._parts, **parts), values or None)


class _Stream:
    """Pieces of bytes as the file that psycopg2 reads; keeps the exception that ended it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")
        self.error: BaseException | None = None

    def read(self, size: int) -> bytes:
        try:
            while not self._rest:
                self._rest = memoryview(next(self._pieces))
        except StopIteration:
            return b""
        except BaseException as error:
            self.error = error
            raise
        piece, self._rest = self._rest[:size], self._rest[size:]
        return bytes(piece)

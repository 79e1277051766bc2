"""Queries of a published table to copy into a shell, DuckDB or pandas, for a user that it really has."""

import shlex

UserId = int | str
_LIVE_IN_DOUBLE_QUOTES = set('"$`\\!')


def duckdb_query(champion_path: str, user: UserId, *, unseen_only: bool = False) -> str:
    """SQL for the ten best items of a user, one clause a line.

    Args:
        champion_path: Folder with the champion's parquet files: of one version, or the working folder if empty.
        user: Raw id; a number is not quoted, a text is.
        unseen_only: Leave out what the user rated.
    """
    return "\n".join(_clauses(champion_path, user, unseen_only=unseen_only)) + ";"


def duckdb_command(champion_path: str, user: UserId) -> str:
    """The same query as one line for a POSIX shell; it resolves the link to the current version once."""
    query = " ".join(_clauses("" if "://" not in champion_path else champion_path, user))
    quoted = shlex.quote(query) if _LIVE_IN_DOUBLE_QUOTES & set(query) else f'"{query}"'
    if "://" in champion_path:
        return f"duckdb -c {quoted}"
    return f"(cd -P {shlex.quote(champion_path)} && duckdb -c {quoted})"


def pandas_query(champion_path: str, user: UserId) -> str:
    """Python for all predictions of a user; it resolves the link to the current version once."""
    filters = f'filters=[("user_id", "==", {_python(user)})]'
    if "://" in champion_path:
        return f"pd.read_parquet({_python(champion_path)}, {filters})"
    return f"pd.read_parquet(Path({_python(champion_path)}).resolve(), {filters})"


def top_command(user: UserId, table: str) -> str:
    """``recobatch top`` for a user, as typed into a POSIX shell; a table at its usual place is not named."""
    words = ["recobatch", "top", *(() if table == "predictions" else ("--table", table))]
    return shlex.join([*words, *(("--",) if str(user).startswith("-") else ()), str(user)])


def _clauses(champion_path: str, user: UserId, *, unseen_only: bool = False) -> tuple[str, str]:
    condition = f"user_id = {_sql(user)}" + (" AND NOT rated" if unseen_only else "")
    files = _sql(f"{champion_path}/*.parquet" if champion_path else "*.parquet")
    return (  # shown to people, never run here
        f"SELECT item_id, prediction FROM {files}",  # nosec B608
        f"WHERE {condition} ORDER BY prediction DESC LIMIT 10",
    )


def _sql(value: UserId) -> str:
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def _python(value: UserId) -> str:
    text = repr(value)
    return text if isinstance(value, int) or '"' in text else f'"{text[1:-1]}"'

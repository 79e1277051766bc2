"""A folder, a glob or a partitioned data set → its ratings files, in a stable order.

Hive's rules: names that begin with ``_`` or ``.`` (``_SUCCESS``, ``.part-0.crc``) are not data, and a folder named
``key=value`` is a column of the files below it.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import unquote

from recobatch.addresses import Address, without_secrets
from recobatch.errors import BadRatings, RatingsNotFound
from recobatch.reading.folders import Entry, is_folder, walk

_SUFFIXES = frozenset([".csv", ".tsv", ".txt", ".dat", ".data", ".inter", ".parquet", ".parq", ".pq"])
_PACKED = frozenset([".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".snappy"])
_GLOB = re.compile(r"[*?\[]")
_PARTITION = re.compile(r"([^=/]+)=(.*)")
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_TABLE_FORMATS = {"_delta_log": "Delta", ".hoodie": "Hudi"}


@dataclass(frozen=True)
class RatingsFile:
    """One file of several that are read as one."""

    uri: str
    """Path or URI."""
    name: str
    """Its path below the folder."""
    partitions: Mapping[str, str | None] = field(default_factory=dict)
    """Columns that its folders name, with their value in this file; None for Hive's null."""


def names_many(ratings: str) -> bool:
    """Whether an address means several files: a folder or a glob.

    A URI is one if it ends with a slash; an object store is asked only about a last part without a dot.
    """
    address = Address.parse(ratings)
    if (local := address.local) is not None:
        # os.path, because pathlib raises where a folder may not be entered.
        return os.path.isdir(local) or (bool(_GLOB.search(str(local))) and not os.path.exists(local))  # noqa: PTH110,PTH112
    if address.scheme in {"http", "https"}:
        return False
    if address.path.endswith("/") or _GLOB.search(address.path):
        return True
    return "." not in address.name and is_folder(address)


def list_files(ratings: str) -> tuple[RatingsFile, ...]:
    """List the files behind a folder or a glob.

    Args:
        ratings: Path or URI; see ``names_many``.

    Returns:
        At least one file, ordered by path.

    Raises:
        BadRatings: If there is no file of ratings, a file of another kind, or a table of another format.
        RatingsUnreachable: If an object store does not answer.
    """
    address, where = Address.parse(ratings), without_secrets(ratings)
    pattern = _GLOB.search(str(address.local or address.path))
    entries = sorted(walk(address), key=lambda entry: entry.name)
    _refuse_table_formats(entries, where)
    data = [entry for entry in entries if not _is_hidden(entry.name)]
    if not data:
        _refuse_empty(entries, where, is_glob=bool(pattern))
    if not pattern:
        _refuse_foreign(data, where)
    return tuple(RatingsFile(entry.uri, entry.name, _partitions(entry.name)) for entry in data)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(("_", ".")) and "=" not in part for part in PurePosixPath(name).parts)


def _partitions(name: str) -> dict[str, str | None]:
    found = (_PARTITION.fullmatch(folder) for folder in PurePosixPath(name).parts[:-1])
    values = {unquote(match[1]): unquote(match[2]) for match in found if match}
    return {key: None if value == _NULL_PARTITION else value for key, value in values.items()}


def _refuse_table_formats(entries: Iterable[Entry], where: str) -> None:
    for entry in entries:
        parts = PurePosixPath(entry.name).parts
        kind = next((name for mark, name in _TABLE_FORMATS.items() if mark in parts[:-1]), None)
        if entry.name.endswith(".metadata.json") and "metadata" in parts[:-1]:
            kind = "Iceberg"
        if kind is not None:
            raise BadRatings(
                f"{where}: found a table in {kind}'s format ({entry.name}), whose files also hold rows that were "
                f"replaced or deleted, expected csv or parquet files; export the table as it is now to parquet"
            )


def _refuse_empty(entries: list[Entry], where: str, *, is_glob: bool) -> None:
    if is_glob:
        raise RatingsNotFound(f"{where}: found no file that matches, expected at least one; check the pattern")
    passed_over = f" (passed over: {', '.join(entry.name for entry in entries[:3])})" if entries else ""
    raise BadRatings(
        f"{where}: found an empty directory{passed_over}, expected csv or parquet files whose names begin with neither "
        f"_ nor a dot; check the path"
    )


def _refuse_foreign(data: list[Entry], where: str) -> None:
    foreign = [entry.name for entry in data if not _looks_like_ratings(entry.name)]
    if foreign:
        shown = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
        raise BadRatings(
            f"{where}: found {len(foreign)} of {len(data)} files that are neither csv nor parquet by name ({shown}), "
            f"expected ratings files alone (names that begin with _ or a dot are passed over); move them, or pass a "
            f"glob such as {where.rstrip('/')}/*.parquet"
        )


def _looks_like_ratings(name: str) -> bool:
    path = PurePosixPath(name.lower())
    suffixes = path.suffixes
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return bool(suffixes and suffixes[-1] in _SUFFIXES) or bool(re.match(r"part[-_.]?\w", path.name))

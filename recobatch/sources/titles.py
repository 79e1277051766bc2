"""Titles of items: a csv, or MovieLens' own ``u.item`` and ``movies.dat``."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recobatch.errors import BadRatings
from recobatch.reading.columns import known_role
from recobatch.vocabulary import Vocabulary

_SIBLINGS = ("items.csv", "movies.csv", "titles.csv", "u.item", "movies.dat")
_TITLE_NAMES = frozenset(
    ("title", "name", "movietitle", "itemtitle", "producttitle", "itemname", "moviename", "productname")
)
_PARQUET = frozenset((".parquet", ".pq"))
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")


def find_titles(ratings: Path) -> Path | None:
    """The first file beside the ratings that has an id and a title for each item."""
    candidates = (ratings.parent / name for name in _SIBLINGS)
    return next((path for path in candidates if path != ratings and has_titles(path)), None)


def choose_titles(items: Path | None, beside: Path | None) -> Path | None:
    """The file that titles are read from.

    Args:
        items: A table of the items that a caller named, which need not have titles.
        beside: As ``find_titles`` returned it.
    """
    named = None if items is None else items.expanduser()
    return named if named is not None and has_titles(named) else beside


def read_titles(path: Path) -> pa.Table:
    """Read the titles of items.

    Args:
        path: A csv whose header names an id and a title, a parquet file with such columns, or a file named ``u.item``
            or ``movies.dat``.

    Returns:
        Columns ``item_id`` (int64 where every id is an integer, else string) and ``title``; the first title of an id.

    Raises:
        BadRatings: If it cannot be read, or has no such columns.
    """
    if path.suffix in _PARQUET:
        return _of_parquet(path)
    try:
        titles = dict(reversed([pair for pair in _pairs(path) if pair[0]]))
    except (OSError, csv.Error, ValueError) as error:
        raise BadRatings(
            f"{path}: found no titles ({error}), expected a csv with a header that names an item id and a title; "
            f"correct it, or move it to another folder than the ratings"
        ) from error
    ids = list(reversed(titles))
    if all(_INTEGER.fullmatch(item_id) for item_id in ids):
        item_id = pa.array([int(item_id) for item_id in ids], pa.int64())
    else:
        item_id = pa.array(ids, pa.string())
    return pa.table({"item_id": item_id, "title": pa.array([titles[item_id] for item_id in ids], pa.string())})


def with_id_type(titles: pa.Table, kind: pa.DataType) -> pa.Table:
    """The titles with ids of the type of the ratings' items, int64 or string, which the file of titles need not have.

    Args:
        titles: As ``read_titles`` returned it. An id that is no integer is left out where the items have integers.
        kind: The type.
    """
    if titles["item_id"].type == kind:
        return titles
    if pa.types.is_integer(kind):
        titles = titles.filter(pc.match_substring_regex(titles["item_id"], f"^(?:{_INTEGER.pattern})$"))
    return titles.set_column(0, "item_id", titles["item_id"].cast(kind))


def titles_of(table: pa.Table) -> pa.Table | None:
    """The titles in a table of items that is in memory; None if it names no item id or no title.

    Returns:
        As ``read_titles``; rows without an id or a title are left out.
    """
    try:
        places = _columns(table.column_names)
    except ValueError:
        return None
    ids, names = (table.column(place).combine_chunks() for place in places)
    pairs = reversed(list(zip(ids.to_pylist(), names.to_pylist(), strict=True)))
    titles = {item: str(title) for item, title in pairs if item is not None and title is not None}
    kept = list(reversed(titles))
    is_integer = bool(kept) and all(isinstance(item, int) for item in kept)
    item_id = pa.array(kept if is_integer else list(map(str, kept)), pa.int64() if is_integer else pa.string())
    return pa.table({"item_id": item_id, "title": pa.array([titles[item] for item in kept], pa.string())})


def _of_parquet(path: Path) -> pa.Table:
    try:
        titles = titles_of(pq.read_table(path, partitioning=None))
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise BadRatings(f"{path}: found no titles ({error}), expected a parquet file; correct it") from error
    if titles is None:
        raise BadRatings(f"{path}: found no titles, expected columns of an item id and a title; rename its columns")
    return titles


def has_titles(path: Path) -> bool:
    """Whether ``read_titles`` finds titles in a file; False if it cannot be read."""
    try:
        if path.suffix in _PARQUET:
            _columns(pq.read_schema(path).names)
            return True
        return next(_pairs(path), None) is not None
    except (OSError, csv.Error, ValueError, pa.ArrowException):
        return False


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    rows = _rows(path)
    if path.name in {"u.item", "movies.dat"}:
        id_column, title_column = 0, 1
    else:
        id_column, title_column = _columns(next(rows, []))
    for row in rows:
        if len(row) > max(id_column, title_column):
            yield row[id_column].strip(), row[title_column].strip()


def _rows(path: Path) -> Iterator[list[str]]:
    text = _decoded(path.read_bytes())
    if path.name == "movies.dat":
        return (line.split("::") for line in text.splitlines())
    if path.name == "u.item":
        return (line.split("|") for line in text.splitlines())
    return csv.reader(text.splitlines(keepends=True))


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _columns(header: list[str]) -> tuple[int, int]:
    plain = [re.sub(r"[\W_]+", "", name.lower()) for name in header]
    ids = [place for place, name in enumerate(header) if known_role(name) == "item" or plain[place] == "id"]
    titles = [place for place, name in enumerate(plain) if name in _TITLE_NAMES]
    if not ids or not titles:
        raise ValueError(f"its header is {', '.join(header[:5])[:120]!r}")
    return ids[0], next((place for place in titles if place != ids[0]), titles[0])


def title_order(titles: pa.Table, items: Vocabulary) -> np.ndarray | None:
    """Place of each item in the order of the titles, shape ``(len(items),)``; None where hardly any has a title.

    Args:
        titles: As ``read_titles`` returned it.
        items: Ids of the items.
    """
    if items.share_missing(titles["item_id"].combine_chunks()) == 1.0:
        return None
    found = items.find(titles["item_id"])
    place = np.full(len(items), -1)
    place[found[found >= 0]] = pc.rank(titles["title"].combine_chunks(), tiebreaker="dense").to_numpy()[found >= 0]
    return place

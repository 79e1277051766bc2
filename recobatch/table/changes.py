"""What entered, left or moved in the users' lists from one version to the next, and its check.

Lists of two versions are read side by side, by bands of users, so memory does not grow with their number.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from recobatch.errors import BadInput, BadTable
from recobatch.scoring.shards import ShardFile, described, open_shard
from recobatch.scoring.user_rows import Part
from recobatch.storage.durable import TEMPORARY, explained
from recobatch.table.banded_rows import KEYS, PLACE, BandedRows
from recobatch.table.in_order import map_in_order
from recobatch.table.manifest import FileEntry
from recobatch.table.published import Published

FOLDER = "changes"
"""Of a version, beside ``top``."""
_CELLS = 1 << 18
"""Pairs of users and items that are looked up in one array, which fits in the cache."""

_ENCODING = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["user_id", "item_id", "change", "rank", "rank_before"],
    "column_encoding": {"score": "BYTE_STREAM_SPLIT"},
    "write_statistics": ["user_id"],
}


def changes_schema(user_type: pa.DataType, item_type: pa.DataType) -> pa.Schema:
    """Columns of the changes, each with its meaning."""
    return pa.schema([
        described("user_id", user_type, "the user's id as it was in the ratings"),
        described("item_id", item_type, "the item's id as it was in the ratings"),
        described("change", pa.string(), "entered, left or moved"),
        _nullable("rank", pa.int32(), "place in the new list, from 1; null where the item left"),
        _nullable("rank_before", pa.int32(), "place in the list before; null where the item entered"),
        _nullable("score", pa.float32(), "what the new list is ranked by; null where the item left"),
    ])  # fmt: skip


def changes_between(before: Sequence[Part], now: Sequence[Part]) -> Iterator[pa.Table]:
    """The changes from one version's lists to another's, band by band, sorted by user, then rank; those that left last.

    Args:
        before: Files of lists, by first user, users ascending.
        now: Likewise, at least one; their ids are of the same types.

    Raises:
        BadTable: If a file cannot be read.
    """
    now_rows, before_rows = BandedRows(now), BandedRows(before)
    schema = changes_schema(now_rows.type_of("user_id"), now_rows.type_of("item_id"))
    bands = ((before_rows.until(last), now_rows.until(last)) for last in [*now_rows.bounds(), None])
    for _, changes in map_in_order(lambda band: _compare(*band, schema), bands):
        yield changes


def lists_of(before: Published, now: Published) -> tuple[Sequence[Part], Sequence[Part]]:
    """The lists of the champions of two versions, for ``changes_between``.

    Raises:
        BadTable: If one of them has no lists, or their ids are of different types.
    """
    lists = before.parts("top"), now.parts("top")
    for snapshot, parts in zip((before, now), lists, strict=True):
        if not parts:
            raise BadTable(
                f"{snapshot.location}: found no lists of best items, expected those of the champion; publish with "
                f"top.k above 0, or name another version"
            )
    if _types(lists[0]) != _types(lists[1]):
        raise BadTable(
            f"{now.location}: found ids of another type than in version {before.version}, expected the same ones; "
            f"read the whole lists instead"
        )
    return lists


def write_changes(
    folder: Path, version: str, before: Published | None, now: Sequence[Part], metadata: Mapping[str, str]
) -> FileEntry | None:
    """Write the changes from a published version to a staged one.

    Args:
        folder: Of the staged version.
        version: Its name.
        before: The version that readers see so far.
        now: The staged lists of the champion.
        metadata: Key-value metadata of the file.

    Returns:
        The file; None where there is nothing to compare: no version before, no lists in one of the two, or ids of
        another type.

    Raises:
        BadTable: If the lists of the version before cannot be read.
        RecobatchError: If the disk refuses.
    """
    lists = [] if before is None else before.parts("top")
    if before is None or not (lists and now):
        return None
    if _types(now) != _types(lists):
        return None
    path = folder / FOLDER / f"part-00000-{version}.parquet"
    with explained("make a folder for the changes", path.parent):
        path.parent.mkdir(exist_ok=True)
    shard = write_between(lists, now, path, {**metadata, "version": version, "since": before.version})
    return FileEntry(f"{FOLDER}/{path.name}", shard.rows, shard.sink.written, shard.sink.digest.hexdigest())


def write_between(before: Sequence[Part], now: Sequence[Part], path: Path, metadata: Mapping[str, str]) -> ShardFile:
    """Write the changes between lists as one parquet file; see ``changes_between``."""
    schema = changes_schema(*_types(now)).with_metadata(dict(metadata))
    with open_shard(path, schema, _ENCODING) as shard:
        for band in changes_between(before, now):
            shard.write(band.cast(schema), row_group_size=max(1, band.num_rows))
    return shard


def save_changes(bands: Iterator[pa.Table], target: Path) -> None:
    """Write changes as one csv or parquet file, which appears under its name when it is whole.

    Raises:
        BadInput: If the name ends in neither.
        RecobatchError: If the disk refuses.
    """
    if target.suffix not in (".csv", ".parquet"):
        raise BadInput(f"--to: found {target.name!r}, expected a name that ends in .csv or .parquet; correct it")
    first = next(bands)
    unfinished = target.with_name(f"{TEMPORARY}{target.name}-{secrets.token_hex(4)}")
    writer_of = csv.CSVWriter if target.suffix == ".csv" else pq.ParquetWriter
    try:
        with explained("write the changes", target, outcome="nothing was written"):
            with writer_of(unfinished, first.schema) as writer:
                for band in (first, *bands):
                    writer.write_table(band)
            unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def check_changes(before: Published, now: Published) -> list[str]:
    """Apply the changes of a version to the lists before it; the result must be the lists that it has.

    Returns:
        Problems, one line each, at most one.
    """
    changes = now.files(FOLDER)
    if not changes:
        return []
    now_rows, before_rows, changed = (BandedRows(parts) for parts in (now.parts("top"), before.parts("top"), changes))
    for last in [*now_rows.bounds(), None]:
        expected = now_rows.until(last).select([*PLACE])
        applied = _apply(before_rows.until(last), changed.until(last))
        if not applied.equals(expected):
            where = "the end" if last is None else f"user {last}"
            return [
                f"{FOLDER}: found changes that do not turn the lists of version {before.version} into those of "
                f"{now.version} (before {where}), expected them to"
            ]
    return []


def _compare(before: pa.Table, now: pa.Table, schema: pa.Schema) -> pa.Table:
    """Changes between the lists of some users, each sorted by user, then rank; a join takes three times as long."""
    n = now.num_rows
    ids = [pa.chunked_array([*now[key].chunks, *before[key].chunks], schema.field(key).type) for key in KEYS]
    user, item = _ascending_codes(ids[0]), ids[1].combine_chunks().dictionary_encode().indices.to_numpy()
    rank = np.concatenate([each["rank"].to_numpy() for each in (now, before)])
    was = _find_pairs(user, item, n)
    rank_before = np.where(was < 0, np.int32(0), rank[was])
    has_left = np.ones(before.num_rows, dtype=bool)
    has_left[was[was >= 0] - n] = False
    rows = np.concatenate([np.flatnonzero(rank_before != rank[:n]), n + np.flatnonzero(has_left)])
    rows = rows[np.argsort(user[rows], kind="stable")]
    left, rank_before = rows >= n, np.concatenate([rank_before, rank[n:]])[rows]
    kind = pa.array(np.where(left, 1, np.where(rank_before == 0, 0, 2)))
    scores = now["score"] if "score" in now.column_names else pa.nulls(n, pa.float32())  # not in early releases
    return pa.table(
        [
            *(each.take(pa.array(rows)) for each in ids), pa.array(["entered", "left", "moved"]).take(kind),
            pa.array(rank[rows], mask=left), pa.array(rank_before, mask=rank_before == 0),
            scores.take(pa.array(np.where(left, 0, rows), mask=left)),
        ],
        schema=schema,
    )  # fmt: skip


def _ascending_codes(ids: pa.ChunkedArray) -> np.ndarray:
    """A number for each id, int64, which ascends with the ids."""
    coded = ids.combine_chunks().dictionary_encode()
    order = pc.array_sort_indices(coded.dictionary).to_numpy()
    codes = np.empty(len(order), dtype=np.int64)
    codes[order] = np.arange(len(order))
    return codes[coded.indices.to_numpy()]


def _find_pairs(user: np.ndarray, item: np.ndarray, n: int) -> np.ndarray:
    """Place of each of the first ``n`` pairs among the pairs that follow, -1 where it is not there.

    Args:
        user: Codes, which ascend among the first ``n`` and among the others.
        item: Codes from 0.
        n: Number of pairs that are looked up.
    """
    found, n_items = np.full(n, -1), int(item.max(initial=0)) + 1
    some = max(1, _CELLS // n_items)
    places = np.full(some * n_items, -1)
    cell = user % some * n_items + item
    for first in range(0, int(user.max(initial=-1)) + 1, some):
        ends = first, first + some
        now, before = slice(*np.searchsorted(user[:n], ends)), slice(*(n + np.searchsorted(user[n:], ends)))
        places[cell[before]] = np.arange(before.start, before.stop)
        found[now] = places[cell[now]]
        places[cell[before]] = -1
    return found


def _apply(before: pa.Table, changes: pa.Table) -> pa.Table:
    stays = before.select(PLACE).join(changes.select(KEYS), keys=KEYS, join_type="left anti")
    placed = changes.filter(pc.not_equal(changes["change"], "left")).select(PLACE)
    applied = pa.concat_tables([stays.cast(before.select(PLACE).schema), placed.cast(before.select(PLACE).schema)])
    return applied.sort_by([("user_id", "ascending"), ("rank", "ascending")]).combine_chunks()


def _types(parts: Sequence[Part]) -> tuple[pa.DataType, ...]:
    rows = BandedRows(parts[:1])
    return tuple(rows.type_of(key) for key in KEYS)


def _nullable(name: str, type_: pa.DataType, meaning: str) -> pa.Field:
    return described(name, type_, meaning).with_nullable(True)

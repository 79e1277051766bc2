"""Whether a published snapshot is what its manifest says, down to every pair."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recobatch.table.layout import CHAMPION, MANIFEST
from recobatch.table.manifest import FileEntry, Manifest
from recobatch.table.snapshots import Snapshot
from recobatch.vocabulary import Vocabulary


@dataclass(frozen=True)
class VerifyReport:
    """What a check of a snapshot found."""

    version: str
    files: int
    rows: int
    """Predictions, over all models."""
    bytes: int
    """Of all files."""
    problems: tuple[str, ...]
    """One line each; none if the snapshot is whole."""

    @property
    def ok(self) -> bool:
        return not self.problems


def verify_snapshot(snapshot: Snapshot) -> VerifyReport:
    """Read every byte and every pair of a snapshot.

    Checks that exactly the files of the manifest are there; the bytes, sha256, rows and columns of each; and that each
    model's files hold, in order, every user of its vocabulary with every item of its vocabulary once.
    """
    manifest = snapshot.manifest
    problems = check_files(snapshot)
    if not problems:
        for model in manifest.models:
            problems += _check_pairs(snapshot, model)
    return VerifyReport(
        snapshot.version,
        len(manifest.files),
        sum(facts.rows for facts in manifest.models.values()),
        sum(entry.bytes for entry in manifest.files),
        tuple(problems),
    )


def check_files(snapshot: Snapshot) -> list[str]:
    """Hold the names, bytes, sha256, rows and columns of every file to the manifest; one line per problem."""
    problems = _check_names(snapshot)
    for entry in snapshot.manifest.files:
        problems += _check_file(snapshot.path / entry.path, entry, snapshot.manifest)
    return problems


def _check_names(snapshot: Snapshot) -> list[str]:
    listed = {entry.path for entry in snapshot.manifest.files} | {MANIFEST, CHAMPION}
    there = {
        path.relative_to(snapshot.path).as_posix()
        for path in snapshot.path.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    problems = [f"{name}: found no such file, required as the manifest lists it" for name in sorted(listed - there)]
    problems += [f"{name}: found a file that the manifest does not list" for name in sorted(there - listed)]
    champion, wanted = snapshot.path / CHAMPION, f"table/model={snapshot.champion}"
    if champion.is_symlink() and champion.readlink().as_posix() != wanted:
        problems.append(f"{CHAMPION}: found a link to {champion.readlink()}, required {wanted}")
    return problems


def _check_file(path: Path, entry: FileEntry, manifest: Manifest) -> list[str]:
    if not path.is_file():
        return []  # told already
    if (size := path.stat().st_size) != entry.bytes:
        return [f"{entry.path}: found {size:,} bytes, required {entry.bytes:,}"]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != entry.sha256:
        return [f"{entry.path}: found sha256 {digest[:12]}…, required {entry.sha256[:12]}…"]
    footer = pq.read_metadata(path)
    if footer.num_rows != entry.rows:
        return [f"{entry.path}: found {footer.num_rows:,} rows, required {entry.rows:,}"]
    if entry.path.startswith("table/"):
        found = [(field.name, str(field.type)) for field in footer.schema.to_arrow_schema()]
        required = [(column.name, column.type) for column in manifest.columns]
        if found != required:
            return [f"{entry.path}: found columns {found}, required {required}"]
    return []


def _check_pairs(snapshot: Snapshot, model: str) -> list[str]:
    """Hold the pairs in the files to the vocabularies' fingerprints: user by user, every item once, in order."""
    facts, place = snapshot.manifest.models[model], f"table/model={model}"
    users: list[pa.Array] = []
    items: pa.Array | None = None
    pending: list[pa.Table] = []
    rows = 0
    for entry in sorted(e.path for e in snapshot.manifest.files if e.path.startswith(place + "/")):
        file = pq.ParquetFile(snapshot.path / entry)
        for group in range(file.num_row_groups):
            block = file.read_row_group(group, columns=["user_id", "item_id"])
            rows += block.num_rows
            pending.append(block)
            if items is None:
                items = _first_run(pa.concat_tables(pending))
                if items is None:
                    continue
            pending, problem = _consume(pa.concat_tables(pending), items, users)
            if problem:
                return [f"{entry}: {problem}"]
    if items is None:
        items = pa.concat_tables(pending)["item_id"].combine_chunks()
        pending, problem = _consume(pa.concat_tables(pending), items, users)
    problems = []
    if pending and sum(block.num_rows for block in pending):
        problems.append(f"{place}: found a last user with too few items")
    if rows != facts.rows:
        problems.append(f"{place}: found {rows:,} rows, required {facts.rows:,}")
    for kind, ids, required in (
        ("users", pa.concat_arrays(users), facts.users_fingerprint),
        ("items", items, facts.items_fingerprint),
    ):
        if Vocabulary(ids).fingerprint != required:
            problems.append(f"{place}: found {len(ids):,} {kind} that are not those of the model's vocabulary")
    return problems


def _first_run(rows: pa.Table) -> pa.Array | None:
    """Items of the first user, once the next user has begun."""
    users = rows["user_id"].combine_chunks()
    others = pc.index(pc.not_equal(users, users[0]), True).as_py()
    return rows["item_id"].combine_chunks().slice(0, others) if others >= 0 else None


def _consume(rows: pa.Table, items: pa.Array, users: list[pa.Array]) -> tuple[list[pa.Table], str | None]:
    """Take whole users off the front of ``rows``, add them to ``users`` and hand back what is left."""
    n_items, whole = len(items), rows.num_rows // len(items)
    block = rows.slice(0, whole * n_items)
    if not whole:
        return [rows], None
    user_column, item_column = block["user_id"].combine_chunks(), block["item_id"].combine_chunks()
    heads = user_column.take(pa.array(np.arange(whole) * n_items))
    if not user_column.equals(heads.take(pa.array(np.repeat(np.arange(whole), n_items)))):
        return (
            [],
            f"found users between {heads[0]} and {heads[-1]} without {n_items:,} rows each, required all items once",
        )
    if not item_column.equals(items.take(pa.array(np.tile(np.arange(n_items), whole)))):
        return [], f"found users between {heads[0]} and {heads[-1]} with other items, required all items once, in order"
    users.append(heads)
    return [rows.slice(whole * n_items)] if rows.num_rows > whole * n_items else [], None

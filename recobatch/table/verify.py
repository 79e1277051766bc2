"""Compare a published snapshot with its manifest, down to every pair."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from recobatch.errors import BadTable
from recobatch.table.changes import FOLDER as CHANGES
from recobatch.table.changes import check_changes
from recobatch.table.layout import MANIFEST
from recobatch.table.list_check import ListCheck
from recobatch.table.manifest import FileEntry, Manifest
from recobatch.table.pairs import PairCheck
from recobatch.table.published import Published


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

    @classmethod
    def of(cls, manifest: Manifest, problems: Sequence[str]) -> "VerifyReport":
        rows = sum(facts.rows for facts in manifest.models.values())
        size = sum(entry.bytes for entry in manifest.files)
        return cls(manifest.version, len(manifest.files), rows, size, tuple(problems))

    @property
    def ok(self) -> bool:
        return not self.problems


def verify_snapshot(snapshot: Published) -> VerifyReport:
    """Read every byte and every pair of a snapshot.

    Checks that exactly the files of the manifest are there; the bytes, sha256, rows and columns of each; and that each
    model's files hold, in order, every user of its vocabulary with every item of its vocabulary once; that every
    interval holds its prediction; and that the changes turn the lists of the version before, if it is still kept, into
    the lists of this one. A file in an
    object store is copied to the folder for temporary files while it is checked, one at a time.
    """
    problems = check_sizes(snapshot)
    if not problems or not snapshot.store.is_remote:
        problems += _check_contents(snapshot, with_pairs=not problems)
    return VerifyReport.of(snapshot.manifest, problems)


def check_files(snapshot: Published) -> list[str]:
    """Compare the names, bytes, sha256, rows and columns of every file with the manifest; one line per problem."""
    return check_sizes(snapshot) + _check_contents(snapshot, with_pairs=False)


def check_sizes(snapshot: Published) -> list[str]:
    """Compare the names and bytes of every file with the manifest without reading any; one line per problem."""
    found = snapshot.store.sizes(snapshot.version)
    listed = {entry.path: entry.bytes for entry in snapshot.manifest.files}
    there, expected = found.keys() - {MANIFEST}, listed.keys()
    missing = sorted(expected - there) + ([] if MANIFEST in found else [MANIFEST])
    return [
        *(f"{name}: found no such file, expected as the manifest lists it" for name in missing),
        *(f"{name}: found a file that the manifest does not list" for name in sorted(there - expected)),
        *snapshot.store.check_links(snapshot.manifest),
        *(
            f"{name}: found {found[name]:,} bytes, expected {size:,}"
            for name, size in listed.items()
            if name in found and found[name] != size
        ),
    ]


def _check_contents(snapshot: Published, *, with_pairs: bool) -> list[str]:
    """Read every file that has its size; pairs are only of interest where nothing else is wrong."""
    manifest, found = snapshot.manifest, snapshot.store.sizes(snapshot.version)
    problems: list[str] = []
    pairs = {name: PairCheck() if manifest.main == "table" else ListCheck() for name in manifest.models}
    for entry in sorted(manifest.files, key=lambda file: file.path):
        _check_name(snapshot, entry.path)
        if found.get(entry.path) != entry.bytes:
            continue  # reported with the names and sizes
        with snapshot.store.local_copy(snapshot.name_of(entry.path)) as path:
            problems += _check_file(path, entry, manifest)
            if with_pairs and not problems and entry.path.startswith(f"{manifest.main}/model="):
                problems += _check_pairs(path, entry.path, pairs[_model_of(entry.path)])
    if with_pairs and not problems:
        for model, check in pairs.items():
            problems += [
                f"{manifest.main}/model={model}: {problem}" for problem in check.finish(manifest.models[model])
            ]
        problems += [] if problems else _check_changes(snapshot)
    return problems


def _check_changes(snapshot: Published) -> list[str]:
    """Apply the changes to the lists of the version before, as long as that one is still there."""
    parent = snapshot.manifest.parent
    if parent is None or not snapshot.files(CHANGES):
        return []
    try:
        before = Published.open(snapshot.store, parent)
        return check_changes(before, snapshot)
    except BadTable:  # it was removed since, or is damaged itself
        return []


def _check_name(snapshot: Published, name: str) -> None:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise BadTable(
            f"{snapshot.location}: found a manifest that lists {name!r}, expected names within the snapshot; "
            f"roll back to another snapshot"
        )


def _check_file(path: Path, entry: FileEntry, manifest: Manifest) -> list[str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != entry.sha256:
        return [f"{entry.path}: found sha256 {digest[:12]}…, expected {entry.sha256[:12]}…"]
    if not entry.path.endswith(".parquet"):
        return []
    footer = pq.read_metadata(path)
    if footer.num_rows != entry.rows:
        return [f"{entry.path}: found {footer.num_rows:,} rows, expected {entry.rows:,}"]
    if entry.path.startswith(f"{manifest.main}/"):
        found = [(field.name, str(field.type)) for field in footer.schema.to_arrow_schema()]
        expected = [(column.name, column.type) for column in manifest.columns]
        if found != expected:
            return [f"{entry.path}: found columns {found}, expected {expected}"]
    return _check_bounds(path, entry.path) if entry.path.startswith("top/") else []


def _check_bounds(path: Path, name: str) -> list[str]:
    """``lower_90 <= prediction <= upper_90``, where the file has these columns."""
    file = pq.ParquetFile(path)
    if not {"lower_90", "upper_90"} <= set(file.schema_arrow.names):
        return []
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, columns=["lower_90", "prediction", "upper_90"])
        held = pc.and_(
            pc.less_equal(rows["lower_90"], rows["prediction"]), pc.less_equal(rows["prediction"], rows["upper_90"])
        )
        if outside := rows.num_rows - (pc.sum(held).as_py() or 0):
            return [f"{name}: found {outside:,} predictions outside of their intervals, expected none"]
    return []


def _check_pairs(path: Path, name: str, pairs: PairCheck | ListCheck) -> list[str]:
    """Compare the pairs in a model's file with those of the files before it."""
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        problem = pairs.take(file.read_row_group(group, columns=[*pairs.columns]))
        if problem:
            return [f"{name}: {problem}"]
    return []


def _model_of(name: str) -> str:
    return name.split("/")[1].removeprefix("model=")

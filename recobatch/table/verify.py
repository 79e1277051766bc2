"""Whether a published snapshot is what its manifest says, down to every pair."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from recobatch.table.layout import CHAMPION, MANIFEST
from recobatch.table.manifest import FileEntry, Manifest
from recobatch.table.pairs import PairCheck
from recobatch.table.snapshots import Snapshot


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
    return VerifyReport.of(manifest, problems)


def check_sizes(snapshot: Snapshot) -> list[str]:
    """Hold the names and bytes of every file to the manifest without reading any; one line per problem."""
    wrong = (_check_size(snapshot.path / entry.path, entry) for entry in snapshot.manifest.files)
    return _check_names(snapshot) + [problem for problem in wrong if problem]


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
    problems = [f"{name}: found no such file, expected as the manifest lists it" for name in sorted(listed - there)]
    problems += [f"{name}: found a file that the manifest does not list" for name in sorted(there - listed)]
    champion, wanted = snapshot.path / CHAMPION, f"table/model={snapshot.champion}"
    if champion.is_symlink() and champion.readlink().as_posix() != wanted:
        problems.append(f"{CHAMPION}: found a link to {champion.readlink()}, expected {wanted}")
    return problems


def _check_size(path: Path, entry: FileEntry) -> str | None:
    # A file that is not there is told by its name.
    if not path.is_file() or (size := path.stat().st_size) == entry.bytes:
        return None
    return f"{entry.path}: found {size:,} bytes, expected {entry.bytes:,}"


def _check_file(path: Path, entry: FileEntry, manifest: Manifest) -> list[str]:
    if not path.is_file():
        return []  # told already
    if (problem := _check_size(path, entry)) is not None:
        return [problem]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != entry.sha256:
        return [f"{entry.path}: found sha256 {digest[:12]}…, expected {entry.sha256[:12]}…"]
    footer = pq.read_metadata(path)
    if footer.num_rows != entry.rows:
        return [f"{entry.path}: found {footer.num_rows:,} rows, expected {entry.rows:,}"]
    if entry.path.startswith("table/"):
        found = [(field.name, str(field.type)) for field in footer.schema.to_arrow_schema()]
        expected = [(column.name, column.type) for column in manifest.columns]
        if found != expected:
            return [f"{entry.path}: found columns {found}, expected {expected}"]
    return []


def _check_pairs(snapshot: Snapshot, model: str) -> list[str]:
    """Hold the pairs in a model's files to its vocabularies' fingerprints."""
    place, pairs = f"table/model={model}", PairCheck()
    for name in sorted(entry.path for entry in snapshot.manifest.files if entry.path.startswith(f"{place}/")):
        file = pq.ParquetFile(snapshot.path / name)
        for group in range(file.num_row_groups):
            problem = pairs.take(file.read_row_group(group, columns=["user_id", "item_id"]))
            if problem:
                return [f"{name}: {problem}"]
    return [f"{place}: {problem}" for problem in pairs.finish(snapshot.manifest.models[model])]

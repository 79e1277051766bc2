"""A snapshot before it is published in one step: consumers never read where it is staged."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.errors import BadSettings, BadTable, RecobatchError
from recobatch.scoring.columns import with_field_ids
from recobatch.scoring.shards import ShardReport
from recobatch.storage.durable import explained
from recobatch.table.changes import write_changes
from recobatch.table.layout import CHAMPION, CHAMPION_TOP, ITEMS, MANIFEST, TITLES, USERS, VERSIONS, safe_name
from recobatch.table.manifest import Column, FileEntry, Manifest, ModelEntry, ModelFacts
from recobatch.table.published import Published
from recobatch.table.session import Session
from recobatch.table.staged import StagedFiles
from recobatch.table.store import Store
from recobatch.table.views import view_files

_AT_ONCE = 8
"""Footers that are fetched from an object store at the same time."""


@dataclass(frozen=True, eq=False)
class Staging:
    """One version that is staged: its small files in a folder on this machine, its shards where ``files`` puts them."""

    files: StagedFiles
    version: str
    store: Store
    """Where it will be published."""
    exclusive: Callable[[str], AbstractContextManager[Session]]
    """Locks the table for a holder, unless this process holds it already."""

    @property
    def path(self) -> Path:
        """Folder on this machine."""
        return self.files.path

    def shard_path(self, model: str, shard: int) -> Path:
        """Where shard number ``shard`` of a model's predictions is to be written.

        Raises:
            BadSettings: If the model's name cannot be part of a path.
        """
        return self._part("table", model, shard)

    def top_path(self, model: str, part: int) -> Path:
        """Where part number ``part`` of a model's best items is to be written."""
        return self._part("top", model, part)

    def _part(self, table: str, model: str, number: int) -> Path:
        folder = self.files.place(f"{table}/model={safe_name('model', model)}")
        return folder / f"part-{number:05d}-{self.version}.parquet"

    def publish(
        self,
        models: Mapping[str, ModelEntry],
        *,
        champion: str,
        expected_rows: int,
        extra: Mapping[str, Any] | None = None,
        titles: pa.Table | None = None,
        users: pa.Table | None = None,
        items: pa.Table | None = None,
        iceberg: bool = False,
    ) -> Published:
        """Check what was staged against what was expected, and make it the table that readers see.

        Args:
            models: By name, everything that was written; every file under the folder must be accounted for.
            champion: Which of them ``champion`` points at.
            expected_rows: Rows of each model: users × items, or those of its lists where there is nothing else.
            extra: JSON to keep in the manifest.
            titles: ``item_id`` and ``title``, for people to read.
            users: What is known of each user.
            items: What is known of each item.
            iceberg: Whether Iceberg's metadata of the champion's predictions and lists are written too; they need
                recobatch[iceberg].

        Raises:
            BadSettings: If the champion is not among the models.
            TableBusy: If another run is writing, or has published since this one began.
            RecobatchError: If a file is missing, cut off or of the wrong size, or the disk refuses; the table that
                stood before still stands.
        """
        if champion not in models:
            raise BadSettings(f"champion: found {champion!r}, expected one of {', '.join(sorted(models))}")
        with self.exclusive(f"publish {self.version}") as session:
            try:
                columns = self._check(models, expected_rows)
            except RecobatchError:
                session.check_unmoved()  # a rival that took this run for dead may have removed its files
                raise
            files = [self._entry(report) for entry in models.values() for report in (*entry.shards, *entry.top)]
            said = {"version": self.version, "model": champion, "mlflow_run_id": models[champion].mlflow_run_id}
            beside = {TITLES: _checked_titles(titles), USERS: users, ITEMS: items}
            files += [self._write(name, table, said) for name, table in beside.items() if table is not None]
            if (changes := self._write_changes(models[champion], session.catalog.version)) is not None:
                files.append(changes)
            files += self._write_views(files, champion, columns)
            files += self._write_iceberg(models[champion]) if iceberg else []
            manifest = Manifest(
                self.version, session.catalog.next_sequence, datetime.now(UTC).isoformat(timespec="seconds"), champion,
                columns, {name: ModelFacts.of(entry) for name, entry in models.items()}, tuple(files),
                dict(extra or {}), session.catalog.version or None,
            )  # fmt: skip
            with explained("finish the snapshot", self.path):
                (self.path / MANIFEST).write_bytes(manifest.dump())
                self._link(CHAMPION, _main(models[champion]), champion)
                if models[champion].top:
                    self._link(CHAMPION_TOP, "top", champion)
            session.publish(self.path, manifest)
        return Published(manifest, self.store)

    def discard(self) -> None:
        """Remove what was staged; what cannot be removed now is removed by the next run."""
        self.files.discard()

    def _check(self, models: Mapping[str, ModelEntry], expected_rows: int) -> tuple[Column, ...]:
        reports = [report for entry in models.values() for report in (*entry.shards, *entry.top)]
        sizes = self.files.sizes()
        with ThreadPoolExecutor(_AT_ONCE if self.store.is_remote else 1) as pool:
            columns = pool.map(lambda report: self._check_file(report, sizes), reports)
            found = dict(zip((report.path for report in reports), columns, strict=True))
        for name, entry in models.items():
            _check_cover(Path(_main(entry)) / f"model={name}", entry.published, expected_rows)
        if stray := sizes.keys() - found.keys():
            _refuse(sorted(stray)[0], "a file that no report accounts for", "none")
        schemas = {found[report.path] for entry in models.values() for report in entry.published}
        if len(schemas) != 1:
            _refuse(self.path, f"{len(schemas)} different schemas", "one schema in every file")
        return schemas.pop()

    def _check_file(self, report: ShardReport, sizes: Mapping[Path, int]) -> tuple[Column, ...]:
        """Compare a file's size and footer with its report."""
        if not report.path.is_relative_to(self.path):
            _refuse(report.path, "a file outside the staging folder", f"one within {self.path}")
        if (size := sizes.get(report.path)) is None:
            _refuse(report.path, "no readable parquet file (it is not there)", f"{report.rows:,} rows")
        try:
            footer = pq.read_metadata(self.files.open(report.path, size))
        except (OSError, pa.ArrowException) as error:
            _refuse(report.path, f"no readable parquet file ({error})", f"{report.rows:,} rows")
        if (size, footer.num_rows) != (report.bytes, report.rows):
            _refuse(
                report.path,
                f"{footer.num_rows:,} rows in {size:,} bytes",
                f"{report.rows:,} rows in {report.bytes:,} bytes",
            )
        return tuple(Column(field.name, str(field.type)) for field in footer.schema.to_arrow_schema())

    def _entry(self, report: ShardReport) -> FileEntry:
        return FileEntry(report.path.relative_to(self.path).as_posix(), report.rows, report.bytes, report.sha256)

    def _write(self, name: str, table: pa.Table, said: Mapping[str, str]) -> FileEntry:
        """Write a file beside the manifest, with key-value metadata."""
        path = self.path / name
        schema = with_field_ids(table.schema).with_metadata(dict(said))
        with explained(f"write {name}", path):
            pq.write_table(table.cast(schema), path, compression="zstd")
            content = path.read_bytes()
        return _entry_of(name, content, table.num_rows)

    def _write_changes(self, champion: ModelEntry, current: str) -> FileEntry | None:
        """What changes in the lists that readers see; None where there is nothing to compare."""
        try:
            before = Published.open(self.store, current) if current else None
            about = {"model": champion.name, "mlflow_run_id": champion.mlflow_run_id}
            about |= {"model_before": before.champion} if before else {}
            lists = [self.files.open(report.path, report.bytes) for report in champion.top]
            return write_changes(self.path, self.version, before, lists, about)
        except BadTable:  # a table that cannot be read must not prevent its replacement
            return None

    def _write_views(self, files: Sequence[FileEntry], champion: str, columns: Sequence[Column]) -> list[FileEntry]:
        """SQL that names the version's place after publishing."""
        item_type = next(column.type for column in columns if column.name == "item_id")
        texts = view_files(
            self._place, version=self.version, champion=champion, files=[entry.path for entry in files],
            item_type=item_type,
        )  # fmt: skip
        with explained("write the views", self.path):
            return [self._write_text(name, text.encode()) for name, text in texts.items()]

    def _write_iceberg(self, champion: ModelEntry) -> list[FileEntry]:
        from recobatch.table.iceberg import write_iceberg  # lazy: an optional extra

        parts = {"predictions": champion.shards, "top": champion.top}
        tables = {
            name: {report.path.relative_to(self.path).as_posix(): report.bytes for report in reports}
            for name, reports in parts.items()
            if reports
        }
        place = self._place if self.store.is_remote else f"file://{self._place}"  # no engine decodes such a path
        with explained("write Iceberg's metadata", self.path):
            names = write_iceberg(self.path, place, tables, lambda name: self.files.open(self.path / name))
            return [_entry_of(name, (self.path / name).read_bytes()) for name in names]

    @property
    def _place(self) -> str:
        """Path or URI of the version after publishing."""
        root = self.store.location if self.store.is_remote else str(Path(self.store.location).resolve())
        return f"{root}/{VERSIONS}/{self.version}"

    def _write_text(self, name: str, content: bytes) -> FileEntry:
        (self.path / name).write_bytes(content)
        return _entry_of(name, content)

    def _link(self, name: str, table: str, champion: str) -> None:
        link = self.path / name
        link.unlink(missing_ok=True)
        link.symlink_to(Path(table) / f"model={champion}")


def _entry_of(name: str, content: bytes, rows: int = 0) -> FileEntry:
    return FileEntry(name, rows, len(content), hashlib.sha256(content).hexdigest())


def _checked_titles(titles: pa.Table | None) -> pa.Table | None:
    if titles is not None and titles.column_names != ["item_id", "title"]:
        raise BadTable(f"titles: found columns {titles.column_names}, expected item_id and title; rename them")
    return titles


def _main(entry: ModelEntry) -> str:
    return "table" if entry.shards else "top"


def _check_cover(place: Path, shards: Sequence[ShardReport], expected_rows: int) -> None:
    """Every user once: the shards' ranges follow on each other, and their rows are as many as expected."""
    rows, next_user = 0, 0
    for report in shards:
        if report.first_user != next_user:
            _refuse(place, f"a shard that begins at user {report.first_user}", f"one that begins at user {next_user}")
        rows, next_user = rows + report.rows, report.last_user + 1
    if rows != expected_rows:
        _refuse(place, f"{rows:,} rows", f"{expected_rows:,}: one for every user and item, or listed item")


def _refuse(path: Path, found: str, expected: str) -> NoReturn:
    raise RecobatchError(f"{path}: found {found}, expected {expected}; nothing was published, run again")

"""Iceberg's metadata beside a version, over the very files of the snapshot, for engines that read Iceberg tables.

pyiceberg writes it. The metadata name where the files will lie; until then they are staged elsewhere, which
``_StagedIO`` hides from it.
"""

import uuid
from collections.abc import Callable, Mapping
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.io import FileIO, InputFile, OutputFile
from pyiceberg.io.pyarrow import pyarrow_to_schema
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.serializers import ToOutputFile
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.metadata import TableMetadata, TableMetadataV2
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import update_table_metadata

ICEBERG = "iceberg"
"""Folder of a version: one table of Iceberg in each folder below it."""
_METADATA = "metadata/v1.metadata.json"
_HINT = "metadata/version-hint.text"
"""By it an engine that is given the table's folder finds the file above."""
# It warns of every column without statistics: floats and booleans have none in our files, as nobody prunes by them.
getLogger("pyiceberg.io.pyarrow").setLevel(ERROR)


def write_iceberg(
    folder: Path, location: str, tables: Mapping[str, Mapping[str, int]],
    open_file: Callable[[str], Path | pa.NativeFile],
) -> list[str]:  # fmt: skip
    """Write the metadata of tables over files that will lie at ``location``.

    Args:
        folder: Of this machine, where the metadata are staged.
        location: URI of the version after publishing.
        tables: Name → its parquet files relative to the version, each with its bytes.
        open_file: From such a name to the file as it is now.

    Returns:
        Names of what was written, relative to ``folder``.
    """
    for name, files in tables.items():
        io = _StagedIO(folder, location, files, open_file)
        schema = pyarrow_to_schema(pq.read_schema(open_file(next(iter(files)))))
        place = f"{location}/{ICEBERG}/{name}"
        empty = TableMetadataV2(
            location=place, table_uuid=uuid.uuid4(), schemas=[schema], current_schema_id=schema.schema_id,
            last_column_id=schema.highest_field_id, partition_specs=[UNPARTITIONED_PARTITION_SPEC],
            default_spec_id=0, last_partition_id=999, sort_orders=[UNSORTED_SORT_ORDER], default_sort_order_id=0,
        )  # fmt: skip
        table = Table(("recobatch", name), empty, f"{place}/{_METADATA}", io, _Once(ICEBERG))
        table.add_files([f"{location}/{each}" for each in files], check_duplicate_files=False)
        (folder / ICEBERG / name / _HINT).write_text("1")
    return sorted(path.relative_to(folder).as_posix() for path in (folder / ICEBERG).rglob("*") if path.is_file())


class _Once(NoopCatalog):
    """Writes the one commit of a table whose metadata did not exist before."""

    def commit_table(self, table: Table, requirements: Any, updates: Any) -> CommitTableResponse:  # noqa: ANN401
        metadata: TableMetadata = update_table_metadata(table.metadata, updates)
        ToOutputFile.table_metadata(metadata, table.io.new_output(table.metadata_location))
        return CommitTableResponse.model_validate({"metadata": metadata, "metadata-location": table.metadata_location})


class _StagedIO(FileIO):
    """Reads and writes, at the places where files are staged, what is named by where it will lie."""

    def __init__(
        self, folder: Path, location: str, sizes: Mapping[str, int], open_file: Callable[[str], Path | pa.NativeFile]
    ) -> None:
        super().__init__({})
        self._folder, self._location, self._sizes, self._open = folder, location, sizes, open_file

    def new_input(self, location: str) -> InputFile:
        name = location.removeprefix(f"{self._location}/")
        if name in self._sizes:
            return _Input(location, self._sizes[name], lambda: self._open(name))
        path = self._folder / name
        return _Input(location, path.stat().st_size, lambda: path)

    def new_output(self, location: str) -> OutputFile:
        return _Output(location, self._folder / location.removeprefix(f"{self._location}/"))

    def delete(self, location: str | InputFile | OutputFile) -> None:
        raise NotImplementedError  # nothing is ever replaced


class _Input(InputFile):
    def __init__(self, location: str, size: int, open_file: Callable[[], Path | pa.NativeFile]) -> None:
        super().__init__(location)
        self._size, self._open = size, open_file

    def __len__(self) -> int:
        return self._size

    def exists(self) -> bool:
        return True

    def open(self, seekable: bool = True) -> Any:  # noqa: ANN401 - pyiceberg's signature
        found = self._open()
        return found if isinstance(found, pa.NativeFile) else pa.OSFile(str(found), "rb")


class _Output(OutputFile):
    def __init__(self, location: str, path: Path) -> None:
        super().__init__(location)
        self._path = path

    def __len__(self) -> int:
        return self._path.stat().st_size

    def exists(self) -> bool:
        return self._path.exists()

    def to_input_file(self) -> InputFile:
        return _Input(self.location, len(self), lambda: self._path)

    def create(self, overwrite: bool = False) -> Any:  # noqa: ANN401 - pyiceberg's signature
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self._path.open("wb" if overwrite else "xb")

"""The files of a version that is staged, as whoever writes them needs them: this process, or a worker elsewhere."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from recobatch.scoring.shards import ShardReport
from recobatch.storage.durable import explained, remove
from recobatch.table.resume import keep_report, kept_report


class StagedFiles(Protocol):
    """Where the shards of one version are written; another process gets a copy and writes to the same place.

    A shard is named by its path below ``path``, whether or not a file ever lies there.
    """

    @property
    def path(self) -> Path:
        """Folder on this machine for the small files of the version."""

    def place(self, folder: str) -> Path:
        """Path of a folder of shards, made where files lie there.

        Raises:
            RecobatchError: If the disk refuses.
        """

    def once(self, out: Path, write: Callable[[Path], ShardReport]) -> tuple[ShardReport, bool]:
        """Write a shard and note that it is finished, unless an earlier attempt did.

        Args:
            out: The shard.
            write: Writes it to the given path, whose name is that of ``out``, and reports.

        Returns:
            The report, whose path is ``out``; and whether it is that of an earlier attempt.

        Raises:
            RecobatchError: If the disk or the object store refuses.
        """

    def sizes(self) -> dict[Path, int]:
        """Bytes of every shard that is there."""

    def open(self, out: Path, size: int | None = None) -> Path | pa.NativeFile:
        """A shard for pyarrow to read; its bytes, where they are known, spare a request."""

    def discard(self) -> None:
        """Remove everything, as far as that is possible now."""


@dataclass(frozen=True)
class FolderFiles:
    """Shards in a staging folder, which is renamed when it is published."""

    path: Path

    def place(self, folder: str) -> Path:
        made = self.path / folder
        with explained("make a folder for the predictions", made):
            made.mkdir(parents=True, exist_ok=True)
        return made

    def once(self, out: Path, write: Callable[[Path], ShardReport]) -> tuple[ShardReport, bool]:
        if (report := kept_report(self.path, out)) is not None:
            return report, True
        report = write(out)
        keep_report(self.path, report)
        return report, False

    def sizes(self) -> dict[Path, int]:
        paths = (path for table in ("table", "top") for path in (self.path / table).rglob("*"))
        return {path: path.stat().st_size for path in paths if path.is_file()}

    def open(self, out: Path, size: int | None = None) -> Path:
        return out

    def discard(self) -> None:
        with suppress(OSError):
            remove(self.path)

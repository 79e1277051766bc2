"""The folder of stage outputs, which are reused where they are whole.

A stage's folder is named after a fingerprint of everything that shaped it, is built under another name and renamed
when whole. So a rerun finds what it may reuse by name alone, and checks it by digest.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from recobatch.addresses import object_store_uri
from recobatch.errors import BadTable, RecobatchError
from recobatch.storage.durable import explained, is_disk_trouble
from recobatch.storage.fingerprints import code_fingerprint, file_digest, fingerprint
from recobatch.storage.scratch import scratch_folder, sweep, temporary_folder

if TYPE_CHECKING:
    from recobatch.storage.shared_files import SharedFiles

USUAL = Path(".recobatch") / "work"
"""Folder of stage outputs within the project."""
_DONE = "done.json"
_OURS = re.compile(r"\.?[a-z][\w-]*-[0-9a-f]{12,40}")
"""Names of outputs, of unfinished outputs, and of the champion's files as 0.1.0 kept them."""


@dataclass(frozen=True)
class StageOutput:
    """A finished stage."""

    path: Path
    """Folder with the stage's files."""
    report: dict[str, Any]
    """The stage's report; plain JSON values."""
    reused: bool
    """Whether an earlier run made it."""
    key: str
    """Fingerprint of the stage's inputs, settings and code; 64 hex digits."""


@dataclass(frozen=True)
class Workspace:
    """A folder of stage outputs, shared by runs that follow each other or overlap."""

    root: Path
    fresh: bool = False
    """Redo every stage, whatever there is."""
    caller: Path | None = None
    """Folder of the package whose code shapes the outputs as this package's does."""
    uri: str | None = None
    """Where outputs are kept for other machines too, in an object store."""

    @classmethod
    def open(cls, where: str, *, root: Path, fresh: bool = False, caller: Path | None = None) -> "Workspace":
        """The workspace at a path or URI; that at a URI has its copies in the usual folder.

        Args:
            where: A folder, or ``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://container/prefix``.
            root: Project folder.
            fresh: See the class.
            caller: See the class.

        Raises:
            BadSettings: If the URI is not of a known object store.
        """
        uri = object_store_uri(where, setting="work.path")
        return cls(root / (where if uri is None else USUAL), fresh, caller, uri)

    def shared(self) -> "SharedFiles | None":
        """The files that other machines reach; None where the workspace is a folder.

        Raises:
            BadSettings: If the package for object stores is missing, or the URI cannot be opened.
        """
        if self.uri is None:
            return None
        from recobatch.storage.bucket import Bucket  # lazy: folders need none of it
        from recobatch.storage.shared_files import SharedFiles

        return SharedFiles(Bucket.open(self.uri, setting="work.path"))

    def stage(self, name: str, shaped_by: Mapping[str, Any], build: Callable[[Path], Mapping[str, Any]]) -> StageOutput:
        """Reuse a stage's output where it is whole, else build it.

        Args:
            name: Name of the stage; the folder's prefix.
            shaped_by: Everything the output depends on, as JSON values; the code of the packages is added.
            build: Writes the files into the given empty folder and returns its report, JSON values.

        Raises:
            RecobatchError: If the disk is full, damaged or read-only.
        """
        if (done := self.find(name, shaped_by)) is not None:
            return done
        folder, key = self._place(name, shaped_by)
        with scratch_folder(self.root, name) as scratch:
            try:
                report = json.loads(json.dumps(dict(build(scratch))))
                _finish(scratch, report)
                self._share(scratch, folder.name)
                _put_in_place(scratch, folder)
            except BaseException as error:
                shutil.rmtree(scratch, ignore_errors=True)
                if is_disk_trouble(error):
                    with explained("write the stage's output", folder):
                        raise
                raise
        return StageOutput(folder, report, reused=False, key=key)

    def find(self, name: str, shaped_by: Mapping[str, Any]) -> StageOutput | None:
        """A stage's output as an earlier run made it, if it is whole and may be reused."""
        folder, key = self._place(name, shaped_by)
        if self.fresh or (report := _whole(folder) or self._fetched(folder)) is None:
            return None
        os.utime(folder)
        return StageOutput(folder, report, reused=True, key=key)

    def _share(self, output: Path, name: str) -> None:
        """Upload an output, its list of files last, for other machines."""
        if (shared := self.shared()) is not None:
            listing = (output / _DONE).read_bytes()
            shared.put_folder(name, output, json.loads(listing)["files"], listing)

    def _fetched(self, folder: Path) -> dict[str, Any] | None:
        """Download an output that another machine has shared; None where there is none, or not all of it."""
        if (shared := self.shared()) is None or (listing := shared.listing(folder.name)) is None:
            return None
        with temporary_folder(self.root, "fetched") as scratch:
            try:
                for name, digest in json.loads(listing)["files"].items():
                    (scratch / name).parent.mkdir(parents=True, exist_ok=True)
                    shared.fetch(digest, scratch / name)
            except BadTable:
                return None  # pruned meanwhile, or damaged: it is built again
            (scratch / _DONE).write_bytes(listing)
            _put_in_place(scratch, folder)
        return _whole(folder)

    def _place(self, name: str, shaped_by: Mapping[str, Any]) -> tuple[Path, str]:
        key = fingerprint({"stage": name, "code": code_fingerprint(self.caller), **shaped_by})
        return self.root / f"{name}-{key[:20]}", key

    def prune(self, *, keep_days: float) -> None:
        """Remove unfinished outputs of dead runs, and outputs that no run has used for ``keep_days`` days.

        Folders with other names are left alone.
        """
        sweep(self.root)
        for folder, is_stale in stale_outputs(self.root, keep_days=keep_days):
            if is_stale:
                shutil.rmtree(folder, ignore_errors=True)
        if (shared := self.shared()) is not None:
            with suppress(RecobatchError):  # the next run prunes it
                shared.prune(keep_days=keep_days)


def stale_outputs(root: Path, *, keep_days: float) -> list[tuple[Path, bool]]:
    """The outputs in a workspace, each with whether no run has used it for ``keep_days`` days."""
    oldest = time.time() - keep_days * 86_400
    ours = sorted(folder for folder in (root.iterdir() if root.is_dir() else ()) if _OURS.fullmatch(folder.name))
    return [(folder, folder.stat().st_mtime < oldest) for folder in ours if folder.is_dir()]


def _finish(folder: Path, report: Mapping[str, Any]) -> None:
    files = {str(path.relative_to(folder)): file_digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    (folder / _DONE).write_text(json.dumps({"files": files, "report": report}))


def _whole(folder: Path) -> dict[str, Any] | None:
    """The report of a finished output whose files are all as they were written, else None."""
    try:
        done = json.loads((folder / _DONE).read_text())
        intact = all(file_digest(folder / name) == digest for name, digest in done["files"].items())
        report = done["report"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return report if intact and isinstance(report, dict) else None


def _put_in_place(scratch: Path, folder: Path) -> None:
    """Rename into place, replacing the output of another run or a damaged one."""
    try:
        scratch.rename(folder)
    except OSError:
        aside = folder.with_name(f".{folder.name}-{uuid4().hex[:12]}")
        folder.rename(aside)
        scratch.rename(folder)
        shutil.rmtree(aside, ignore_errors=True)

"""The folder of stage outputs, which are reused where they are whole.

A stage's folder is named after a fingerprint of everything that shaped it, is built under another name and renamed
when whole. So a rerun finds what it may reuse by name alone, and checks it by digest. Every build has a name of its
own, and a run locks the outputs that it uses: another run neither replaces nor removes them.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from recobatch.addresses import object_store_uri
from recobatch.errors import BadTable, RecobatchError
from recobatch.storage.durable import explained, is_disk_trouble
from recobatch.storage.fingerprints import code_fingerprint, fingerprint
from recobatch.storage.scratch import scratch_folder, sweep, temporary_folder
from recobatch.storage.stage_outputs import (
    DONE,
    InUse,
    finish,
    last_used,
    list_outputs,
    parse_done,
    read_whole,
    remove_unused,
)

if TYPE_CHECKING:
    from recobatch.storage.shared_files import SharedFiles

USUAL = Path(".recobatch") / "work"
"""Folder of stage outputs within the project."""


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
    _in_use: InUse = field(default_factory=InUse, compare=False, repr=False)

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
        place, key = self._place(name, shaped_by)
        with scratch_folder(self.root, name) as scratch:
            try:
                report = json.loads(json.dumps(dict(build(scratch))))
                finish(scratch, report)
                self._share(scratch, place)
                folder = self._put_in_place(scratch, place)
            except BaseException as error:
                shutil.rmtree(scratch, ignore_errors=True)
                if is_disk_trouble(error):
                    with explained("write the stage's output", self.root / place):
                        raise
                raise
        return StageOutput(folder, report, reused=False, key=key)

    def find(self, name: str, shaped_by: Mapping[str, Any]) -> StageOutput | None:
        """A stage's output as an earlier run made it, if it is whole and may be reused; in use from then on."""
        if self.fresh:
            return None
        place, key = self._place(name, shaped_by)
        for folder in chain(self._builds(place), self._fetched(place)):  # fetched only if none is here
            if (report := self._use(folder)) is not None:
                return StageOutput(folder, report, reused=True, key=key)
        return None

    def _use(self, folder: Path) -> dict[str, Any] | None:
        """The report of a build that is whole."""
        report = read_whole(folder) if self._in_use.add(folder) else None
        if report is None:
            self._in_use.release(folder)
        else:
            os.utime(folder)
        return report

    def _share(self, output: Path, place: str) -> None:
        """Upload an output, its list of files last, for other machines."""
        if (shared := self.shared()) is not None:
            listing = (output / DONE).read_bytes()
            shared.put_folder(place, output, json.loads(listing)["files"], listing)

    def _fetched(self, place: str) -> Iterator[Path]:
        """Download an output that another machine has shared; nothing where there is none, or not all of it."""
        if (shared := self.shared()) is None or (listing := shared.listing(place)) is None:
            return
        if (done := parse_done(listing)) is None:
            return
        with temporary_folder(self.root, "fetched") as scratch:
            try:
                for name, digest in done["files"].items():
                    (scratch / name).parent.mkdir(parents=True, exist_ok=True)
                    shared.fetch(digest, scratch / name)
            except BadTable:
                return  # pruned meanwhile, or damaged: it is built again
            (scratch / DONE).write_bytes(listing)
            yield self._put_in_place(scratch, place)

    def _place(self, name: str, shaped_by: Mapping[str, Any]) -> tuple[str, str]:
        """What the names of all builds of an output begin with, and its key."""
        key = fingerprint({"stage": name, "code": code_fingerprint(self.caller), **shaped_by})
        return f"{name}-{key[:20]}", key

    def _builds(self, place: str) -> list[Path]:
        """The builds of an output: first the one that this run uses, then the newest."""
        order = {folder: (folder in self._in_use, last_used(folder)) for folder in self.root.glob(f"{place}-*")}
        return sorted(order, key=order.__getitem__, reverse=True)

    def _put_in_place(self, scratch: Path, place: str) -> Path:
        """Rename a finished build, in use from then on, and remove others of the same output that no run uses."""
        others, folder = self._builds(place), self.root / f"{place}-{uuid4().hex[:12]}"
        self._in_use.add(folder, now_at=scratch)
        scratch.rename(folder)
        for other in others:
            remove_unused(other)
        return folder

    def prune(self, *, keep_days: float) -> None:
        """Remove unfinished outputs of dead runs, and outputs that no run has used for ``keep_days`` days.

        For the end of a run, which uses no output any more. Those that another run uses are left alone, and so are
        folders with other names.
        """
        self._in_use.release_all()
        sweep(self.root)
        for folder, why_kept in list_outputs(self.root, keep_days=keep_days):
            if why_kept is None:
                remove_unused(folder)
        if (shared := self.shared()) is not None:
            with suppress(RecobatchError):  # the next run prunes it
                shared.prune(keep_days=keep_days)

"""Files in an object store, named by the digest of their content: what machines without a common disk exchange."""

import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from recobatch.errors import BadTable
from recobatch.model_folder import ModelFolder
from recobatch.storage.bucket import Bucket
from recobatch.storage.durable import explained, link_or_copy, remove
from recobatch.storage.fingerprints import file_digest, fingerprint
from recobatch.storage.scratch import machine_folder, sweep, temporary_folder
from recobatch.storage.store_errors import PreconditionFailed

_FOLDER = "files"
_LISTINGS = "outputs"
_MARGIN_DAYS = 2.0
_DAY = 86_400.0
_MODELS = "models"
_FETCHED = ".fetched-"
_USED = ".used"
"""Touched at every use; the files themselves must not change, not even their times."""
_fetching = Lock()
_checked: set[Path] = set()
"""What this process has fetched, or has found whole."""


@dataclass(frozen=True)
class SharedFiles:
    """Files below a URI, and listings of folders that consist of them; a file that is there is never changed."""

    bucket: Bucket

    def put(self, path: Path) -> str:
        """Upload a file unless it is there and of this day; returns its sha256, 64 hex digits."""
        digest = file_digest(path)
        name = f"{_FOLDER}/{digest}"
        age = self.bucket.age(name)
        if age is None or age > _DAY:
            with suppress(PreconditionFailed):  # another run was faster
                self.bucket.upload(name, path, scratch=_FOLDER, renew=age is not None)
        return digest

    def fetch(self, digest: str, to: Path) -> None:
        """Download a file.

        Raises:
            BadTable: If it is not there, or its content is another.
            RecobatchError: If the disk refuses, or the object store.
        """
        with explained("hold a copy of a shared file", to, outcome="nothing was computed"):
            self.bucket.fetch(f"{_FOLDER}/{digest}", to)
        if (found := file_digest(to)) != digest:
            to.unlink()
            raise BadTable(
                f"{self.bucket.uri}/{_FOLDER}/{digest}: found sha256 {found[:12]}…, expected that of its name; "
                f"remove the object and run again"
            )

    def put_folder(self, name: str, folder: Path, files: Iterable[str], listing: bytes) -> None:
        """Upload a folder's files, and then its listing under the folder's name."""
        for each in files:
            self.put(folder / each)
        with suppress(PreconditionFailed):  # another run has uploaded the same
            self.bucket.replace(f"{_LISTINGS}/{name}", listing)

    def listing(self, name: str) -> bytes | None:
        """The listing of a folder, or none if there is none."""
        found = self.bucket.read(f"{_LISTINGS}/{name}")
        return None if found is None else found[0]

    def prune(self, *, keep_days: float) -> None:
        """Remove listings that are older, and files that are older by two days and that no listing may need.

        A run that finds a file there uses it from then on: the two days are for its workers.
        """
        listings = {name for name, age in self.bucket.ages(_LISTINGS).items() if age > keep_days * _DAY}
        self.bucket.delete([f"{_LISTINGS}/{name}" for name in sorted(listings)])
        old = [name for name, age in self.bucket.ages(_FOLDER).items() if age > (keep_days + _MARGIN_DAYS) * _DAY]
        self.bucket.delete([f"{_FOLDER}/{name}" for name in old])


@dataclass(frozen=True)
class SharedModel:
    """The files of a model that scoring reads, for workers that have no disk in common with the run."""

    uri: str
    """Where they lie; each worker reaches it with the credentials of its own environment."""
    files: Mapping[str, str]
    """Name in the folder → sha256."""

    @classmethod
    def upload(cls, shared: SharedFiles, model: ModelFolder) -> "SharedModel":
        """Upload what is not there yet."""
        return cls(shared.bucket.uri, {name: shared.put(path) for name, path in model.scored_files.items()})

    def fetch(self) -> ModelFolder:
        """The model as a folder on this machine: downloaded once, and checked by digest once per process.

        Raises:
            BadTable: If a file is missing or damaged.
            RecobatchError: If the disk is full, or the object store does not answer.
        """
        root = machine_folder() / _MODELS
        folder = root / fingerprint(dict(self.files))[:20]
        with _fetching:  # tasks of a worker begin at the same time: one of them downloads
            if folder not in _checked or not folder.is_dir():
                _forget_unused(root)
                if not self._is_whole(folder):
                    self._download(root, folder)
                _checked.add(folder)
            with explained("use the model's files", folder, outcome="nothing was computed"):
                (folder / _USED).touch()
        return ModelFolder(folder)

    def _is_whole(self, folder: Path) -> bool:
        paths = {folder / name: digest for name, digest in self.files.items()}
        return all(path.is_file() and file_digest(path) == digest for path, digest in paths.items())

    def _download(self, root: Path, folder: Path) -> None:
        """Fetch what this machine does not have, and put all of it in place in one step."""
        with temporary_folder(root, "model") as scratch:
            for name, digest in self.files.items():
                with explained("keep the model's files", folder, outcome="nothing was computed"):
                    link_or_copy(self._kept(digest, root, scratch), scratch / name)
            for path in scratch.glob(f"{_FETCHED}*"):
                path.rename(root / path.name.removeprefix(_FETCHED))
            try:
                scratch.rename(folder)
            except OSError:  # another process was faster, or a damaged one lies there
                if not self._is_whole(folder):
                    shutil.rmtree(folder)
                    scratch.rename(folder)

    def _kept(self, digest: str, root: Path, scratch: Path) -> Path:
        """A file of this machine: the models of a batch share vocabularies and rated pairs."""
        kept = root / digest
        if not (kept.is_file() and file_digest(kept) == digest):
            kept = scratch / f"{_FETCHED}{digest}"
            SharedFiles(Bucket.open(self.uri)).fetch(digest, kept)
        return kept


def _forget_unused(root: Path) -> None:
    """Remove models that no shard has needed for a day, and then files that no model has."""
    sweep(root)
    oldest = time.time() - _DAY
    for marker in root.glob(f"*/{_USED}"):
        if marker.stat().st_mtime < oldest:
            remove(marker.parent)
    for path in root.glob("[0-9a-f]*"):
        if path.is_file() and path.stat().st_nlink == 1:
            remove(path)

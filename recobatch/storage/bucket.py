"""Objects below one URI: the door to obstore, and one clear line when the store refuses."""

import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from recobatch.errors import BadSettings
from recobatch.storage.attempts import persistent
from recobatch.storage.etag import ETag
from recobatch.storage.ranges import Ranges
from recobatch.storage.store_errors import PreconditionFailed, reason_of, store_explained

# Enough for a short failure; an unreachable store is reported after a quarter of a minute.
_RETRIES = {
    "max_retries": 6,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=10), "base": 2},
}
_CHUNK = 16 * 2**20
"""Most bytes in one part of a large file, or in one request of a download."""
_SINGLE = 160 * 2**20
"""Most bytes of a file that is uploaded in one request; it is in memory meanwhile."""
_UPLOAD_TIMEOUT = timedelta(minutes=10)
"""For one request of an upload: 160 MB at 300 kB a second. Small requests have half a minute."""
_COPY = "AWS_COPY_IF_NOT_EXISTS"
"""Says how a store that only resembles S3 copies under a condition."""
_INSECURE = ("AWS_ALLOW_HTTP", "AZURE_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP")


class Bucket:
    """Objects below one URI, by name.

    Every method raises ``RecobatchError`` if the store cannot be reached or refuses, and ``BadTable`` if there is no
    such bucket, or not the object that is asked for.
    """

    def __init__(self, uri: str, store: Any) -> None:  # noqa: ANN401 - one of obstore's
        self.uri = uri
        self._store = store

    @classmethod
    def open(cls, uri: str, *, setting: str = "table") -> "Bucket":
        """Connect to what lies below a URI; credentials and endpoint come from the environment.

        Args:
            uri: As ``object_store_uri`` returns it.
            setting: What it is the value of, for messages.

        Raises:
            BadSettings: If the package is missing, or the URI is not one of an object store.
        """
        try:
            from obstore.store import from_url  # lazy: an optional extra
        except ImportError:
            raise BadSettings(
                f"{setting}: found the URI {uri}, expected the package obstore to write there; "
                f"install recobatch[object-store], or pass a folder"
            ) from None
        try:
            return cls(uri, from_url(uri, retry_config=_RETRIES))
        except Exception as error:  # every store has its own kinds
            raise BadSettings(
                f"{setting}: found the URI {uri}, which cannot be opened ({reason_of(error)}), expected one like "
                f"s3://bucket/prefix and its settings in the environment; check both"
            ) from error

    def __reduce__(self) -> tuple[Callable[[str], "Bucket"], tuple[str]]:
        """Another process opens the URI with the credentials of its own environment."""
        return Bucket.open, (self.uri,)

    @cached_property
    def _patient(self) -> Any:  # noqa: ANN401 - one of obstore's
        """The same store, with time for large requests."""
        if self.uri.startswith("memory:"):
            return self._store
        from obstore.store import from_url

        # S3 copies under a condition only where it is told how: the completion of an upload in parts has one.
        copy = {"copy_if_not_exists": "multipart"} if self.uri.startswith("s3:") and _COPY not in os.environ else {}
        insecure = any(os.environ.get(name, "").lower() in ("true", "1") for name in _INSECURE)
        client = {"timeout": _UPLOAD_TIMEOUT, "allow_http": insecure}  # they replace those of the environment
        return from_url(self.uri, retry_config=_RETRIES, client_options=client, **copy)

    def read(self, name: str) -> tuple[bytes, ETag] | None:
        """A small object with its state, or none if there is no such object."""
        import obstore

        def get() -> tuple[bytes, ETag]:
            found = obstore.get(self._store, name)
            return bytes(found.bytes()), ETag.of(found.meta)

        with self._explained(f"read {name}"):
            try:
                return persistent(get)
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes, *, over: ETag | None) -> ETag:
        """Write a small object, if its state is still ``over``, or, with none, if there is no such object yet.

        Raises:
            PreconditionFailed: If the condition does not hold, so that nothing was written. An earlier attempt of this
                very call, whose answer was lost, may be the reason.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if over is None else over.condition()
        with self._explained(f"write {name}"):
            try:
                return persistent(
                    lambda: ETag.of(obstore.put(self._store, name, content, mode=mode, use_multipart=False))
                )
            except (AlreadyExistsError, PreconditionError) as error:
                raise PreconditionFailed(name) from error
            except FileNotFoundError as error:
                if over is None:
                    raise
                raise PreconditionFailed(name) from error  # S3 says so where the object is gone

    def replace(self, name: str, content: bytes) -> ETag:
        """Write a small object over whatever is there; of two that do so at once, one gives up.

        Raises:
            PreconditionFailed: If another has written it meanwhile.
        """
        try:
            return self.write(name, content, over=None)
        except PreconditionFailed:
            found = self.read(name)
            return self.write(name, content, over=found and found[1])

    def upload(self, name: str, path: Path, *, scratch: str, renew: bool = False) -> ETag:
        """Write a file as a new object, which appears whole or not at all.

        Args:
            name: Of the object.
            path: Of the file.
            scratch: Folder of the bucket where a file of several parts lies before it is copied to its name, which the
                store does by itself. A process that is killed may leave it there.
            renew: Whether the object is there with the same content and is to count as new.

        Raises:
            PreconditionFailed: If the name is taken.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        def put() -> ETag:
            if renew:
                return self._put_parts(name, path)
            if path.stat().st_size <= _SINGLE:
                return ETag.of(obstore.put(self._patient, name, path, mode="create", use_multipart=False))
            return self._put_large(name, path, f"{scratch}/{secrets.token_hex(8)}")

        with self._explained(f"write {name}"):
            try:
                return persistent(put)
            except AlreadyExistsError as error:
                raise PreconditionFailed(name) from error

    def _put_parts(self, name: str, path: Path) -> ETag:
        """In parts, over whatever is there."""
        import obstore

        parts = {"use_multipart": True, "chunk_size": _CHUNK, "max_concurrency": 2}
        return ETag.of(obstore.put(self._patient, name, path, **parts))

    def _put_large(self, name: str, path: Path, scratch: str) -> ETag:
        """To another name, since obstore uploads parts without a condition, and from there by a copy with one."""
        import obstore

        self._put_parts(scratch, path)
        try:
            obstore.copy(self._patient, scratch, name, overwrite=False)
            return ETag.of(obstore.head(self._store, name))
        finally:
            with suppress(Exception):  # whoever removes the folder removes it
                obstore.delete(self._store, [scratch])

    def state(self, name: str) -> tuple[int, ETag] | None:
        """Bytes and state of an object, or none if there is no such object."""
        import obstore

        with self._explained(f"look at {name}"):
            try:
                meta = persistent(lambda: obstore.head(self._store, name))
            except FileNotFoundError:
                return None
        return meta["size"], ETag.of(meta)

    def age(self, name: str) -> float | None:
        """Seconds since an object was written, or none if there is no such object."""
        import obstore

        with self._explained(f"look at {name}"):
            try:
                meta = persistent(lambda: obstore.head(self._store, name))
            except FileNotFoundError:
                return None
        return (datetime.now(UTC) - meta["last_modified"]).total_seconds()

    def ages(self, folder: str) -> dict[str, float]:
        """Seconds since every object below a folder was written, by its name within that folder."""
        import obstore

        with self._explained(f"list {folder}"):
            entries = persistent(lambda: obstore.list(self._store, folder).collect())
        now = datetime.now(UTC)
        return {e["path"].removeprefix(f"{folder}/"): (now - e["last_modified"]).total_seconds() for e in entries}

    def children(self, folder: str = "") -> tuple[list[str], list[str]]:
        """Names directly below a folder: of folders, and of objects."""
        import obstore

        with self._explained(f"list {folder or 'it'}"):
            found = persistent(lambda: obstore.list_with_delimiter(self._store, folder or None))
        return [_last(path) for path in found["common_prefixes"]], [_last(entry["path"]) for entry in found["objects"]]

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of every object below a folder, by its name within that folder."""
        import obstore

        with self._explained(f"list {folder}"):
            entries = persistent(lambda: obstore.list(self._store, folder).collect())
        return {entry["path"].removeprefix(f"{folder}/"): entry["size"] for entry in entries}

    def fetch(self, name: str, to: Path) -> None:
        """Copy an object into a file."""
        with self.open_file(name) as remote, to.open("wb") as file:
            while chunk := remote.read(_CHUNK):
                file.write(chunk)

    def open_file(self, name: str, size: int | None = None) -> pa.NativeFile:
        """An object as a file; only the bytes that are read are fetched.

        Args:
            name: Of the object.
            size: Its bytes, where they are known; spares a request.
        """
        import obstore

        if size is None:
            with self._explained(f"open {name}"):
                size = persistent(lambda: obstore.head(self._store, name)["size"])
        return pa.PythonFile(Ranges(size, lambda start, end: self._range(name, start, end)), mode="r")

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects; one that does not exist is ignored."""
        import obstore

        with self._explained("delete objects"):
            if names:
                persistent(lambda: obstore.delete(self._store, list(names)))

    def _range(self, name: str, start: int, end: int) -> bytes:
        import obstore

        with self._explained(f"read {name}"):
            return persistent(lambda: bytes(obstore.get_range(self._store, name, start=start, end=end)))

    def _explained(self, action: str) -> AbstractContextManager[None]:
        return store_explained(self.uri, action)


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]

"""Fingerprints: of values, files, code, sources and published tables."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec

from recobatch.addresses import without_secrets

_PACKAGE = Path(__file__).parents[1]


def fingerprint(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Sha256 of a JSON value, keys sorted, as 64 hex digits; paths count as their text."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Sha256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def code_fingerprint(caller: Path | None = None) -> str:
    """Sha256 over the source of this package: another version of the code shares no outputs with this one.

    Args:
        caller: Folder of another package whose source counts as well.
    """
    digest = hashlib.sha256()
    for package in (_PACKAGE, *([caller] if caller else [])):
        for source in sorted(package.rglob("*.py")):
            digest.update(f"{source.relative_to(package)}:".encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()


def published_fingerprint(
    settings: Mapping[str, Any],
    code: str,
    *,
    ratings: Mapping[str, Any] | None,
    champion: Mapping[str, Any] | None = None,
) -> str:
    """Sha256 of everything that shapes a published table: equal ones give an equal table.

    Args:
        settings: Those that shape it, as JSON values.
        code: Fingerprint of the code.
        ratings: Fingerprints of the ratings and of their titles; None where none are read.
        champion: Identity of the registered model that scores; None where the models are trained from the ratings.
    """
    return fingerprint({**(champion or {}), **(ratings or {}), "settings": settings, "code": code})


def source_fingerprint(uri: str) -> str:
    """Identify the content behind a path or URI, so that a changed file is read again.

    A local file counts by its bytes, a remote one by the attributes in its file system (etag, size, time); one that
    cannot be identified never equals an earlier one.
    """
    path = Path(uri)
    if path.is_file():
        return file_digest(path)
    try:
        filesystem, remote = fsspec.core.url_to_fs(uri)
        return (
            _web_fingerprint(uri, filesystem.info(remote)) if uri.startswith("http") else str(filesystem.ukey(remote))
        )
    except Exception:  # noqa: BLE001 - every vendor has its own; the download reports what is wrong
        return uuid4().hex


def _web_fingerprint(uri: str, info: Mapping[str, Any]) -> str:
    """By the headers of the content; fsspec's own key of a web page is its address, whatever is there."""
    headers = {name: info.get(name) for name in ("ETag", "Content-MD5", "Digest", "Last-Modified")}
    if not any(headers.values()):
        return uuid4().hex
    return fingerprint({**headers, "size": info.get("size"), "address": without_secrets(uri)})

"""Fingerprints: of values, files, code and published tables."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parents[1]


def fingerprint(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Sha256 of a JSON value, keys sorted, as 64 hex digits; paths count as their text."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Sha256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digests(paths: Sequence[Path]) -> list[str]:
    """``file_digest`` of several files, in threads."""
    with ThreadPoolExecutor(min(len(paths), os.cpu_count() or 1) or 1) as pool:
        return list(pool.map(file_digest, paths))


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

"""What a staging folder remembers, so that the run after a dead one goes on where it was."""

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path

from recobatch.durable import TEMPORARY, explained, remove, write_file
from recobatch.shards import ShardReport
from recobatch.table.layout import STAGING

_KEY = "shaped-by"
_REPORTS = "reports"


def remember_key(staging: Path, version: str, shaped_by: str) -> None:
    """Write down what everything in a staging folder is shaped by."""
    with explained("begin a staging folder", staging):
        write_file(staging / _KEY, json.dumps({"version": version, "shaped_by": shaped_by}).encode())


def find_staging(root: Path, shaped_by: str) -> tuple[Path, str] | None:
    """The staging folder that a dead run left with the same key and the most finished shards, and its version."""
    found = []
    for folder in root.glob(f"{STAGING}*"):
        try:
            told = json.loads((folder / _KEY).read_bytes())
            if told["shaped_by"] == shaped_by:
                found.append((len(list((folder / _REPORTS).glob("*"))), folder, str(told["version"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # of another kind, or it died too early to be of use
    return max(found)[1:] if found else None


def remove_unfinished(staging: Path) -> None:
    """Remove the files that were being written when the run died."""
    with explained("remove unfinished files", staging):
        for path in [path for path in staging.rglob(f"{TEMPORARY}*") if not path.is_dir()]:
            remove(path)


def keep_report(staging: Path, report: ShardReport) -> None:
    """Remember a finished shard."""
    name = report.path.relative_to(staging).as_posix()
    with explained("note a finished shard", report.path):
        (staging / _REPORTS).mkdir(exist_ok=True)
        write_file(_report_path(staging, report.path), json.dumps(asdict(report) | {"path": name}).encode())


def kept_report(staging: Path, path: Path) -> ShardReport | None:
    """The report of a shard that a dead run finished, if the file is still what it was, by size and sha256."""
    try:
        report = ShardReport(**json.loads(_report_path(staging, path).read_bytes()) | {"path": path})
        if path.stat().st_size != report.bytes:
            return None
        with path.open("rb") as file:
            return report if hashlib.file_digest(file, "sha256").hexdigest() == report.sha256 else None
    except (OSError, ValueError, TypeError):
        return None


def forget(staging: Path) -> None:
    """Remove the memory, before the folder is published."""
    if (staging / _REPORTS).is_dir():
        shutil.rmtree(staging / _REPORTS)
    (staging / _KEY).unlink(missing_ok=True)


def _report_path(staging: Path, path: Path) -> Path:
    name = path.relative_to(staging).as_posix()
    return staging / _REPORTS / f"{hashlib.sha256(name.encode()).hexdigest()[:20]}.json"

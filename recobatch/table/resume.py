"""Notes in a staging folder, by which the run after a dead one resumes it."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recobatch.scoring.shards import ShardReport
from recobatch.storage.durable import explained, remove, write_file
from recobatch.table.layout import STAGING

_KEY = "shaped-by"
_REPORTS = "reports"


@dataclass(frozen=True)
class Unfinished:
    """A version that a dead run left unfinished."""

    path: Path
    """Its folder on this machine; where the shards lie in an object store, it holds none of them."""
    version: str
    shaped_by: str
    """Fingerprint of everything that its predictions depend on."""
    notes: Mapping[str, Any]
    """JSON that the dead run left for the next one."""
    finished: int
    """Number of finished files."""


def remember(staging: Path, version: str, shaped_by: str, notes: Mapping[str, Any]) -> None:
    """Note the fingerprint of everything that the files in a staging folder depend on."""
    content = {"version": version, "shaped_by": shaped_by, "notes": dict(notes)}
    with explained("begin a staging folder", staging):
        write_file(staging / _KEY, json.dumps(content).encode())


def list_unfinished(root: Path) -> list[Unfinished]:
    """Staging folders that can be resumed, the one with the most finished files first."""
    found = []
    for folder in root.glob(f"{STAGING}*"):
        try:
            content = json.loads((folder / _KEY).read_bytes())
            finished = len(list((folder / _REPORTS).glob("*.json")))
            version, shaped_by = str(content["version"]), content["shaped_by"]
            found.append(Unfinished(folder, version, shaped_by, dict(content["notes"]), finished))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # staged without a fingerprint, or the run died too early
    return sorted(found, key=lambda left: (left.finished, left.path.name), reverse=True)


def remove_unfinished(staging: Path) -> None:
    """Remove all but the finished files and their notes."""
    kept = {staging / _KEY}
    for note in (staging / _REPORTS).glob("*.json"):
        try:
            kept |= {staging / json.loads(note.read_bytes())["path"], note}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    with explained("remove unfinished files", staging):
        for path in [path for path in staging.rglob("*") if path.is_symlink() or not path.is_dir()]:
            if path not in kept:
                remove(path)


def keep_report(staging: Path, report: ShardReport) -> None:
    """Note a finished shard. Not fsynced: if a power cut loses the note, the shard is written again."""
    name = report.path.relative_to(staging).as_posix()
    with explained("note a finished shard", report.path):
        (staging / _REPORTS).mkdir(exist_ok=True)
        _report_path(staging, report.path).write_text(json.dumps(asdict(report) | {"path": name}), encoding="utf-8")


def kept_report(staging: Path, path: Path) -> ShardReport | None:
    """The report of a shard that a dead run finished, if the file still has its size and sha256."""
    try:
        report = ShardReport(**json.loads(_report_path(staging, path).read_bytes()) | {"path": path})
        if path.stat().st_size != report.bytes:
            return None
        with path.open("rb") as file:
            return report if hashlib.file_digest(file, "sha256").hexdigest() == report.sha256 else None
    except (OSError, ValueError, TypeError):
        return None


def forget(staging: Path) -> None:
    """Remove the notes, before the folder is published."""
    if (staging / _REPORTS).is_dir():
        shutil.rmtree(staging / _REPORTS)
    (staging / _KEY).unlink(missing_ok=True)


def _report_path(staging: Path, path: Path) -> Path:
    name = path.relative_to(staging).as_posix()
    return staging / _REPORTS / f"{hashlib.sha256(name.encode()).hexdigest()[:20]}.json"

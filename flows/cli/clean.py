"""Remove what earlier batches left and nobody needs: the command ``clean``."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.output import echo, echo_json
from recobatch.storage.stage_outputs import list_outputs, remove_unused
from recobatch.storage.workspace import Workspace
from recobatch.table import open_table
from recobatch.tracking import has_history

if TYPE_CHECKING:
    from flows.settings.tree import Settings

_MARKER = ".recobatch-table"


@dataclass(frozen=True)
class _Find:
    """Something that could be removed."""

    kind: str
    name: str
    bytes: int
    reason: str
    """Why it is removed or kept."""
    remove: Callable[[], object] | None
    """None where it is kept."""

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "bytes": self.bytes, "reason": self.reason}


def clean(settings: "Settings", *, keep_days: float, dry_run: bool, as_json: bool) -> None:
    """Remove reports, stage outputs and MLflow artifacts, and print what is kept and why.

    Args:
        settings: Names the table, MLflow and the workspace.
        keep_days: Reports and artifacts that are younger are kept.
        dry_run: Whether to remove nothing.
        as_json: Whether to print one JSON object.

    Raises:
        RecobatchError: If MLflow does not answer; nothing is removed then.
    """
    root = Path.cwd()
    versions = _kept_versions(settings, root)
    found = [*_artifacts(settings, root, versions, keep_days)]
    trained = {find.name.split(" ")[0]: find.reason for find in found if find.remove is None}
    found += [*_reports(root, {**trained, **versions}, keep_days), *_outputs(settings, root)]
    removed = [find for find in found if find.remove is not None]
    if not dry_run:
        for find in removed:
            if find.remove is not None:
                find.remove()
    kept = [find for find in found if find.remove is None]
    if as_json:
        lists = {"removed": [find.to_dict() for find in removed], "kept": [find.to_dict() for find in kept]}
        echo_json({"dry_run": dry_run, "bytes": sum(find.bytes for find in removed), **lists})
        return
    for verb, finds in (("would remove" if dry_run else "removed", removed), ("kept", kept)):
        for find in finds:
            echo(f"{verb} {find.kind} {find.name}, {find.bytes / 1e6:.1f} MB: {find.reason}")
    echo(f"{'would free' if dry_run else 'freed'} {sum(find.bytes for find in removed) / 1e6:.1f} MB")


def _kept_versions(settings: "Settings", root: Path) -> dict[str, str]:
    """Versions of the settings' table, and of every other table in the project folder, with the reason to keep them."""
    tables = {settings.table.path, *(str(marker.parent.relative_to(root)) for marker in root.glob(f"*/{_MARKER}"))}
    return {
        snapshot.version: f"version {snapshot.version} of {table} is kept"
        for table in sorted(tables)
        for snapshot in open_table(table, root=root).snapshots()
    }


def _artifacts(
    settings: "Settings", root: Path, versions: Mapping[str, str], keep_days: float
) -> Iterator[_Find]:  # fmt: skip
    if not has_history(settings.tracking, root):
        return
    from recobatch.tracking.cleanup import ArtifactCleanup  # lazy: MLflow only where there is one

    cleanup = ArtifactCleanup(settings.tracking, root)
    for stored in cleanup.stored_runs():
        run, version = stored.run, stored.run.tags["table_version"]
        age = (time.time() - run.started.timestamp()) / 86_400
        reason = versions.get(version)
        if stored.aliases:
            reason = f"the registry's {' and '.join(stored.aliases)}"
        elif reason is None and age < keep_days:
            reason = f"younger than {keep_days:g} days"
        elif reason is None and run.status == "RUNNING":
            reason = "still running"
        why = reason or f"version {version} is no longer kept"
        remove = None if reason else partial(cleanup.remove, stored)
        yield _Find("MLflow artifacts", f"{run.batch_id} {run.model}", stored.bytes, why, remove)


def _reports(root: Path, needed: Mapping[str, str], keep_days: float) -> Iterator[_Find]:
    for path in sorted((root / ".recobatch" / "reports").glob("*.html")):
        reason = needed.get(path.stem)
        if reason is None and time.time() - path.stat().st_mtime < keep_days * 86_400:
            reason = f"younger than {keep_days:g} days"
        why = reason or "its version is no longer kept"
        yield _Find("report", path.stem, path.stat().st_size, why, None if reason else path.unlink)


def _outputs(settings: "Settings", root: Path) -> Iterator[_Find]:
    days = settings.work.keep_days
    for folder, why_kept in list_outputs(Workspace.open(settings.work.path, root=root).root, keep_days=days):
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        why = why_kept or f"not used within {days:g} days (work.keep_days)"
        yield _Find("stage output", folder.name, size, why, None if why_kept else partial(remove_unused, folder))

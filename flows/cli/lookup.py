"""Commands that read the published table: no server, no settings tree, no heavy import."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from flows.cli.failures import FailedCheck
from flows.cli.output import echo, echo_json
from recobatch.addresses import is_uri
from recobatch.errors import BadTable
from recobatch.scoring.top import best_items, best_of_parts

if TYPE_CHECKING:
    from flows.settings.tree import Settings
    from recobatch.scoring.user_rows import Part
    from recobatch.table import Published


def print_top(
    table: str, user_id: str, *, k: int, unseen_only: bool, model: str | None, as_json: bool,
    why: "Settings | None" = None,
) -> None:  # fmt: skip
    """Print a user's best items, with titles where the table knows them.

    Args:
        table: Folder or URI.
        user_id: Raw id.
        k: How many items.
        unseen_only: Whether to leave out what the user rated.
        model: Whose predictions; by default the champion's.
        as_json: Whether to print one JSON object.
        why: Settings by which to find the reasons for each item; None for no reasons.
    """
    if is_uri(table):
        from recobatch.table import open_table  # lazy, as below

        snapshot = open_table(table).snapshot()
        place = f"{snapshot.location}/{snapshot.main}/model={model or snapshot.champion}"
        parts, top = snapshot.parts("table", model), snapshot.parts("top", model)
        best = best_of_parts(
            parts, user_id, place=place, titles=snapshot.titles, k=k, unseen_only=unseen_only,
            top=top,
        )  # fmt: skip
        parts = parts or top
    else:
        best = best_items(Path(table), user_id, k=k, unseen_only=unseen_only, model=model)
        parts = _current_parts(Path(table))
    rows = best.to_pylist()
    if why is not None:
        from flows.cli.reasons import reason_text, reasons_for  # lazy: it reads MLflow

        reasons = reasons_for(why, user_id, [row["item_id"] for row in rows])
        rows = [row | {"because": reasons[row["item_id"]]} for row in rows]
    if as_json:
        echo_json({"user_id": _with_own_type(user_id, parts[0]), "items": rows})
        return
    width = max((len(str(row["item_id"])) for row in rows), default=4)
    for row in rows:
        title = f"  {row['title']}" if row.get("title") else ""
        echo(f"{row['rank']:>4}  {row['prediction']:.3f}{_interval(row)}  {row['item_id']!s:>{width}}{title}")
        if row.get("because"):
            echo(f"{'':>4}  because of {reason_text(row['because'])}")


def _interval(row: dict[str, Any]) -> str:
    """The 90 % interval; blank for an item that is not among the published best, nothing in earlier tables."""
    if "lower_90" not in row:
        return ""
    if row["lower_90"] is None:
        return " " * len("  (1.00 to 5.00)")
    return f"  ({row['lower_90']:.2f} to {row['upper_90']:.2f})"


def _current_parts(root: Path) -> list[Path]:
    link = root / "current"
    pointer = root / "current.json"
    folder = link.resolve() if link.is_dir() else root / "versions" / json.loads(pointer.read_bytes())["version"]
    return sorted(folder.glob("table/*/*.parquet")) or sorted(folder.glob("top/*/*.parquet"))


def _with_own_type(user_id: str, part: "Part") -> int | str:
    """An id that was found in the table, as the table has it."""
    column = pq.ParquetFile(part).schema_arrow.field("user_id").type
    return user_id if str(column) == "string" else int(user_id)


def print_verified(table: str, version: str | None, *, as_json: bool) -> None:
    """Check a snapshot to the last pair; damage is an error."""
    from recobatch.table import open_table  # lazy: it would double the time of ``top``

    report = open_table(table).verify(version)
    facts: dict[str, Any] = {
        "version": report.version, "ok": report.ok, "files": report.files, "rows": report.rows,
        "bytes": report.bytes, "problems": list(report.problems),
    }  # fmt: skip
    if not report.ok:
        more = f" (and {len(report.problems) - 1} more)" if len(report.problems) > 1 else ""
        damage = BadTable(
            f"{table}: found version {report.version} damaged: {report.problems[0]}{more}; "
            f"point the table at a whole one with recobatch rollback"
        )
        raise FailedCheck(damage, facts)
    if as_json:
        echo_json(facts)
    else:
        echo(f"{table}: version {report.version} is whole: {report.rows:,} predictions in {report.files} files")


def print_versions(table: str, *, as_json: bool) -> None:
    """Print the snapshots that can be read or rolled back to, the newest last; the one that readers see is marked."""
    from recobatch.table import open_table  # lazy, as above

    opened, trouble = open_table(table), None
    kept = opened.snapshots()
    current: str | None = None
    try:
        current = opened.snapshot().version
    except BadTable as error:
        if not kept:
            raise
        trouble = error
    back = {snapshot.version for snapshot in opened.rolled_back()}
    rows = [_told(snapshot) | {"rolled_back": snapshot.version in back} for snapshot in kept]
    facts = {"current": current, "versions": rows}
    if as_json and trouble is None:
        echo_json(facts)
    elif not as_json:
        width = max(len(row["version"]) for row in rows)
        for row in rows:
            echo(f"{'*' if row['version'] == current else ' '} {row['version']:<{width}}  {_line(row)}")
    if trouble is not None:
        raise FailedCheck(trouble, facts)


def _told(snapshot: "Published") -> dict[str, Any]:
    manifest = snapshot.manifest
    models = manifest.extra.get("summary", {}).get("models", {})
    return {
        "version": snapshot.version, "created": manifest.created, "champion": snapshot.champion,
        "test_mse": models.get(snapshot.champion, {}).get("test_mse"), "rows": snapshot.rows,
        "bytes": sum(file.bytes for file in manifest.files),
    }  # fmt: skip


def _line(row: dict[str, Any]) -> str:
    created = row["created"][:16].replace("T", " ")
    mse = "" if row["test_mse"] is None else f", test MSE {row['test_mse']:.4f}"
    return (
        f"{created} UTC  {sum(row['rows'].values()):,} predictions, {row['bytes'] / 1e6:,.1f} MB, "
        f"champion {row['champion']}{mse}{', rolled back' if row['rolled_back'] else ''}"
    )


def print_rollback(table: str, version: str | None, *, as_json: bool) -> None:
    """Point the table at an earlier snapshot."""
    from recobatch.table import open_table  # lazy, as above

    snapshot = open_table(table).rollback(version)
    if as_json:
        echo_json({"version": snapshot.version, "champion": snapshot.champion})
    else:
        echo(f"{table}: now at version {snapshot.version}, champion {snapshot.champion}")

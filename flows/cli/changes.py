"""The command ``changes``: what differs between the lists of two versions. No server, no settings tree."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from flows.cli.output import echo, echo_json
from recobatch.errors import BadTable
from recobatch.table import Published, open_table
from recobatch.table.changes import changes_between, lists_of, save_changes

_SHOWN = 20


def print_changes(table: str, since: str | None, target: Path | None, *, as_json: bool) -> None:
    """Print or write what entered, left or moved in the champion's lists.

    Args:
        table: Folder or URI of the table.
        since: An earlier version that is kept; by default the one before the current one.
        target: File to write all changes to, csv or parquet by its suffix; None prints the first.
        as_json: Whether to print one JSON object with the counts.

    Raises:
        BadTable: If there is no such version, none before, or one of the two has no lists.
        BadInput: If the file is of another kind.
    """
    place = open_table(table)
    now = place.snapshot()
    before = place.snapshot(since or now.manifest.parent or _no_parent(now))
    bands = changes_between(*lists_of(before, now))
    counts: Counter[str] = Counter()
    first: list[dict[str, Any]] = []

    def counted() -> Iterator[pa.Table]:
        for band in bands:
            counts.update(band["change"].to_pylist())
            first.extend(band.slice(0, _SHOWN - len(first)).to_pylist())
            yield band

    if target is None:
        for _ in counted():
            pass
    else:
        save_changes(counted(), target)
    facts = {kind: counts[kind] for kind in ("entered", "left", "moved")}
    if as_json:
        echo_json({"version": now.version, "since": before.version, **facts, "file": target and str(target)})
        return
    echo(f"version {now.version} since {before.version}: " + ", ".join(f"{n:,} {kind}" for kind, n in facts.items()))
    if target is not None:
        echo(f"written to {target}")
        return
    for row in first:
        places = f"{row['rank_before'] or '–':>4} → {row['rank'] or '–':<4}"
        echo(f"  user {row['user_id']}  item {row['item_id']}  {row['change']:<8}{places}")
    if (left := counts.total() - len(first)) > 0:
        echo(f"  … and {left:,} more; --to FILE writes them all")


def _no_parent(now: Published) -> str:
    raise BadTable(
        f"{now.location}: found no version before it, expected one to compare with; publish again, or name a kept "
        f"version with --since"
    )

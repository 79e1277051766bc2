"""A published table, read from Python."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recobatch.errors import BadTable
from recobatch.scoring.top import best_of_parts, rows_of_user
from recobatch.table import Published, Table, open_table

_KEYS = ["user_id", "item_id"]


@dataclass(frozen=True, eq=False, repr=False)
class PublishedTable:
    """One version of a published table; a later publish does not change what it returns.

    What its methods return are tables of pyarrow: ``.to_pandas()``, or ``polars.from_arrow(…)``, makes a frame.
    """

    table: Table
    snapshot: Published

    def __repr__(self) -> str:
        return f"<PublishedTable {self.snapshot.location}, champion {self.champion}>"

    @property
    def version(self) -> str:
        """Its name, which sorts by time."""
        return self.snapshot.version

    @property
    def champion(self) -> str:
        """The model whose predictions are read unless another is named."""
        return self.snapshot.champion

    @property
    def models(self) -> list[str]:
        """Names of the models with predictions."""
        return sorted(self.snapshot.rows)

    def top(self, user: int | str, k: int = 10, *, unseen_only: bool = True, model: str | None = None) -> pa.Table:
        """A user's best items.

        Args:
            user: Id of a user.
            k: At most how many items.
            unseen_only: Whether to leave out what the user rated.
            model: Whose predictions; by default the champion's.

        Returns:
            ``rank``, ``item_id``, ``title`` where titles are known, ``prediction``, ``rated``; best first.

        Raises:
            BadInput: If the user is unknown.
            BadTable: If there is no such model, or a file is damaged.
        """
        return best_of_parts(
            self.snapshot.parts("table", model), user, place=self._place(model), titles=self.snapshot.titles, k=k,
            unseen_only=unseen_only, top=self.snapshot.parts("top", model),
        )  # fmt: skip

    def user(self, user: int | str, *, model: str | None = None) -> pa.Table:
        """Every prediction for a user, by item.

        Args:
            user: Id of a user.
            model: Whose predictions; by default the champion's.

        Returns:
            The columns of the table: ``user_id``, ``item_id``, ``prediction``, ``rated`` and others as it has them.

        Raises:
            BadInput: If the user is unknown.
            BadTable: If there is no such model.
        """
        return rows_of_user(self.snapshot.parts("table", model), user, place=self._place(model))

    def changes(self, since: str) -> pa.Table:
        """How the champion's lists of best items differ from those of an earlier version.

        Args:
            since: Version that is still kept; see ``recobatch versions``.

        Returns:
            ``user_id``, ``item_id``, ``change`` (``entered``, ``left`` or ``moved``), ``rank`` (null where it left),
            ``rank_before`` (null where it entered) and ``score`` (null where it left); by user, then rank. Items at the
            same rank as before are left out.

        Raises:
            BadTable: If there is no such version, or one of the two has no lists.
        """
        now, before = _lists(self.snapshot), _lists(self.table.snapshot(since)).select([*_KEYS, "rank"])
        if now.schema.field("user_id").type != before.schema.field("user_id").type:
            before = before.cast(pa.schema([*(now.schema.field(name) for name in _KEYS), before.schema.field("rank")]))
        both = now.join(before, keys=_KEYS, join_type="full outer", right_suffix="_before", use_threads=False)
        both = both.filter(pc.fill_null(pc.not_equal(both["rank"], both["rank_before"]), True))
        change = pc.if_else(
            pc.is_null(both["rank_before"]), "entered", pc.if_else(pc.is_null(both["rank"]), "left", "moved")
        )
        both = both.append_column("change", change).select([*_KEYS, "change", "rank", "rank_before", "score"])
        order = [("user_id", "ascending"), ("rank", "ascending"), ("rank_before", "ascending")]
        return both.sort_by(order)

    def _place(self, model: str | None) -> str:
        return f"{self.snapshot.location}/{self.snapshot.main}/model={model or self.champion}"


def read_table(path: str | Path = "predictions", version: str | None = None) -> PublishedTable:
    """Open a published table.

    Args:
        path: Folder, or ``s3://bucket/prefix``, ``gs://…``, ``az://…``.
        version: A version that is kept; by default the one that readers see now.

    Raises:
        BadTable: If there is no table, or no such version.
    """
    table = open_table(path)
    return PublishedTable(table, table.snapshot(version))


def _lists(snapshot: Published) -> pa.Table:
    parts = snapshot.parts("top")
    if not parts:
        raise BadTable(
            f"{snapshot.location}: found no lists of best items, expected those of the champion; publish with top.k "
            f"above 0"
        )
    columns = [*_KEYS, "rank", "score"]
    known = [name for name in columns if name in pq.ParquetFile(parts[0]).schema_arrow.names]
    table = pa.concat_tables([pq.read_table(part, columns=known, partitioning=None) for part in parts])
    return table if "score" in known else table.append_column("score", pa.nulls(len(table), pa.float32()))

"""A published table, read from Python."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from recobatch.scoring.top import best_of_parts
from recobatch.scoring.user_rows import rows_of_user
from recobatch.table import Published, Table, open_table
from recobatch.table.changes import changes_between, lists_of


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
        lists = lists_of(self.table.snapshot(since), self.snapshot)
        return pa.concat_tables(changes_between(*lists))

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

"""Ranking metrics by group: users by activity and items by popularity, in quartiles. NumPy only."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recobatch.interactions import EncodedInteractions

_QUARTILES = 4


@dataclass(frozen=True)
class GroupRankings:
    """Metrics of one quartile."""

    least: int
    """Fewest training ratings of a member."""
    most: int
    """Most training ratings of a member."""
    members: int
    """Measured users, or items of the catalogue."""
    rows: int
    """Relevant test rows."""
    recall: float
    """Users: as in ``Rankings``, mean over the users. Items: hits over relevant test rows. NaN without rows."""
    ndcg: float | None = None
    """Users only."""
    share: float | None = None
    """Items only: share of the places in all lists."""

    def to_dict(self, k: int) -> dict[str, float | int]:
        """Plain values, ready for JSON; a metric without rows is left out."""
        values = {f"recall_at_{k}": self.recall, f"ndcg_at_{k}": self.ndcg, "share": self.share}
        sizes = {"least": self.least, "most": self.most, "members": self.members, "rows": self.rows}
        return sizes | {name: value for name, value in values.items() if value is not None and value == value}


def quartiles(counts: np.ndarray) -> np.ndarray:
    """Quartile of each member by its count, 0 to 3: equal sizes, ties in order of index. int64, shape of ``counts``."""
    groups = np.empty(len(counts), dtype=np.int64)
    groups[np.argsort(counts, kind="stable")] = np.arange(len(counts)) * _QUARTILES // max(len(counts), 1)
    return groups


def user_groups(
    per_user: Mapping[str, np.ndarray], n_relevant: np.ndarray, activity: np.ndarray, measured: np.ndarray
) -> tuple[GroupRankings, ...]:
    """Quartiles of all users by training ratings, with the metrics of those measured.

    Args:
        per_user: ``recall`` and ``ndcg`` of each measured user.
        n_relevant: Relevant test rows of each measured user.
        activity: Training ratings of every user.
        measured: Indices of the measured users.
    """
    group = quartiles(activity)[measured]
    found = []
    for chosen in (group == number for number in range(_QUARTILES)):
        if chosen.any():
            counts = activity[measured[chosen]]
            recall, ndcg = (float(per_user[name][chosen].mean()) for name in ("recall", "ndcg"))
            sizes = int(chosen.sum()), int(n_relevant[chosen].sum())
            found.append(GroupRankings(int(counts.min()), int(counts.max()), *sizes, recall, ndcg=ndcg))
    return tuple(found)


def item_groups(
    lists: np.ndarray, hits: np.ndarray, liked: EncodedInteractions, raters: np.ndarray
) -> tuple[GroupRankings, ...]:
    """Quartiles of all items by training ratings.

    Args:
        lists: Items of the measured users, -1 after the last.
        hits: Which of them are relevant.
        liked: The relevant test rows.
        raters: Training ratings of every item.
    """
    group = quartiles(raters)
    filled = lists >= 0
    rows = np.bincount(group[liked.item_index], minlength=_QUARTILES)
    hit = np.bincount(group[lists[hits]], minlength=_QUARTILES)
    shown = np.bincount(group[lists[filled]], minlength=_QUARTILES)
    found = []
    for number in range(_QUARTILES):
        counts = raters[group == number]
        if len(counts):
            recall = float(hit[number] / rows[number]) if rows[number] else float("nan")
            share = float(shown[number] / max(filled.sum(), 1))
            sizes = int(counts.min()), int(counts.max()), len(counts), int(rows[number])
            found.append(GroupRankings(*sizes, recall, share=share))
    return tuple(found)

"""What changed in the ratings since a champion was trained, as counts and as one line."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc

Unknown = Literal["leave_out", "biases", "ratings"]
"""Treatment of users and items that the champion does not know; ``ratings`` computes them from their ratings."""

_SHOWN = 5
_DONE = {"leave_out": "left out", "biases": "scored from biases alone", "ratings": "scored from their ratings"}


@dataclass(frozen=True)
class ChangedIds:
    """Ids that the ratings have and the champion does not know, or the reverse."""

    count: int
    first: tuple[int | str, ...]
    """The first five, ascending."""

    @classmethod
    def of(cls, ids: pa.Array) -> Self:
        first = ids.take(pc.array_sort_indices(ids)[:_SHOWN])
        return cls(len(ids), tuple(first.to_pylist()))

    def __str__(self) -> str:
        return self._listed(str)

    @property
    def quoted(self) -> str:
        """The first ids, for the message of an error."""
        return self._listed(repr)

    def _listed(self, shown: Callable[[int | str], str]) -> str:
        return ", ".join(map(shown, self.first)) + (", …" if self.count > len(self.first) else "")


@dataclass(frozen=True)
class RatingsDelta:
    """Difference between the current ratings and the champion's training ratings."""

    ratings: int
    """Number of current ratings."""
    new_ratings: int
    """Ratings of pairs that were unrated, or that were rated again after training."""
    rated_again: int
    """New ratings of pairs that had been rated, by time; 0 if times are unknown."""
    users_with_new_ratings: int
    unknown_users: ChangedIds
    unknown_items: ChangedIds
    unknown: Unknown
    """Their treatment."""
    complete: bool
    """Whether the current ratings are all ratings; else they are those since the training."""
    deleted_ratings: int
    """Training ratings that are not among the current ones; 0 unless these are complete."""
    gone_users: ChangedIds
    """The champion's users without a current rating, who leave the table; none unless the ratings are complete."""
    gone_items: ChangedIds
    """Its items, likewise."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of ``to_dict``."""
        ids = {
            name: ChangedIds(values[name]["count"], tuple(values[name]["first"]))
            for name in ("unknown_users", "unknown_items", "gone_users", "gone_items")
        }
        return cls(**{**values, **ids})

    def __str__(self) -> str:
        """One line for logs and terminals."""
        new, users = count_of(self.new_ratings, "new rating"), count_of(self.users_with_new_ratings, "user")
        parts = [f"{new} of {users} since training"]
        if not self.complete:
            parts.append("the ratings hold less than half of the training's, so they are taken as those since then")
        if self.deleted_ratings:
            parts.append(f"{count_of(self.deleted_ratings, 'rating')} deleted")
        if gone := _named("{} without ratings", self.gone_users, self.gone_items):
            parts.append(f"{gone} removed from the table")
        if unknown := _named("unknown {}", self.unknown_users, self.unknown_items):
            parts.append(f"{unknown} {_DONE[self.unknown]}")
        return "; ".join(parts)


def _named(text: str, users: ChangedIds, items: ChangedIds) -> str:
    """How many of both, with the first ids; empty if there are none."""
    sides = (("user", users), ("item", items))
    return " and ".join(f"{count_of(ids.count, noun, text)} ({ids})" for noun, ids in sides if ids.count)


def count_of(number: int, noun: str, text: str = "{}") -> str:
    """A number and its noun in the singular or plural, which ``text`` may put between other words."""
    return f"{number:,} {text.format(noun if number == 1 else f'{noun}s')}"

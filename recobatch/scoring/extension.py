"""A champion and the current ratings → the changes since its training, and the champion with unknown ids added."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.errors import BadRatings
from recobatch.interactions import EncodedInteractions
from recobatch.model_folder import LoadedModel
from recobatch.rated import RatedPairs
from recobatch.vocabulary import Vocabulary

Unknown = Literal["leave_out", "biases", "ratings"]
"""Treatment of users and items that the champion does not know; ``ratings`` computes them from their ratings."""

_SHOWN = 5
_DONE = {"leave_out": "left out", "biases": "scored from biases alone", "ratings": "scored from their ratings"}


@dataclass(frozen=True, eq=False)
class CurrentRatings:
    """Encoded ratings with their own vocabularies."""

    interactions: EncodedInteractions
    users: Vocabulary
    items: Vocabulary


@dataclass(frozen=True)
class UnknownIds:
    """Ids in the ratings that the champion does not know."""

    count: int
    first: tuple[int | str, ...]
    """The first five, ascending."""

    @classmethod
    def of(cls, ids: pa.Array) -> Self:
        first = ids.take(pc.array_sort_indices(ids)[:_SHOWN])
        return cls(len(ids), tuple(first.to_pylist()))

    def __str__(self) -> str:
        return ", ".join(map(str, self.first)) + (", …" if self.count > len(self.first) else "")


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
    unknown_users: UnknownIds
    unknown_items: UnknownIds
    unknown: Unknown
    """Their treatment."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of ``to_dict``."""
        ids = {
            name: UnknownIds(values[name]["count"], tuple(values[name]["first"]))
            for name in ("unknown_users", "unknown_items")
        }
        return cls(**{**values, **ids})

    def __str__(self) -> str:
        """One line for logs and terminals."""
        text = (
            f"{_count(self.new_ratings, 'new rating')} of {_count(self.users_with_new_ratings, 'user')} since training"
        )
        unknown = [
            f"{_count(ids.count, f'unknown {noun}')} ({ids})"
            for noun, ids in (("user", self.unknown_users), ("item", self.unknown_items))
            if ids.count
        ]
        done = _DONE[self.unknown]
        return f"{text}; {' and '.join(unknown)} {done}" if unknown else text


def extend(
    champion: LoadedModel, now: CurrentRatings, *, unknown: Unknown, trained_until: int | None
) -> tuple[LoadedModel, RatingsDelta]:
    """Compare the current ratings with a champion's training ratings, and extend the champion to the current ids.

    Args:
        champion: The registered model: factors, ids, and the pairs of its training ratings.
        now: The current ratings; all of them, or only those since training.
        unknown: ``leave_out`` keeps the champion's users and items. ``biases`` adds unknown ones with the mean row of
            the known ones, weighted by their ratings. That equals the model's biases once its factors are centred, and
            also holds for models without biases, whose zero vector would predict a rating of 0. An unknown user gets
            the link of the mean score of an item, an unknown item that of a user. ``ratings`` adds them likewise, for
            ``follow_ratings`` to compute.
        trained_until: Unix seconds of the newest training rating; None if unknown.

    Returns:
        The inputs of scoring, with all training and current pairs as rated, and the changes since training. Known users
        and items keep their factors bit by bit.

    Raises:
        BadRatings: If the champion's ids are integers and the current ones strings.
    """
    users = _Side.match(champion.users, now.users, "user", add_unknown=unknown != "leave_out")
    items = _Side.match(champion.items, now.items, "item", add_unknown=unknown != "leave_out")
    delta = _compare(champion.rated, now.interactions, users, items, unknown, trained_until)
    if users.is_same and items.is_same:
        model = champion.model
    else:
        weights = np.diff(champion.rated.indptr), np.bincount(champion.rated.item_index, minlength=len(champion.items))
        model = replace(
            champion.model,
            user_factors=users.spread(champion.model.user_factors, weights[0]),
            user_bias=users.spread(champion.model.user_bias, weights[0]),
            item_factors=items.spread(champion.model.item_factors, weights[1]),
            item_bias=items.spread(champion.model.item_bias, weights[1]),
        )
    return LoadedModel(model, users.extended, items.extended, _all_rated(champion.rated, now, users, items)), delta


def over_scored_ids(extended: LoadedModel, now: CurrentRatings) -> EncodedInteractions:
    """The current ratings of users and items that are scored."""
    rows = now.interactions
    user = extended.users.find(now.users.ids)[rows.user_index]
    item = extended.items.find(now.items.ids)[rows.item_index]
    scored = (user >= 0) & (item >= 0)
    return EncodedInteractions(
        user[scored].astype(np.int32), item[scored].astype(np.int32), rows.rating[scored], rows.timestamp[scored],
        len(extended.users), len(extended.items),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Side:
    """The users, or the items: of the champion, of the current ratings, and of the scored table."""

    unknown: pa.Array
    """Current ids that the champion does not know."""
    known_index: np.ndarray
    """Champion's index of each current id, -1 for an unknown one."""
    extended: Vocabulary
    """Ids of the scored table."""
    from_champion: np.ndarray
    """Index in ``extended`` of each of the champion's ids."""
    from_now: np.ndarray
    """Index in ``extended`` of each current id; -1 if it is left out."""

    @classmethod
    def match(cls, champion: Vocabulary, now: Vocabulary, noun: str, *, add_unknown: bool) -> Self:
        if pa.types.is_integer(champion.ids.type) and not pa.types.is_integer(now.ids.type):
            shown = ", ".join(map(repr, now.ids[:_SHOWN].to_pylist()))
            raise BadRatings(
                f"ratings: found {noun} ids that are text ({shown}), expected integers as in the champion's training "
                f"ratings; pass ratings with the same type of ids, or train again"
            )
        ids = now.ids.cast(champion.ids.type)
        known_index = champion.find(ids)
        unknown = ids.filter(pa.array(known_index < 0))
        if not (add_unknown and len(unknown)):
            return cls(unknown, known_index, champion, np.arange(len(champion)), known_index)
        extended = Vocabulary.build(pa.concat_arrays([champion.ids, unknown]))
        return cls(unknown, known_index, extended, extended.find(champion.ids), extended.find(ids))

    @property
    def is_same(self) -> bool:
        return len(self.extended) == len(self.from_champion)

    def spread(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The champion's rows at their new indices, and their weighted mean at all others."""
        out = np.empty((len(self.extended), *rows.shape[1:]), dtype=rows.dtype)
        out[:] = np.average(rows, axis=0, weights=weights if weights.any() else None)
        out[self.from_champion] = rows
        return out


def _compare(
    rated: RatedPairs, now: EncodedInteractions, users: _Side, items: _Side, unknown: Unknown, until: int | None
) -> RatingsDelta:
    user_index, item_index = users.known_index[now.user_index], items.known_index[now.item_index]
    known = (user_index >= 0) & (item_index >= 0)
    was_rated = np.zeros(len(now), dtype=bool)
    was_rated[known] = rated.contains(user_index[known], item_index[known])
    again = was_rated & (now.timestamp > until) if until is not None else np.zeros(len(now), dtype=bool)
    is_new = ~was_rated | again
    return RatingsDelta(
        ratings=len(now), new_ratings=int(is_new.sum()), rated_again=int(again.sum()),
        users_with_new_ratings=len(np.unique(now.user_index[is_new])), unknown_users=UnknownIds.of(users.unknown),
        unknown_items=UnknownIds.of(items.unknown), unknown=unknown,
    )  # fmt: skip


def _all_rated(rated: RatedPairs, now: CurrentRatings, users: _Side, items: _Side) -> RatedPairs:
    """The rated pairs of the training and of the current ratings, within the scored ids."""
    then_user, then_item = rated.pairs()
    now_user = users.from_now[now.interactions.user_index]
    now_item = items.from_now[now.interactions.item_index]
    scored = (now_user >= 0) & (now_item >= 0)
    return RatedPairs.of_pairs(
        np.concatenate([users.from_champion[then_user], now_user[scored]]),
        np.concatenate([items.from_champion[then_item], now_item[scored]]),
        n_users=len(users.extended), n_items=len(items.extended),
    )  # fmt: skip


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

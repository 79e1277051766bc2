"""A champion and the ratings of now → what is new since it was trained, and the champion over whom it did not know."""

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

Unknown = Literal["leave_out", "biases"]
"""What becomes of users and items that the champion does not know."""

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class CurrentRatings:
    """Ratings as ``encode`` leaves them: by index into vocabularies of their own."""

    interactions: EncodedInteractions
    users: Vocabulary
    items: Vocabulary


@dataclass(frozen=True)
class UnknownIds:
    """Ids in the ratings that the champion was not trained with."""

    count: int
    first: tuple[int | str, ...]
    """At most five, ascending."""

    @classmethod
    def of(cls, ids: pa.Array) -> Self:
        first = ids.take(pc.array_sort_indices(ids)[:_SHOWN])
        return cls(len(ids), tuple(first.to_pylist()))

    def __str__(self) -> str:
        return ", ".join(map(str, self.first)) + (", …" if self.count > len(self.first) else "")


@dataclass(frozen=True)
class RatingsDelta:
    """What the ratings hold that the champion was not trained with."""

    ratings: int
    """In all."""
    new_ratings: int
    """Of pairs that were unrated, or that were rated again since."""
    rated_again: int
    """Those among them whose pair had been rated; told by time, so 0 where times are unknown."""
    users_with_new_ratings: int
    unknown_users: UnknownIds
    unknown_items: UnknownIds
    unknown: Unknown
    """What became of them."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild what ``to_dict`` took apart."""
        ids = {
            name: UnknownIds(values[name]["count"], tuple(values[name]["first"]))
            for name in ("unknown_users", "unknown_items")
        }
        return cls(**{**values, **ids})

    def __str__(self) -> str:
        """One line for people."""
        story = (
            f"{_count(self.new_ratings, 'new rating')} of {_count(self.users_with_new_ratings, 'user')} since training"
        )
        strangers = [
            f"{_count(ids.count, f'unknown {noun}')} ({ids})"
            for noun, ids in (("user", self.unknown_users), ("item", self.unknown_items))
            if ids.count
        ]
        done = "left out" if self.unknown == "leave_out" else "scored from biases alone"
        return f"{story}; {' and '.join(strangers)} {done}" if strangers else story


def extend(
    champion: LoadedModel, now: CurrentRatings, *, unknown: Unknown, trained_until: int | None
) -> tuple[LoadedModel, RatingsDelta]:
    """Count what is new since a champion was trained, and let it score what there is now.

    Args:
        champion: As it was registered: factors, ids, and the pairs it was trained with.
        now: The ratings of now; all of them or only those since.
        unknown: ``leave_out`` keeps the champion's users and items. ``biases`` adds those it does not know as the mean
            of those it knows, each weighted by its ratings: what a model's biases say once its factors are centred, so
            it holds for models without biases too, whose zero vector would predict a rating of 0. An unknown user gets
            the link of the mean score of an item, an unknown item that of a user.
        trained_until: Unix seconds of the newest rating the champion was trained with; None where that is not known.

    Returns:
        What to score, with every rated pair of then and now, and the news. Known users and items keep their factors bit
        by bit.

    Raises:
        BadRatings: If the champion's ids are numbers and these are text.
    """
    users = _Side.match(champion.users, now.users, "user", take_in=unknown == "biases")
    items = _Side.match(champion.items, now.items, "item", take_in=unknown == "biases")
    news = _count_news(champion.rated, now.interactions, users, items, unknown, trained_until)
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
    return LoadedModel(model, users.extended, items.extended, _all_rated(champion.rated, now, users, items)), news


@dataclass(frozen=True, eq=False)
class _Side:
    """The users, or the items: of the champion, of the ratings of now, and of what is scored."""

    unknown: pa.Array
    """Ids of now that the champion does not know."""
    known_index: np.ndarray
    """Champion's index of each id of now, -1 for an unknown one."""
    extended: Vocabulary
    from_champion: np.ndarray
    """Index in ``extended`` of each of the champion's ids."""
    from_now: np.ndarray
    """Index in ``extended`` of each id of now; -1 where it is left out."""

    @classmethod
    def match(cls, champion: Vocabulary, now: Vocabulary, noun: str, *, take_in: bool) -> Self:
        if pa.types.is_integer(champion.ids.type) and not pa.types.is_integer(now.ids.type):
            shown = ", ".join(map(repr, now.ids[:_SHOWN].to_pylist()))
            raise BadRatings(
                f"ratings: found {noun} ids that are text ({shown}), expected whole numbers as the champion was "
                f"trained with; give ratings with the same kind of ids, or train again"
            )
        ids = now.ids.cast(champion.ids.type)
        known_index = champion.find(ids)
        unknown = ids.filter(pa.array(known_index < 0))
        if not (take_in and len(unknown)):
            return cls(unknown, known_index, champion, np.arange(len(champion)), known_index)
        extended = Vocabulary.build(pa.concat_arrays([champion.ids, unknown]))
        return cls(unknown, known_index, extended, extended.find(champion.ids), extended.find(ids))

    @property
    def is_same(self) -> bool:
        return len(self.extended) == len(self.from_champion)

    def spread(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The champion's rows at their new places, and the weighted mean of them at all others."""
        out = np.empty((len(self.extended), *rows.shape[1:]), dtype=rows.dtype)
        out[:] = np.average(rows, axis=0, weights=weights if weights.any() else None)
        out[self.from_champion] = rows
        return out


def _count_news(
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
    """The pairs of then and now, as far as they are scored."""
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

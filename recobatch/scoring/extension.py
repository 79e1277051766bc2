"""A champion and the current ratings → the changes since its training, and the champion over the current ids."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.errors import BadRatings
from recobatch.interactions import EncodedInteractions
from recobatch.model_folder import LoadedModel
from recobatch.rated import RatedPairs
from recobatch.scoring.ratings_delta import ChangedIds, RatingsDelta, Unknown, count_of
from recobatch.vocabulary import Vocabulary

_ROWS = 1 << 12
_COVERED = 0.5
"""The current ratings are all ratings, and not those since the training, if they hold that share of the pairs of it."""


@dataclass(frozen=True, eq=False)
class CurrentRatings:
    """Encoded ratings with their own vocabularies."""

    interactions: EncodedInteractions
    users: Vocabulary
    items: Vocabulary
    text_ids: Mapping[str, str] = field(default_factory=dict)
    """``user`` or ``item`` → the first id that is no integer, with its place in the file, where that is known."""


def extend(
    champion: LoadedModel, now: CurrentRatings, *, unknown: Unknown, trained_until: int | None
) -> tuple[LoadedModel, RatingsDelta]:
    """Compare the current ratings with a champion's training ratings, and extend the champion to the current ids.

    The current ratings replace those of the training if they hold at least half of its pairs: what was deleted is then
    no longer rated, and users and items without any rating leave. Else they are those since the training, and are
    added to its pairs.

    Args:
        champion: The registered model: factors, ids, and the pairs of its training ratings.
        now: The current ratings; all of them, or only those since training.
        unknown: ``leave_out`` adds no users and items to the champion's. ``biases`` adds unknown ones with the mean row
            of the known ones, weighted by their ratings. That equals the model's biases once its factors are centred,
            and also holds for models without biases, whose zero vector would predict a rating of 0. An unknown user
            gets the link of the mean score of an item, an unknown item that of a user. ``ratings`` adds them likewise,
            for ``follow_ratings`` to compute.
        trained_until: Unix seconds of the newest training rating; None if unknown.

    Returns:
        The inputs of scoring with the rated pairs of now, and the changes since training. Known users and items keep
        their factors bit by bit.

    Raises:
        BadRatings: If the champion's ids are integers and some of the current ones are not.
    """
    current = [
        _Current.find(known, side, noun, now.text_ids.get(noun))
        for known, side, noun in ((champion.users, now.users, "user"), (champion.items, now.items, "item"))
    ]
    is_kept, was_rated = _match(champion.rated, now.interactions, *current)
    complete = bool(len(is_kept)) and float(is_kept.mean()) >= _COVERED
    users, items = (
        _Side.match(known, side, add_unknown=unknown != "leave_out", drop_gone=complete)
        for known, side in zip((champion.users, champion.items), current, strict=True)
    )
    delta = _compare(was_rated, now.interactions, users, items, unknown, trained_until)
    delta = replace(delta, complete=complete, deleted_ratings=int((~is_kept).sum()) if complete else 0)
    model = champion.model
    if not (users.is_same and items.is_same):
        weights = np.diff(champion.rated.indptr), np.bincount(champion.rated.item_index, minlength=len(champion.items))
        model = replace(
            model,
            user_factors=users.spread(model.user_factors, weights[0]),
            user_bias=users.spread(model.user_bias, weights[0]),
            item_factors=items.spread(model.item_factors, weights[1]),
            item_bias=items.spread(model.item_bias, weights[1]),
        )
    then = None if complete else champion.rated
    return LoadedModel(model, users.extended, items.extended, _rated(then, now, users, items)), delta


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
class _Current:
    """The current users, or items, as the champion knows them."""

    ids: pa.Array
    """Of the champion's type."""
    known_index: np.ndarray
    """Champion's index of each, -1 for an unknown one."""

    @classmethod
    def find(cls, champion: Vocabulary, now: Vocabulary, noun: str, first_text: str | None) -> Self:
        if pa.types.is_integer(champion.ids.type) and not pa.types.is_integer(now.ids.type):
            odd = ChangedIds.of(now.ids.filter(pc.invert(pc.match_substring_regex(now.ids, r"^-?\d{1,18}$"))))
            verb = "is no integer" if odd.count == 1 else "are no integers"
            shown = (
                f"{count_of(odd.count, f'{noun} id')} that {verb} ({odd.quoted})"
                if odd.count
                else f"{noun} ids as text"
            )
            place = f" (the first: {first_text})" if first_text else ""
            raise BadRatings(
                f"ratings: found {shown} among {len(now):,}{place}, expected integers as in the champion's training "
                f"ratings; correct or remove these rows, or train again"
            )
        ids = now.ids.cast(champion.ids.type)
        return cls(ids, champion.find(ids))


@dataclass(frozen=True, eq=False)
class _Side:
    """The users, or the items: of the champion, of the current ratings, and of the scored table."""

    unknown: pa.Array
    """Current ids that the champion does not know."""
    gone: pa.Array
    """The champion's ids that leave."""
    known_index: np.ndarray
    """Champion's index of each current id, -1 for an unknown one."""
    extended: Vocabulary
    """Ids of the scored table."""
    from_champion: np.ndarray
    """Index in ``extended`` of each of the champion's ids; -1 if it leaves."""
    from_now: np.ndarray
    """Index in ``extended`` of each current id; -1 if it is left out."""
    is_same: bool
    """Whether ``extended`` has the champion's ids."""

    @classmethod
    def match(cls, champion: Vocabulary, now: _Current, *, add_unknown: bool, drop_gone: bool) -> Self:
        unknown = now.ids.filter(pa.array(now.known_index < 0))
        stays = np.ones(len(champion), dtype=bool)
        if drop_gone:
            stays[:] = False
            stays[now.known_index[now.known_index >= 0]] = True
        gone = champion.ids.filter(pa.array(~stays))
        added = unknown if add_unknown else unknown[:0]
        if not (len(gone) or len(added)):
            everyone = np.arange(len(champion))
            return cls(unknown, gone, now.known_index, champion, everyone, now.known_index, is_same=True)
        extended = Vocabulary.build(pa.concat_arrays([champion.ids.filter(pa.array(stays)), added]))
        places = extended.find(champion.ids), extended.find(now.ids)
        return cls(unknown, gone, now.known_index, extended, *places, is_same=False)

    def spread(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The champion's rows at their new indices, and the weighted mean of all of them at all others."""
        source, stays = np.full(len(self.extended), -1), self.from_champion >= 0
        source[self.from_champion[stays]] = np.flatnonzero(stays)
        out = np.take(rows, source, axis=0, mode="clip")
        if len(added := np.flatnonzero(source < 0)):
            out[added] = _mean(rows, weights if weights.any() else np.ones(len(rows)))
        return out


def _mean(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean of the rows, float64; parts of them are added up in their own type, without a copy."""
    weights, total = weights.astype(rows.dtype), np.zeros(rows.shape[1:])
    for start in range(0, len(rows), _ROWS):
        total += weights[start : start + _ROWS] @ rows[start : start + _ROWS]
    return total / weights.sum(dtype=np.float64)


def _match(
    rated: RatedPairs, now: EncodedInteractions, users: _Current, items: _Current
) -> tuple[np.ndarray, np.ndarray]:
    """Which of the champion's rated pairs are among the current ratings, and which of these are among its pairs.

    Returns:
        Masks, shapes ``(n_rated,)`` and ``(len(now),)``.
    """
    user, item = users.known_index[now.user_index], items.known_index[now.item_index]
    known = (user >= 0) & (item >= 0)
    place = rated.places(user[known], item[known])
    is_current = np.zeros(len(rated.item_index), dtype=bool)
    is_current[place[place >= 0]] = True
    was_rated = np.zeros(len(now), dtype=bool)
    was_rated[known] = place >= 0
    return is_current, was_rated


def _compare(
    was_rated: np.ndarray, now: EncodedInteractions, users: _Side, items: _Side, unknown: Unknown, until: int | None
) -> RatingsDelta:
    again = was_rated & (now.timestamp > until) if until is not None else np.zeros(len(now), dtype=bool)
    is_new = ~was_rated | again
    return RatingsDelta(
        ratings=len(now), new_ratings=int(is_new.sum()), rated_again=int(again.sum()),
        users_with_new_ratings=int(np.count_nonzero(np.bincount(now.user_index[is_new]))),
        unknown_users=ChangedIds.of(users.unknown), unknown_items=ChangedIds.of(items.unknown),
        unknown=unknown, complete=False, deleted_ratings=0,
        gone_users=ChangedIds.of(users.gone), gone_items=ChangedIds.of(items.gone),
    )  # fmt: skip


def _rated(then: RatedPairs | None, now: CurrentRatings, users: _Side, items: _Side) -> RatedPairs:
    """The rated pairs of the current ratings, and those of the training if given, within the scored ids."""
    user, item = users.from_now[now.interactions.user_index], items.from_now[now.interactions.item_index]
    scored = (user >= 0) & (item >= 0)
    user, item = user[scored], item[scored]
    if then is not None:
        then_user, then_item = then.pairs()
        user = np.concatenate([users.from_champion[then_user], user])
        item = np.concatenate([items.from_champion[then_item], item])
    return RatedPairs.of_pairs(user, item, n_users=len(users.extended), n_items=len(items.extended))

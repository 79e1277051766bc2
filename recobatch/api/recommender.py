"""A trained model in memory: predictions, lists, similar items, reasons."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.api.content import Content
from recobatch.api.pairs import index_of, known_pairs
from recobatch.blas import one_blas_thread
from recobatch.errors import BadInput
from recobatch.factors import FactorModel
from recobatch.rated import RatedPairs
from recobatch.reading import Frame
from recobatch.scoring.ranker import RankBy, Ranked, Ranker
from recobatch.scoring.reasons import interest_reasons, rating_reasons, similar_rows

Id = int | str
"""A user or an item as in the ratings."""
_USERS = 2048
"""Users ranked at once."""
_LEAST_RATINGS = 5
"""Of which an eighth is a rating to calibrate intervals on."""


class Recommender(Content):
    """A rating model and a model of interest over the users and items of some ratings.

    What its methods return are tables of pyarrow: ``.to_pandas()``, or ``polars.from_arrow(…)``, makes a frame.
    """

    def __repr__(self) -> str:
        model = self.loaded.model
        return f"<Recommender {self.name}: {len(self.ratings):,} ratings, {model.n_users:,} × {model.n_items:,}>"

    @property
    def users(self) -> pa.Array:
        """Ids of the users, ascending."""
        return self.loaded.users.ids

    @property
    def items(self) -> pa.Array:
        """Ids of the items, ascending."""
        return self.loaded.items.ids

    def predict(self, pairs: Frame, *, unknown: Literal["raise", "nan"] = "raise") -> np.ndarray:
        """Predict the ratings of pairs.

        Args:
            pairs: A frame with a column of users and one of items, named as in the ratings or by a name that is known;
                other columns are ignored.
            unknown: ``nan`` gives NaN where the user or the item has no ratings, in place of an error.

        Returns:
            float32, shape ``(n,)``, in rating units, in the order of the rows.

        Raises:
            BadInput: If a column is missing, or an id is unknown; the message names up to five.
        """
        user, item, known = known_pairs(pairs, self.columns, self.loaded, may_miss=unknown == "nan")
        prediction = np.full(len(known), np.nan, dtype=np.float32)
        prediction[known] = self.loaded.model.predict_pairs(user, item)
        return prediction

    def predict_interval(self, pairs: Frame, *, unknown: Literal["raise", "nan"] = "raise") -> pa.Table:
        """Predict the ratings of pairs, each with an interval that a rating of it lies in 9 times out of 10.

        The intervals are calibrated as those of a published table: on held-out ratings, by the activity of the user and
        of the item.

        Args:
            pairs: As in ``predict``; what ``recommend`` returned, for example.
            unknown: Likewise.

        Returns:
            ``prediction``, ``lower_90`` and ``upper_90``, float32, in rating units, in the order of the rows.

        Raises:
            BadInput: As ``predict``, or if no intervals were calibrated.
        """
        if self.calibration is None:
            raise BadInput(
                f"predict_interval: found {self.name} without calibrated intervals, expected a model fitted with them; "
                f"fit again with intervals=True and at least {_LEAST_RATINGS} ratings"
            )
        user, item, known = known_pairs(pairs, self.columns, self.loaded, may_miss=unknown == "nan")
        columns = np.full((3, len(known)), np.nan, dtype=np.float32)
        prediction = self.loaded.model.predict_pairs(user, item)
        columns[:, known] = prediction, *self.calibration.bounds(user, item, prediction)
        return pa.table(dict(zip(("prediction", "lower_90", "upper_90"), columns, strict=True)))

    def recommend(
        self, users: Sequence[Id] | Id | None = None, k: int = 10, *, rank_by: RankBy | None = None
    ) -> pa.Table:
        """The best items that users have not rated.

        Args:
            users: Ids; None for all.
            k: At most how many items each.
            rank_by: ``prediction``, ``interest`` or their ``product``; by default what ranked held-out ratings best.

        Returns:
            ``user_id``, ``rank`` (from 1), ``item_id``, ``title`` where titles are known, ``score`` (what the list is
            ranked by, comparable within a user) and ``prediction``; by user in the order given, best first.

        Raises:
            BadInput: If a user is unknown, or ``k`` is below 1.
            BadTable: If ``rank_by`` needs a model of interest and there is none.
        """
        if k < 1:
            raise BadInput(f"recommend: found k={k}, expected at least 1; pass a larger k")
        chosen = self._user_index(users)
        ranked = [self._ranked(chosen[first : first + _USERS], k, rank_by) for first in range(0, len(chosen), _USERS)]
        user, rank, item, score, prediction = (
            np.concatenate([getattr(part, name) for part in ranked] or [np.zeros(0, dtype=np.int64)])
            for name in ("user_index", "rank", "item_index", "score", "prediction")
        )
        table = pa.table({
            "user_id": self.loaded.users.decode(user), "rank": pa.array(rank, pa.int32()),
            "item_id": self.loaded.items.decode(item), "score": pa.array(score, pa.float32()),
            "prediction": pa.array(prediction, pa.float32()),
        })  # fmt: skip
        return self._with_titles(table)

    def similar_items(self, item: Id, k: int = 10) -> pa.Table:
        """The items that are nearest to one by what their raters have in common.

        The cosine of the items' vectors in the model of interest, or in the rating model where there is none.

        Args:
            item: Id of an item.
            k: At most how many others.

        Returns:
            ``item_id``, ``title`` where titles are known, and ``similarity``, within [-1, 1], the nearest first.

        Raises:
            BadInput: If the item is unknown.
        """
        vectors = [self.loaded.model.item_factors]
        if self.interest is not None:
            vectors = [part.item_factors for part in self.interest.parts]
        others, similarity = similar_rows(vectors, index_of(item, self.loaded.items, "item"), k)
        return self._with_titles(pa.table({"item_id": self.loaded.items.decode(others), "similarity": similarity}))

    def why(self, user: Id, items: Sequence[Id] | Id, k: int = 3) -> pa.Table:
        """The user's own ratings that speak most for items.

        Args:
            user: Id of a user.
            items: Ids of the items to explain.
            k: At most how many ratings for each item.

        Returns:
            ``item_id``, ``because`` (an item that the user rated), ``rating`` (theirs of it), ``interest`` (what it
            adds to the user's interest in the item, in shares of the sum of all that adds; null without a model of
            interest) and ``prediction`` (what it adds to the predicted rating by having been rated at all, in rating
            units; null for models without implicit features); per item the strongest first. ``because_title`` beside
            ``title`` where titles are known.

        Raises:
            BadInput: If the user or an item is unknown.
        """
        chosen = [items] if isinstance(items, int | str) else list(items)
        target = np.array([index_of(item, self.loaded.items, "item") for item in chosen], dtype=np.int64)
        rows = np.flatnonzero(self.ratings.user_index == index_of(user, self.loaded.users, "user"))
        own, rating = self.ratings.item_index[rows], self.ratings.rating[rows]
        interest = None if self.interest is None else interest_reasons(self.interest, own, rating, target)
        implicit = None if self.state is None else rating_reasons(self.state, own, target)
        ranking = interest if interest is not None else implicit
        if ranking is None:
            raise BadInput(
                f"why: found {self.name} without a model of interest, expected a model with a linear part; fit with "
                f"a model of interest, or bayesian_mf"
            )
        best = np.argsort(-ranking, axis=0, kind="stable")[:k].T
        place, reason = np.repeat(np.arange(len(target)), best.shape[1]), best.ravel()
        keep = ranking[reason, place] > 0
        place, reason = place[keep], reason[keep]
        table = pa.table({
            "item_id": self.loaded.items.decode(target[place]), "because": self.loaded.items.decode(own[reason]),
            "rating": pa.array(rating[reason], pa.float32()), "interest": _shares(interest, reason, place),
            "prediction": pa.nulls(len(place), pa.float64()) if implicit is None else implicit[reason, place],
        })  # fmt: skip
        return self._with_titles(self._with_titles(table), of="because", name="because_title")

    def _user_index(self, users: Sequence[Id] | Id | None) -> np.ndarray:
        if users is None:
            return np.arange(len(self.users))
        ids = [users] if isinstance(users, int | str) else list(users)
        return np.array([index_of(each, self.loaded.users, "user") for each in ids], dtype=np.int64)

    def _ranked(self, users: np.ndarray, k: int, rank_by: RankBy | None) -> Ranked:
        model, rated = _of_users(self.loaded.model, users), _rated_by(self.loaded.rated, users)
        interest = None if self.interest is None else _of_users(self.interest.factors, users)
        ranker = Ranker.of(model, interest, rank_by or self.rank_by)
        with one_blas_thread():
            found = ranker.best(slice(0, len(users)), rated, k)
        return replace(found, user_index=users[found.user_index])

    @cached_property
    def _title_of(self) -> pa.Array | None:
        """Title of each item by index, null where unknown."""
        if self.titles is None:
            return None
        ids, known = self.items.cast(pa.string()), self.titles["item_id"].cast(pa.string()).combine_chunks()
        return self.titles["title"].combine_chunks().take(pc.index_in(ids, value_set=known))

    def _with_titles(self, table: pa.Table, of: str = "item_id", name: str = "title") -> pa.Table:
        if self._title_of is None:
            return table
        titles = self._title_of.take(pa.array(self.loaded.items.find(table[of])))
        return table.add_column(table.column_names.index(of) + 1, name, titles)


def load(path: str | Path) -> Recommender:
    """Read a model that ``Recommender.save`` wrote.

    Raises:
        BadTable: If there is none, or a file is missing or damaged.
    """
    return Recommender.load(path)


def _of_users(model: FactorModel, users: np.ndarray) -> FactorModel:
    return replace(model, user_factors=model.user_factors[users], user_bias=model.user_bias[users])


def _rated_by(rated: RatedPairs, users: np.ndarray) -> RatedPairs:
    counts = np.diff(rated.indptr)[users]
    indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    places = np.arange(indptr[-1]) + np.repeat(rated.indptr[users] - indptr[:-1], counts)
    return RatedPairs(indptr, rated.item_index[places], rated.n_items)


def _shares(interest: np.ndarray | None, reason: np.ndarray, place: np.ndarray) -> pa.Array:
    if interest is None:
        return pa.nulls(len(place), pa.float64())
    total = np.maximum(interest, 0).sum(axis=0)
    return pa.array(interest[reason, place] / np.maximum(total[place], 1e-30))

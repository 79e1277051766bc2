"""Whether a newly trained model replaces the registry's champion: both are measured on the same test ratings."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from recobatch.errors import BadInput
from recobatch.evaluation.evaluate import predict_rows
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions
from recobatch.model_folder import LoadedModel, ModelFolder
from recobatch.rated import RatedPairs
from recobatch.vocabulary import Vocabulary

SAME_RATINGS = 0.5
"""Share of the rated pairs that two states of the same ratings have in common at least, as a part of the smaller."""
_FEWEST_ROWS = 30
"""Test rows below which two errors are not compared."""


@dataclass(frozen=True)
class Comparison:
    """Two models on the same test ratings; mean squared errors in squared rating units."""

    rows: int
    """Test ratings that neither model was trained with."""
    mse: float
    """Of the new model."""
    reigning_mse: float
    """Of the champion."""
    se: float
    """Standard error of the difference, from the differences rating by rating."""

    @property
    def is_better(self) -> bool:
        """Whether the new model's error is the lower one; of equal models the champion stays."""
        return self.mse < self.reigning_mse


def shared_pairs(reigning: LoadedModel, new: LoadedModel) -> float:
    """Share of rated pairs that two models' ratings have in common, within [0, 1], as a part of the smaller set.

    Ids say little: those of two data sets may be the same numbers. Who rated what does not coincide by chance.
    """
    rows = _Translation.of(new, reigning)
    if rows is None:
        return 0.0
    user_index, item_index = new.rated.pairs()
    users, items = rows.user[user_index], rows.item[item_index]
    known = (users >= 0) & (items >= 0)
    found = reigning.rated.contains(users[known], items[known]).sum()
    return float(found) / max(1, min(len(user_index), len(reigning.rated.item_index)))


def is_of_same_ratings(reigning: LoadedModel, new: LoadedModel) -> bool:
    """Whether two models were trained on states of the same ratings, grown, cut or sampled."""
    return shared_pairs(reigning, new) >= SAME_RATINGS


def compare_with_reigning(reigning: ModelFolder, new: ModelFolder, test: EncodedInteractions) -> Comparison | None:
    """Measure the champion and a new model on the test ratings that the champion was not trained with.

    The champion predicts a user or an item that it does not know as the mean of those it knows.

    Args:
        reigning: The champion's files.
        new: Those of the new model.
        test: Test ratings, by the index of the new model.

    Returns:
        None where so few ratings are left that the errors say nothing.
    """
    loaded, ours = reigning.load(), new.load()
    if (translation := _Translation.of(ours, loaded)) is None:
        return None
    users, items = translation.user[test.user_index], translation.item[test.item_index]
    fresh = ~_was_trained(reigning, loaded, users, items)
    if fresh.sum() < _FEWEST_ROWS:
        return None
    rows = test.take(fresh)
    factors = _with_means(FactorModel.load(reigning.judged))
    theirs = replace(rows, user_index=users[fresh], item_index=items[fresh],
                     n_users=factors.n_users, n_items=factors.n_items)  # fmt: skip
    errors = _squared_errors(FactorModel.load(new.judged), rows)
    reigning_errors = _squared_errors(factors, theirs)
    difference = errors - reigning_errors
    return Comparison(
        len(rows), float(errors.mean()), float(reigning_errors.mean()),
        float(difference.std(ddof=1) / len(difference) ** 0.5),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Translation:
    """From one model's indices to another's; -1 for an id that the other does not know."""

    user: np.ndarray
    item: np.ndarray

    @classmethod
    def of(cls, source: LoadedModel, target: LoadedModel) -> "_Translation | None":
        """None if the ids are of types that do not compare."""
        try:
            return cls(_find(source.users, target.users), _find(source.items, target.items))
        except BadInput:
            return None


def _find(source: Vocabulary, target: Vocabulary) -> np.ndarray:
    ids: pa.Array = source.ids
    return target.find(ids)


def _was_trained(folder: ModelFolder, model: LoadedModel, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Whether each pair is one that the champion was trained with: rated, and no part of its test ratings."""
    known = (users >= 0) & (items >= 0)
    trained = np.zeros(len(users), dtype=bool)
    trained[known] = model.rated.contains(users[known], items[known])
    if folder.test.exists():
        held_out = RatedPairs.load(folder.test)
        trained[known] &= ~held_out.contains(users[known], items[known])
    return trained


def _with_means(factors: FactorModel) -> FactorModel:
    """The model with a last user and a last item, at index -1, that are the mean of all others."""
    return replace(
        factors,
        user_factors=_and_mean(factors.user_factors), item_factors=_and_mean(factors.item_factors),
        user_bias=_and_mean(factors.user_bias), item_bias=_and_mean(factors.item_bias),
    )  # fmt: skip


def _and_mean(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, rows.mean(axis=0, keepdims=True)]).astype(np.float32)


def _squared_errors(factors: FactorModel, rows: EncodedInteractions) -> np.ndarray:
    return (predict_rows(factors, rows).astype(np.float64) - rows.rating) ** 2

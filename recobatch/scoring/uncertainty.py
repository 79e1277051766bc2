"""How sure published predictions are: intervals of pairs, and what is published of each user and each item."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.errors import BadTable
from recobatch.intervals import Calibration
from recobatch.model_folder import LoadedModel, ModelFolder
from recobatch.scoring.shards import described


def current_calibration(model: ModelFolder, loaded: LoadedModel) -> Calibration | None:
    """The calibration of a model, with activity bands by its rated pairs; None where it has none.

    Raises:
        BadTable: If the calibration is damaged, or of another model.
    """
    found = model.load_calibration()
    if found is None:
        return None
    sizes, expected = (len(found.user_ratings), len(found.item_ratings)), (len(loaded.users), len(loaded.items))
    if sizes != expected:
        raise BadTable(
            f"{model.calibration}: found {sizes[0]:,} users and {sizes[1]:,} items, expected {expected[0]:,} and "
            f"{expected[1]:,} as in the model; train again"
        )
    return replace(found, user_ratings=loaded.rated.user_counts, item_ratings=loaded.rated.item_counts)


def extend_calibration(calibration: Calibration, known: LoadedModel, extended: LoadedModel) -> Calibration:
    """The calibration of a model over other users and items, with activity bands by their ratings of now.

    Args:
        calibration: Of ``known``.
        known: The registered model.
        extended: As it is scored. Users and items that the other one does not know get the mean of their band.
    """
    return calibration.over(
        known.users.find(extended.users.ids), known.items.find(extended.items.ids),
        user_ratings=extended.rated.user_counts, item_ratings=extended.rated.item_counts,
    )  # fmt: skip


def pair_bounds(
    calibration: Calibration | None, loaded: LoadedModel, user_index: np.ndarray, item_index: np.ndarray,
    prediction: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """``lower_90`` and ``upper_90`` of pairs: float32, shape ``(n,)`` each.

    Without a calibration, nothing is known but the rating range: it is the interval of every pair.
    """
    if calibration is not None:
        return calibration.bounds(user_index, item_index, prediction)
    low, high = loaded.model.min_rating, loaded.model.max_rating
    ends = (low, high) if high > low else (-np.inf, np.inf)
    lower, upper = (np.full(len(prediction), end, dtype=np.float32) for end in ends)
    return np.minimum(lower, prediction), np.maximum(upper, prediction)


def user_table(loaded: LoadedModel, calibration: Calibration | None) -> pa.Table:
    """What is known of each user: ``user_id``, ``ratings``, ``sd`` (null without a calibration)."""
    ratings = pa.array(loaded.rated.user_counts)
    schema = _schema("user", loaded.users.ids.type)
    sd = None if calibration is None else calibration.noise.user_sd
    return pa.table([loaded.users.ids, ratings, _sd(sd, len(ratings))], schema=schema)


def item_table(loaded: LoadedModel, calibration: Calibration | None, titles: pa.Table | None = None) -> pa.Table:
    """What is known of each item: ``item_id``, ``title`` (null without one), ``ratings``, ``sd``.

    Args:
        loaded: The model.
        calibration: Of the model.
        titles: ``item_id`` and ``title``; ids may be of another type than the model's.
    """
    ids, ratings = loaded.items.ids, pa.array(loaded.rated.item_counts)
    known = pa.nulls(len(ids), pa.string())
    if titles is not None:
        named = titles["item_id"].cast(pa.string()).combine_chunks()
        known = titles["title"].combine_chunks().take(pc.index_in(ids.cast(pa.string()), value_set=named))
    schema = _schema("item", ids.type)
    schema = schema.insert(1, described("title", pa.string(), "the item's title").with_nullable(True))
    sd = None if calibration is None else calibration.noise.item_sd
    return pa.table([ids, known.cast(pa.string()), ratings, _sd(sd, len(ids))], schema=schema)


def _schema(noun: str, ids: pa.DataType) -> pa.Schema:
    sd = f"the {noun}'s part of the sd of a prediction, in the unit of the ratings"
    return pa.schema([
        described(f"{noun}_id", ids, f"the {noun}'s id as it was in the ratings"),
        described("ratings", pa.int64(), f"ratings of the {noun}"),
        described("sd", pa.float32(), sd).with_nullable(True),
    ])  # fmt: skip


def _sd(values: np.ndarray | None, n: int) -> pa.Array:
    return pa.nulls(n, pa.float32()) if values is None else pa.array(values)

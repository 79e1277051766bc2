"""The choice of the champion: every model is trained once more on a part of train, and judged on the rest of it.

The test part has no influence on it. Imports no TensorFlow.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recobatch.errors import BadSettings
from recobatch.evaluation.evaluate import evaluate, predict_rows
from recobatch.evaluation.standing import Standing, compare_candidates
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions, Split
from recobatch.models import find_model
from recobatch.training.fit import OnEpoch, TrainingInputs, fitter

_SWEEPS = 60
"""Most sweeps of a model that is only compared."""
_MOST_PARTS, _ENOUGH = 2, 20_000
"""Parts of the training ratings that intervals are calibrated on, and ratings in them that suffice."""


class ChampionOptions(BaseModel):
    """How the champion is chosen, and which ratings the published models know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    validation_fraction: float = Field(0.125, ge=0, le=0.5)
    """Share of the training ratings on which the models are compared and their intervals calibrated, after one more
    training of each on the others; those of a Keras model on two such shares. 0 compares them on the split's
    validation part, or on ratings that every recipe holds out, else on the test part, and calibrates on the first or
    the last of these."""
    trained_on: Literal["all", "train"] = "all"
    """Ratings that the published champion knows. ``all``: after it was measured, ``bayesian_mf`` continues its chains
    with every rating, and a Keras model is trained again on every rating for the epochs that were best. ``train``:
    it is published as measured. Other Keras models than the champion always are."""


def compare_split(split: Split, fraction: float, seed: int) -> Split:
    """Training ratings divided at random: ``train``, and the ratings to compare models on as ``test``.

    Args:
        split: The split of the batch, of which only the training part is used.
        fraction: Share of the second part.
        seed: The same seed gives the same parts.

    Raises:
        BadSettings: If a part would be empty.
    """
    return next(held_out_parts(split, fraction, seed))


def held_out_parts(split: Split, fraction: float, seed: int) -> Iterator[Split]:
    """Training ratings divided again and again, at random; no rating is in two of the second parts.

    Args:
        split: As in ``compare_split``, which returns the first.
        fraction: Likewise.
        seed: Likewise.

    Raises:
        BadSettings: If a part would be empty.
    """
    train, rng = split.train, np.random.default_rng(seed)
    size = round(fraction * len(train))
    if not 0 < size < len(train):
        raise BadSettings(
            f"champion.validation_fraction: found {fraction:g} of {len(train):,} training ratings, expected at least "
            f"one rating in each part; give more ratings, or pass --set champion.validation_fraction=0"
        )
    left = np.arange(len(train))
    while len(left) >= size:
        held = np.zeros(len(train), dtype=bool)
        held[left[rng.choice(len(left), size, replace=False, shuffle=False)]] = True
        yield Split(train.take(~held), train.take(held))
        left = left[~held[left]]


def compare_errors(factors: Mapping[str, FactorModel], held_out: EncodedInteractions) -> dict[str, Standing]:
    """Compare models, rating by rating, on ratings that none of them was trained with.

    Args:
        factors: By name.
        held_out: The second part of ``compare_split``, or the validation part of a split of three.
    """
    return compare_candidates({
        name: (predict_rows(model, held_out).astype(np.float64) - held_out.rating) ** 2
        for name, model in factors.items()
    })  # fmt: skip


def validation_error(
    name: str, inputs: TrainingInputs, fraction: float, on_epoch: OnEpoch | None = None, factors: Path | None = None
) -> float:
    """Mean squared error of a model on training ratings that it was not given, squared rating units.

    Args:
        name: Of the model.
        inputs: As for its training.
        fraction: As in ``compare_split``.
        on_epoch: Called after every epoch.
        factors: Where the factors of the model are written; by default they are not kept.

    Raises:
        BadSettings: As ``compare_split`` and ``recobatch.training.fit.fit``.
    """
    parts = compare_split(inputs.split, fraction, inputs.seed)
    fitted = fitter(name)(name, shortened(replace(inputs, split=parts), inputs.split.train), None, on_epoch)
    if factors is not None:
        fitted.factors.save(factors)
    return evaluate(fitted.factors, train=parts.train, test=parts.test).mse


def train_without_more(name: str, inputs: TrainingInputs, fraction: float) -> Iterator[FactorModel]:
    """Further trainings like that of ``validation_error``, each without the next of ``held_out_parts``.

    Intervals that are calibrated on one part alone depend on which one it is, and on one training: those of a Keras
    model, which trains in seconds, are calibrated on two parts, unless one holds 20,000 ratings.
    """
    if not find_model(name).is_keras:
        return
    size = round(fraction * len(inputs.split.train))
    parts = islice(held_out_parts(inputs.split, fraction, inputs.seed), 1, min(_MOST_PARTS, -(-_ENOUGH // size)))
    for part in parts:
        yield fitter(name)(name, shortened(replace(inputs, split=part), inputs.split.train), None, None).factors


def shortened(inputs: TrainingInputs, like: EncodedInteractions) -> TrainingInputs:
    """The inputs of a training that only compares or calibrates: fewer sweeps, and compiled code shared with ``like``.

    Args:
        inputs: Of the training.
        like: Training ratings of another training of an equal model.
    """
    sweeps = min(_SWEEPS, inputs.options.sweeps or _SWEEPS)
    options = inputs.options.model_copy(update={"sweeps": sweeps, "chains": 1})
    return replace(inputs, options=options, room=len(like))

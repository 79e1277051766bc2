"""One trial: a training on a part of the training ratings, and its error on the rest of them."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from recobatch.encode import Encoded
from recobatch.evaluation.evaluate import evaluate
from recobatch.features import Features
from recobatch.interactions import EncodedInteractions, Split
from recobatch.models.options import ModelOptions
from recobatch.models.search_space import Value
from recobatch.training.choice import compare_split
from recobatch.training.fit import TrainingInputs, fitter
from recobatch.training.recipe import Recipe

_Options = TypeVar("_Options", ModelOptions, Recipe)
OnValidation = Callable[[int, float], None]
"""Called after each epoch with its number from 1 and ``val_loss``; may raise to end the training."""


@dataclass(frozen=True)
class Outcome:
    """A finished training."""

    validation_mse: float
    best_epoch: int
    seconds: float


@dataclass(frozen=True, eq=False)
class SearchInputs:
    """What trials are trained and judged on. There is no test part: nothing here can look at one."""

    train: EncodedInteractions
    """The training part; ``fraction`` of it is held out."""
    encoded: Encoded
    rating_range: tuple[float, float]
    options: ModelOptions
    """In force before the search."""
    recipe: Recipe
    """Likewise."""
    seed: int
    fraction: float = 0.125
    users: Features | None = None
    items: Features | None = None

    def split(self) -> Split:
        """The ratings to train on, and those to judge by as ``test`` and ``validation``: the same ones in every trial.

        Raises:
            BadSettings: If there are too few ratings.
        """
        # The test side of the split given here is the training part again; compare_split uses the training part alone.
        parts = compare_split(Split(self.train, self.train), self.fraction, self.seed)
        return Split(parts.train, parts.test, parts.test)


def train_once(
    name: str,
    inputs: SearchInputs,
    parts: Split,
    values: Mapping[str, Value],
    on_validation: OnValidation | None = None,
) -> Outcome:
    """Train a model with some settings and measure it on the held-out ratings.

    Args:
        name: Of the model.
        inputs: The ratings, and the settings in force.
        parts: ``inputs.split()``.
        values: Settings that replace those in force, by ``section.key``.
        on_validation: Called after each epoch.

    Raises:
        RecobatchError: If training diverges.
    """
    curve: list[float] = []

    def on_epoch(epoch: int, loss: float, val_loss: float, **figures: float) -> None:
        curve.append(val_loss)
        if on_validation is not None and math.isfinite(val_loss):
            on_validation(epoch, val_loss)

    started = time.perf_counter()
    training = TrainingInputs(
        inputs.encoded, parts, inputs.rating_range, _updated(inputs.options, "model", values),
        _updated(inputs.recipe, "train", values), inputs.seed, inputs.users, inputs.items,
    )  # fmt: skip
    fitted = fitter(name)(name, training, None, on_epoch)
    error = evaluate(fitted.factors, train=parts.train, test=parts.test).mse
    return Outcome(error, fitted.history.best_epoch or len(curve), time.perf_counter() - started)


def in_force(inputs: SearchInputs) -> SearchInputs:
    """The settings in force as a baseline is trained: ratings are held out already, so the recipe holds out none.

    A recipe with a patience stops by the held-out ratings, as a trial does.
    """
    return replace(inputs, recipe=inputs.recipe.model_copy(update={"validation_fraction": 0.0, "refit": False}))


def _updated(options: _Options, section: str, values: Mapping[str, Value]) -> _Options:
    changed = {
        key.removeprefix(f"{section}."): None if value == "null" else value
        for key, value in values.items()
        if key.startswith(f"{section}.")
    }
    return type(options).model_validate({**options.model_dump(), **changed})

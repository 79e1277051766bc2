"""Ratings on any scale: the same opinions in other numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from recobatch.encode import Encoded
from recobatch.evaluation.evaluate import evaluate
from recobatch.interactions import EncodedInteractions, Split
from recobatch.training.fit import TrainingInputs, fitter
from recobatch.training.history import History

SCALES = {
    "0 to 1": (0.25, -0.25), "1001 to 1005": (1, 1000), "10 to 100": (22.5, -12.5), "-10 to 10": (5, -15),
    "0 to 1e6": (2.5e5, -2.5e5), "1e-6 to 5e-6": (1e-6, 0), "1e6 to 5e6": (1e6, 0), "-9 to -5": (1, -10),
    "0.5 to 4": (0.875, -0.375), "1 to 10": (2.25, -1.25), "100 to 100.4": (0.1, 99.9), "0 to 4": (1, -1),
}  # fmt: skip
"""Name → factor and offset of ratings from 1 to 5."""


def on_scale(rows: EncodedInteractions, scale: tuple[float, float]) -> EncodedInteractions:
    """The same rows, their ratings times a factor, plus an offset."""
    return replace(rows, rating=(rows.rating.astype(np.float64) * scale[0] + scale[1]).astype(np.float32))


def split_on_scale(parts: Split, scale: tuple[float, float]) -> Split:
    """The same parts on another scale."""
    return Split(on_scale(parts.train, scale), on_scale(parts.test, scale))


def training_inputs(parts: Split, **settings) -> TrainingInputs:
    """What a model is trained on; the range is that of all ratings."""
    train = parts.train
    ratings = np.concatenate([train.rating, parts.test.rating])
    encoded = Encoded(Path(), train.n_users, train.n_items, len(ratings), None)
    return TrainingInputs(encoded, parts, (float(ratings.min()), float(ratings.max())), **settings, n_threads=1)


def trained_error(name: str, inputs: TrainingInputs) -> tuple[float, History]:
    """Test MSE of a model, and its history."""
    fitted = fitter(name)(name, inputs, None, None)
    return evaluate(fitted.factors, train=inputs.split.train, test=inputs.split.test).mse, fitted.history


def explained(error: float, parts: Split) -> float:
    """R² on the test part."""
    return 1 - error / float(parts.test.rating.astype(np.float64).var())

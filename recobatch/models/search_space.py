"""What a search may try for a model: ranges and choices of its settings. Imports no Keras and no Optuna."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Value = bool | int | float | str
"""Of a setting; the text ``null`` unsets one."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included."""

    low: float
    high: float
    log: bool = False
    """Whether to draw the logarithm evenly."""
    whole: bool = False
    """Whether the numbers are integers."""


@dataclass(frozen=True)
class Choices:
    """Some of a few values."""

    values: tuple[int | float | str, ...]


@dataclass(frozen=True)
class SearchSpace:
    """The settings that a search varies, by ``section.key`` with the sections ``model`` and ``train``."""

    dimensions: Mapping[str, Range | Choices] = field(default_factory=dict)
    fixed: Mapping[str, Value] = field(default_factory=dict)
    """Settings that every trial has, and the result too."""
    trial: Mapping[str, Value] = field(default_factory=dict)
    """Settings that a trial has, but not the result: how long it trains, and when it stops."""
    counts_epochs: bool = False
    """Whether the result trains for the number of epochs that was best."""
    first: Mapping[str, Value] = field(default_factory=dict)
    """Values of the first trial, one for each dimension; none if it is proposed like the others."""


KERAS_SPACE = SearchSpace(
    dimensions={
        "model.n_factors": Choices((16, 40, 100, 300)),
        "model.initial_scale": Range(0.003, 0.3, log=True),
        "train.learning_rate": Range(0.01, 0.15, log=True),
        "train.decay": Range(0.85, 0.97),
        "train.l2_per_rating": Range(0.02, 0.2, log=True),
    },
    # Neither the optimizer nor the mini-batch is searched: sgd costs a fraction of Adam and reached lower errors on
    # every data set tried (docs/measurements.md), and with it the size of a mini-batch changes the speed only.
    fixed={"model.l2": 0.0, "train.optimizer": "sgd", "train.batch_size": 256},
    trial={"train.epochs": 40, "train.patience": 5, "train.min_epochs": 16},
    counts_epochs=True,
    # Good on held-out training ratings of MovieLens 100k: a short search on a busy machine has few trials.
    first={
        "model.n_factors": 300, "model.initial_scale": 0.005, "train.learning_rate": 0.05, "train.decay": 0.9,
        "train.l2_per_rating": 0.05,
    },
)  # fmt: skip
"""Of the Keras models: Koren, Bell, Volinsky 2009 with a decaying learning rate. How many different ``n_factors`` there
are decides how often an epoch is compiled."""

BAYESIAN_SPACE = SearchSpace(
    dimensions={"model.bayesian_factors": Range(4, 48, log=True, whole=True)},
    trial={"model.sweeps": 100, "model.chains": 1},
)
"""Of ``bayesian_mf``, whose priors are sampled: nothing is left but the length of the vectors."""

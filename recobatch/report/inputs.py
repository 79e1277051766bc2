"""What the pictures and the page are made from: figures that other stages computed, as plain values and arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class TestRows:
    """The ratings that the models are judged by."""

    __test__ = False  # not a test class, whatever pytest makes of the name

    user_index: np.ndarray
    """Integers, shape ``(n,)``."""
    item_index: np.ndarray
    """Integers, shape ``(n,)``."""
    rating: np.ndarray
    """Observed, float, shape ``(n,)``, in rating units."""
    ratings_of_user: np.ndarray
    """Ratings of each user in train, integers, shape ``(n_users,)``."""
    ratings_of_item: np.ndarray
    """Ratings of each item in train, integers, shape ``(n_items,)``."""


@dataclass(frozen=True, eq=False)
class ModelResult:
    """One trained model and how it did."""

    name: str
    loss: Sequence[float]
    """Training loss per epoch."""
    val_loss: Sequence[float]
    """Loss on held-out rows per epoch; empty where there was none."""
    test_prediction: np.ndarray
    """Prediction of each test row, float, shape ``(n,)``, in rating units."""
    item_factors: np.ndarray
    """float, shape ``(n_items, n_factors)``."""
    test_mse: float
    test_rmse: float
    test_mae: float
    train_seconds: float
    run_id: str = ""
    """MLflow's id of the run."""
    run_url: str | None = None
    """Page of the run, where a tracking server has one."""


@dataclass(frozen=True)
class DataSummary:
    """The ratings of the batch."""

    name: str
    source: str
    fingerprint: str
    n_ratings: int
    """Clean ratings."""
    n_users: int
    n_items: int
    n_train: int
    n_test: int
    n_validation: int = 0
    cold_rows: int = 0
    """Test rows whose user or item never occurs in train."""
    quarantined: Mapping[str, int] = field(default_factory=dict)
    """Rows set aside, by reason."""
    quarantine_path: str | None = None


@dataclass(frozen=True)
class PublishedTable:
    """The snapshot that the batch published."""

    path: str
    """Where the table lies, as a reader is told it."""
    champion_path: str
    """Folder with the champion's predictions, as a reader is told it."""
    version: str
    rows: Mapping[str, int]
    """Predictions per model."""
    first_user: int | str
    """Raw id of a user that it has, to show queries with."""


@dataclass(frozen=True, eq=False)
class ReportInputs:
    """Everything the page of one batch tells."""

    batch_id: str
    created: str
    """When the batch ran, as people write it."""
    champion: str
    """Name of the model that was chosen."""
    models: Sequence[ModelResult]
    """All models of the batch, in any order."""
    baselines: Mapping[str, float]
    """Test MSE of what a model has to beat, by name (``global_mean``, ``bias``)."""
    data: DataSummary
    test: TestRows
    item_titles: Sequence[str]
    """One per item index; the raw id as text where there is no title."""
    table: PublishedTable | None = None
    """None if nothing was published."""
    gate: str = ""
    """What the quality gate said, one line; empty if it passed in silence."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Every setting by its dotted name."""
    command: str = "recobatch run"
    """Repeats the batch; it may go over several lines."""
    code_version: str = ""

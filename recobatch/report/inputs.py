"""The results of other stages that the figures and the page are made from, as plain values and arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.interactions import Split
from recobatch.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class TestRows:
    """The ratings that the models are evaluated on."""

    __test__ = False  # not a test class, although pytest collects classes of this name

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

    @classmethod
    def of(cls, split: Split) -> Self:
        """The test part of a split, with the counts of its train part."""
        train, test = split.train, split.test
        return cls(
            test.user_index, test.item_index, test.rating,
            np.bincount(train.user_index, minlength=train.n_users),
            np.bincount(train.item_index, minlength=train.n_items),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class ModelResult:
    """One trained model and its results."""

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
    """Quarantined rows, by reason."""
    quarantine_path: str | None = None


@dataclass(frozen=True)
class PublishedTable:
    """The snapshot that the batch published."""

    path: str
    """The table, as ``table.path`` names it."""
    champion_path: str
    """Folder with the champion's predictions."""
    version: str
    rows: Mapping[str, int]
    """Predictions per model."""
    first_user: int | str
    """Raw id of a user in it, for the queries."""


@dataclass(frozen=True, eq=False)
class ReportInputs:
    """All that the page of one batch shows."""

    batch_id: str
    created: str
    """Date and time of the batch, formatted."""
    champion: str
    """Name of the model that was chosen."""
    models: Sequence[ModelResult]
    """All models of the batch, in any order."""
    baselines: Mapping[str, float]
    """Test MSE of each baseline, by name (``global_mean``, ``bias``)."""
    data: DataSummary
    test: TestRows
    item_titles: Sequence[str]
    """One per item index; the raw id as text where there is no title."""
    table: PublishedTable | None = None
    """None if nothing was published."""
    gate: str = ""
    """Why the quality gate refused the batch, one line; empty if it passed."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Every setting by its dotted name."""
    command: str = "recobatch run"
    """Repeats the batch; one or more lines."""
    code_version: str = ""


def titles_by_index(items: Vocabulary, titles: pa.Table | None) -> Sequence[str]:
    """A title per item index; the raw id as text where there is none.

    Args:
        items: The ids of the items.
        titles: Columns ``item_id`` and ``title``; None where the ratings have no titles.
    """
    ids = items.ids.cast(pa.string())
    if titles is None:
        return ids.to_pylist()
    index = pc.index_in(ids, value_set=titles["item_id"].cast(pa.string()).combine_chunks())
    return pc.coalesce(titles["title"].combine_chunks().take(index), ids).to_pylist()

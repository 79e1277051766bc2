"""What the report of a batch shows, as plain values and arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.ingest import IngestReport
from recobatch.interactions import Split
from recobatch.report.coverage import CoverageResult
from recobatch.report.lists import ListResult
from recobatch.vocabulary import Vocabulary


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
    best_epoch: int | None = None
    """Epoch whose weights the model holds, from 1; None if unknown."""
    run_id: str = ""
    """MLflow's id of the run."""
    run_url: str | None = None
    """Page of the run, where a tracking server has one."""

    @property
    def is_finite(self) -> bool:
        """Whether all its predictions are finite."""
        return bool(np.isfinite(self.test_prediction).all())


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
    """The results of one batch."""

    batch_id: str
    created: str
    """Date and time of the batch, formatted."""
    champion: str
    """Name of the model that was chosen."""
    models: Sequence[ModelResult]
    """All models of the batch, in any order."""
    baselines: Mapping[str, float]
    """Test MSE of each baseline, by name (``global_mean``, ``bias``)."""
    data_name: str
    data_source: str
    """Path or URI of the ratings, without credentials."""
    ingest: IngestReport
    split: Split
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
    lists: Sequence[ListResult] = ()
    """The quality of the lists by every way to rank, and of the baselines; empty if it was not measured."""
    lists_note: str = ""
    """Why it was not measured."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Model that is not published → why, one line."""
    coverage: CoverageResult | None = None
    """The champion's intervals; None if they were not measured."""

    @cached_property
    def ratings_of_user(self) -> np.ndarray:
        """Ratings of each user in train, integers, shape ``(n_users,)``."""
        return self.split.train.user_counts()

    @cached_property
    def ratings_of_item(self) -> np.ndarray:
        """Ratings of each item in train, integers, shape ``(n_items,)``."""
        return self.split.train.item_counts()

    @property
    def cold_rows(self) -> int:
        """Test rows whose user or item never occurs in train."""
        test = self.split.test
        is_known = self.ratings_of_user[test.user_index].astype(bool) & self.ratings_of_item[test.item_index].astype(
            bool
        )
        return int((~is_known).sum())

    @property
    def champion_result(self) -> ModelResult:
        return next(model for model in self.models if model.name == self.champion)

    @property
    def ranked(self) -> list[ModelResult]:
        """The champion, then the other models by ascending error."""
        return sorted(self.models, key=lambda model: (model.name != self.champion, model.test_mse))

    @property
    def published_lists(self) -> ListResult | None:
        """The champion's lists as they are published."""
        return next((each for each in self.lists if each.is_published), None)

    @property
    def test_errors(self) -> dict[str, float]:
        """Mean squared error of the models with finite predictions and of the baselines, by readable name."""
        errors = {model.name: model.test_mse for model in self.ranked if model.is_finite}
        return errors | {baseline_name(name): mse for name, mse in self.baselines.items()}


def baseline_name(name: str) -> str:
    """A readable name, such as ``the mean rating`` for ``global_mean``."""
    return {"global_mean": "the mean rating", "bias": "user and item means"}.get(name, name.replace("_", " "))


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

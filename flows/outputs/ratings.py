"""Ratings as stages pass them: encoded, their side tables, and their split."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.addresses import holds_secret, without_secrets
from recobatch.encode import Encoded
from recobatch.evaluation.split_report import SplitReport
from recobatch.features import Features
from recobatch.ingest import IngestOptions, IngestReport
from recobatch.interactions import EncodedInteractions, Split
from recobatch.sources.datasets import Source, read_titles
from recobatch.sources.titles import with_id_type
from recobatch.storage.workspace import StageOutput
from recobatch.tracking import DatasetInfo
from recobatch.vocabulary import Vocabulary


@dataclass(frozen=True)
class SideTables:
    """Features of users and items."""

    folder: Path | None = None
    key: str = ""
    """Fingerprint of everything that shaped them."""
    reports: Mapping[str, Any] = field(default_factory=dict)
    """``users`` and ``items`` → what was read from the table, or why it is not used under ``left_out``."""

    def load(self, side: Literal["users", "items"]) -> Features | None:
        """The features of one side; None where there are none."""
        path = None if self.folder is None else self.folder / f"{side}.npz"
        return None if path is None or not path.exists() else Features.load(path)


@dataclass(frozen=True)
class Ratings:
    """Clean, encoded ratings."""

    source: Source
    report: IngestReport
    encoded: Encoded
    key: str
    """Fingerprint of everything that shaped them."""
    side: SideTables = SideTables()
    """Tables of their users and items."""

    @property
    def n_users(self) -> int:
        return self.encoded.n_users

    @property
    def n_items(self) -> int:
        return self.encoded.n_items

    @property
    def n_pairs(self) -> int:
        return self.n_users * self.n_items

    @property
    def first_user(self) -> int | str:
        """An id to try queries with."""
        user: int | str = Vocabulary.load(self.encoded.users_path).ids[0].as_py()
        return user

    def interactions(self) -> EncodedInteractions:
        return EncodedInteractions.load(self.encoded.interactions_path)

    def titles(self) -> pa.Table | None:
        """Of the items, by ids of the items' type, where the source has them."""
        if not self.source.titles:
            return None
        kind = pq.read_schema(self.encoded.items_path).field("id").type
        return with_id_type(read_titles(self.source.titles), kind)

    def info(self) -> DatasetInfo:
        """For MLflow's column of datasets."""
        return DatasetInfo(
            name=self.source.name, source=without_secrets(self.source.uri), fingerprint=self.report.fingerprint,
            n_ratings=self.report.ratings, n_users=self.n_users, n_items=self.n_items,
        )  # fmt: skip

    def range_of(self, options: IngestOptions) -> tuple[float, float]:
        """Lowest and highest possible rating: as the settings say, else as found."""
        return options.rating_range or (self.report.rating_min, self.report.rating_max)

    def facts(self) -> dict[str, int]:
        """Counts by their names in MLflow."""
        counts = {"ratings": self.report.ratings, "quarantined": self.report.quarantined}
        return counts | {"users": self.n_users, "items": self.n_items}

    def tags(self) -> dict[str, str]:
        """Tags of a version in the registry, so that the ratings can be read again when it scores.

        An address with credentials in it is not kept: ratings from there have to be named.
        """
        newest = self.encoded.newest
        tags = {} if newest is None else {"newest_rating": str(newest)}
        if not holds_secret(self.source.location):
            layout = self.source.read.model_dump(exclude_none=True)
            tags |= {"ratings": self.source.location, "ratings_layout": json.dumps(layout)}
        return tags


@dataclass(frozen=True)
class Parts:
    """The split."""

    folder: Path
    key: str
    """Fingerprint of everything that shaped it."""
    report: SplitReport

    @classmethod
    def of(cls, done: StageOutput) -> Self:
        return cls(done.path, done.key, SplitReport.from_json(done.report))

    def load(self) -> Split:
        """The parts, without their times, which are two fifths of the memory: what they shaped is done."""
        return Split.load(self.folder, times=False)

    def load_train(self) -> EncodedInteractions:
        """The training part alone; the files of the others are not opened."""
        return EncodedInteractions.load(self.folder / "train.parquet", times=False)

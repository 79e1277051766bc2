"""What a recommender is made of, in memory and as a folder of plain files.

model.json             name, columns, what lists are ranked by
factors.npz, users.parquet, items.parquet, rated.npz, ratings.parquet
interest.npz, calibration.npz, state.npz, titles.parquet        where there are any
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.bayesian import BayesianState
from recobatch.errors import BadInput, BadTable
from recobatch.interactions import EncodedInteractions
from recobatch.interest_model import InterestModel
from recobatch.intervals import Calibration
from recobatch.model_folder import CALIBRATION_FILE, INTEREST_FILE, STATE_FILE, LoadedModel, ModelFolder
from recobatch.scoring.ranker import RankBy
from recobatch.scoring.uncertainty import current_calibration
from recobatch.storage.durable import explained
from recobatch.storage.scratch import scratch_folder

_ABOUT = "model.json"
_RATINGS = "ratings.parquet"
_TITLES = "titles.parquet"
_FORMAT = 1


@dataclass(frozen=True, eq=False, repr=False)
class Content:
    """Models, ids, ratings and titles."""

    name: str
    """Of the rating model."""
    loaded: LoadedModel
    """Factors, ids and rated pairs."""
    ratings: EncodedInteractions
    """What it was trained on."""
    interest: InterestModel | None
    """Which items a user would take; None where none was trained."""
    rank_by: RankBy
    """What lists are ranked by: what ranked held-out ratings best."""
    state: BayesianState | None
    """Samples of ``bayesian_mf``; None for other models."""
    titles: pa.Table | None
    """``item_id`` and ``title``; None where no titles are known."""
    columns: Mapping[str, str]
    """Role (user, item, rating, time) → the column's name in the ratings."""
    calibration: Calibration | None = None
    """Of the intervals; None where none was fitted."""

    def save(self, path: str | Path) -> None:
        """Write everything to a folder: parquet, npz of plain arrays, JSON; nothing is pickled.

        Args:
            path: A folder that does not exist, is empty, or holds a model that was saved before, which is replaced.

        Raises:
            BadInput: If something else lies there.
        """
        path = Path(path)
        is_free = not path.exists() or (path.is_dir() and not any(path.iterdir()))
        if not is_free and not (path / _ABOUT).is_file():
            raise BadInput(
                f"{path}: found something that is not a saved model, expected a free name or a model that was saved "
                f"before; nothing was touched, pass another path"
            )
        with scratch_folder(path.absolute().parent, "saving") as scratch:
            try:
                with explained("save the model", path, outcome="nothing was saved"):
                    self._write(scratch)
                    if path.exists():
                        shutil.rmtree(path)
                    scratch.rename(path)
            except BaseException:
                shutil.rmtree(scratch, ignore_errors=True)
                raise

    def _write(self, folder: Path) -> None:
        self.loaded.save(folder)
        self.ratings.save(folder / _RATINGS)
        if self.interest is not None:
            self.interest.save(folder / INTEREST_FILE)
        if self.state is not None:
            self.state.save(folder / STATE_FILE)
        if self.calibration is not None:
            self.calibration.save(folder / CALIBRATION_FILE)
        if self.titles is not None:
            pq.write_table(self.titles, folder / _TITLES)
        about = {"format": _FORMAT, "name": self.name, "rank_by": self.rank_by, "columns": dict(self.columns)}
        (folder / _ABOUT).write_text(json.dumps(about, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Inverse of ``save``.

        Raises:
            BadTable: If there is no saved model, or a file is missing or damaged.
        """
        folder = Path(path)
        about, files = _read_about(folder), ModelFolder(folder)
        loaded = files.load()
        try:
            ratings = EncodedInteractions.load(folder / _RATINGS)
            titles = pq.read_table(folder / _TITLES) if (folder / _TITLES).exists() else None
        except (OSError, pa.ArrowException) as error:
            raise BadTable(
                f"{folder}: found files that cannot be read ({error}), expected those of a saved model; fit again"
            ) from error
        interest = InterestModel.load(files.interest) if files.interest is not None else None
        state = BayesianState.load(files.state) if files.state.exists() else None
        return cls(
            about["name"], loaded, ratings, interest, about["rank_by"], state, titles, about["columns"],
            current_calibration(files, loaded),
        )  # fmt: skip


def _read_about(folder: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        found, *_ = (about[key] for key in ("format", "name", "rank_by", "columns"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadTable(
            f"{folder}: found no saved model ({error}), expected a folder as model.save writes it; check the path, or "
            f"fit and save again"
        ) from error
    if found != _FORMAT:
        raise BadTable(
            f"{folder}: found a model of format {found}, expected {_FORMAT}; install the version of recobatch that "
            f"saved it, or fit again"
        )
    return about

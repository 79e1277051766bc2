"""A model on disk: a folder whose path scoring, tracking and cluster workers share."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self, TypeVar

from recobatch.errors import BadTable

if TYPE_CHECKING:
    from recobatch.factors import FactorModel
    from recobatch.interest_model import InterestModel
    from recobatch.intervals import Calibration
    from recobatch.rated import RatedPairs
    from recobatch.vocabulary import Vocabulary

SCORED_FILES = ("factors.npz", "users.parquet", "items.parquet", "rated.npz")
"""The files that scoring reads of every model."""
KERAS_FILE = "model.keras"
DESCRIPTIONS = ("model_summary.txt", "model_diagram.svg")
"""What a fit may write for people: a text, a drawing."""
STATE_FILE = "state.npz"
"""Name of a saved ``BayesianState``."""
MEASURED_FILES = ("measured.npz", "test.npz")
"""What measuring the model again takes: its factors before it was given the test part, and the pairs of that part."""
INTEREST_FILE = "interest.npz"
"""Name of a saved ``InterestModel``."""
CALIBRATION_FILE = "calibration.npz"
"""Name of a saved ``Calibration``."""


@dataclass(frozen=True)
class ModelFolder:
    """The files of one model, at fixed names; processes exchange the path, not arrays."""

    path: Path
    batch_interest: Path | None = None
    """File of the interest model that the models of a batch share; None where it lies in the folder, if there is one.
    """
    fitted_calibration: Path | None = None
    """File of the calibration, which is fitted after the model; None where it lies in the folder, if there is one."""

    @property
    def interest(self) -> Path | None:
        """Written by ``InterestModel.save``; None where there is no interest model."""
        own = self.path / INTEREST_FILE
        return self.batch_interest or (own if own.exists() else None)

    @property
    def calibration(self) -> Path | None:
        """Written by ``Calibration.save``; None where the model has none, as those of earlier releases."""
        own = self.path / CALIBRATION_FILE
        return self.fitted_calibration or (own if own.exists() else None)

    @property
    def scored_files(self) -> dict[str, Path]:
        """The files that scoring reads, by name: ``SCORED_FILES``, and the optional ones that there are."""
        optional = {INTEREST_FILE: self.interest, CALIBRATION_FILE: self.calibration}
        files = {name: self.path / name for name in SCORED_FILES}
        return files | {name: path for name, path in optional.items() if path is not None}

    @property
    def fingerprints(self) -> dict[str, str]:
        """Sha256 of the content of each part, 64 hex digits: of ``load``, and of the optional parts that there are."""
        found = self.load().fingerprints
        if self.interest is not None:
            found["interest"] = load_interest(self.interest).fingerprint
        if (calibration := self.load_calibration()) is not None:
            found["calibration"] = calibration.fingerprint
        return found

    @property
    def factors(self) -> Path:
        """Written by ``FactorModel.save``."""
        return self.path / "factors.npz"

    @property
    def measured(self) -> Path:
        """Likewise, of the model that was measured on the test part; absent where it is the published one."""
        return self.path / MEASURED_FILES[0]

    @property
    def judged(self) -> Path:
        """Factors of the model that knows the training part alone."""
        return self.measured if self.measured.exists() else self.factors

    @property
    def test(self) -> Path:
        """``RatedPairs`` of the test part; absent in models that were registered without it."""
        return self.path / MEASURED_FILES[1]

    @property
    def measured_files(self) -> dict[str, Path]:
        """``MEASURED_FILES``, as far as there are any, by name."""
        return {name: path for name in MEASURED_FILES if (path := self.path / name).exists()}

    @property
    def state(self) -> Path:
        """What the sampling of ``bayesian_mf`` continues from; absent for other models."""
        return self.path / STATE_FILE

    @property
    def users(self) -> Path:
        """``Vocabulary`` of the users."""
        return self.path / "users.parquet"

    @property
    def items(self) -> Path:
        """``Vocabulary`` of the items."""
        return self.path / "items.parquet"

    @property
    def rated(self) -> Path:
        """Written by ``RatedPairs.save``."""
        return self.path / "rated.npz"

    @property
    def keras(self) -> Path:
        """The Keras model; absent in a model loaded for scoring, and where the model is not a Keras model."""
        return self.path / KERAS_FILE

    @property
    def descriptions(self) -> list[Path]:
        """Files that describe the model to people, as far as there are any."""
        return [path for name in DESCRIPTIONS if (path := self.path / name).exists()]

    def load(self) -> "LoadedModel":
        """Read the files for scoring; cached in the process until they change.

        Raises:
            BadTable: If a file is missing, damaged, or of another model.
        """
        # Lazy imports keep the command line's start fast.
        from recobatch.factors import FactorModel
        from recobatch.rated import RatedPairs
        from recobatch.vocabulary import Vocabulary

        loaded = LoadedModel(
            _cached(FactorModel.load, self.factors, checks_itself=True),
            _cached(Vocabulary.load, self.users),
            _cached(Vocabulary.load, self.items),
            _cached(RatedPairs.load, self.rated),
        )
        model, rated = loaded.model, loaded.rated
        expected = (len(loaded.users), len(loaded.items))
        for path, found in (
            (self.factors, (model.n_users, model.n_items)),
            (self.rated, (rated.n_users, rated.n_items)),
        ):
            if found != expected:
                raise BadTable(
                    f"{path}: found {found[0]:,} users and {found[1]:,} items, expected {expected[0]:,} and "
                    f"{expected[1]:,} as in {self.users.name} and {self.items.name}; train again"
                )
        return loaded

    def keep(self, saved: "LoadedModel", interest: "InterestModel | None" = None) -> None:
        """Note what was just saved to the files: this process does not read them again unless they change.

        That holds wherever the folder is moved to.
        """
        for file, part in (
            (self.factors, saved.model), (self.users, saved.users), (self.items, saved.items), (self.rated, saved.rated)
        ):  # fmt: skip
            _keep(file, part)
        if interest is not None:
            _keep(self.path / INTEREST_FILE, interest)

    def load_calibration(self) -> "Calibration | None":
        """Read the calibration; cached likewise. None where there is none.

        Raises:
            BadTable: If the file is damaged.
        """
        from recobatch.intervals import Calibration  # lazy, as in load

        return None if self.calibration is None else _cached(Calibration.load, self.calibration)


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model with its ids and rated pairs."""

    model: "FactorModel"
    users: "Vocabulary"
    items: "Vocabulary"
    rated: "RatedPairs"

    def save(self, path: Path) -> ModelFolder:
        """Write the files of ``ModelFolder`` except the Keras model to an existing folder."""
        folder = ModelFolder(path)
        self.model.save(folder.factors)
        self.users.save(folder.users)
        self.items.save(folder.items)
        self.rated.save(folder.rated)
        return folder

    @property
    def fingerprints(self) -> dict[str, str]:
        """Sha256 of the content of each part, 64 hex digits."""
        return {
            "factors": self.model.fingerprint, "users": self.users.fingerprint, "items": self.items.fingerprint,
            "rated": self.rated.fingerprint,
        }  # fmt: skip

    @property
    def n_pairs(self) -> int:
        """Users times items."""
        return len(self.users) * len(self.items)

    def check_range(self, users: slice) -> None:
        """Raise ``IndexError`` unless ``users`` is a plain, non-empty range of user indices."""
        if users.step not in (None, 1) or not 0 <= users.start < users.stop <= self.model.n_users:
            raise IndexError(f"found users {users}, expected a range within [0, {self.model.n_users})")


def load_interest(path: Path) -> "InterestModel":
    """Read an interest model; cached in the process until the file changes.

    Raises:
        BadTable: If the file is missing or damaged.
    """
    from recobatch.interest_model import InterestModel  # lazy, as in ModelFolder.load

    return _cached(InterestModel.load, path, checks_itself=True)


def trust(path: Path) -> None:
    """Note that the bytes of a file are those that were registered.

    ``load`` then compares its content with its own fingerprint no more, as long as the file does not change.
    """
    _trusted.add(_File.of(path))


@dataclass(frozen=True)
class _File:
    """Identity of a file, independent of its name: models of a batch share vocabularies as hard links."""

    device: int
    inode: int
    modified_ns: int
    size: int

    @classmethod
    def of(cls, path: Path) -> Self:
        status = path.stat()
        return cls(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


_T = TypeVar("_T")
_MOST_KEPT = 12
_kept: OrderedDict[tuple[Callable[..., Any], _File], Any] = OrderedDict()
"""What was loaded or saved last."""
_trusted: set[_File] = set()
_loading = Lock()


def _cached(load: Callable[..., _T], path: Path, *, checks_itself: bool = False) -> _T:
    """Load a file unless it is kept and unchanged.

    Args:
        load: Reads the file.
        path: Of the file.
        checks_itself: Whether ``load`` takes ``verify``, which is False for a file that is trusted.
    """
    try:
        file = _File.of(path)
    except OSError as error:
        raise BadTable(
            f"{path}: found no readable file ({error.strerror}), expected for scoring; train again"
        ) from error
    with _loading:  # shards start at the same time: one of them reads, the others wait
        if (load, file) in _kept:
            _kept.move_to_end((load, file))
            found: _T = _kept[load, file]
            return found
        loaded = load(path, verify=file not in _trusted) if checks_itself else load(path)
        return _hold(load, file, loaded)


def _keep(path: Path, saved: Any) -> None:  # noqa: ANN401 - whatever has a load
    """Hold what was saved to a file, so that it is not loaded."""
    with _loading:
        _hold(type(saved).load, _File.of(path), saved)


def _hold(load: Callable[..., _T], file: _File, loaded: _T) -> _T:
    _kept[load, file] = loaded
    while len(_kept) > _MOST_KEPT:
        _kept.popitem(last=False)
    return loaded

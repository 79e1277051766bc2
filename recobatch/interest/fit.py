"""The door to the training of the interest model: it writes two models, one to measure and one to publish."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from recobatch.interactions import EncodedInteractions, Split
from recobatch.interest.options import InterestOptions, InterestReport
from recobatch.interest.refit import refit_interest
from recobatch.interest.train import train_interest
from recobatch.model_folder import INTEREST_FILE

MEASURED_FILE = "measured.npz"
"""Name of the interest model that knows the training part alone."""


@dataclass(frozen=True)
class InterestInputs:
    """What an interest model is trained on, and how."""

    split: Split
    ratings: EncodedInteractions
    """All ratings: those of every part of the split."""
    rating_range: tuple[float, float]
    """Lowest and highest possible rating."""
    relevant: float
    """Lowest rating of a relevant item."""
    options: InterestOptions
    k: int
    """Length of the lists that choose the hyperparameters."""
    seed: int
    has_bayesian: bool = False
    """Whether predictions of ``bayesian_mf`` are among those that rank the lists: a short chain then stands in for the
    rating model where the way to rank is chosen, else the bias means."""


@dataclass(frozen=True)
class InterestTraining:
    """The training of an interest model."""

    report: InterestReport
    """Of the model that is measured; it chose the hyperparameters of both."""
    relevant: float
    """Lowest rating of a relevant item."""
    fingerprint: str
    """Of the model that is published."""

    def metrics(self) -> dict[str, float]:
        """The figures by their names in MLflow; those on held-out training ratings begin with ``validation_``."""
        figures = {f"validation_{way}_ndcg": value for way, value in self.report.rankings.items()}
        return figures | {"train_seconds": self.report.seconds, "relevant": self.relevant, "folds": self.report.folds}

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_json``."""
        return cls(**{**values, "report": InterestReport.from_dict(values["report"])})


def fit_interest(inputs: InterestInputs, out: Path) -> InterestTraining:
    """Train on the training part and choose hyperparameters, then train with these on all ratings.

    Args:
        inputs: Ratings and options.
        out: Existing folder. It gets ``measured.npz``, which never saw a test rating, and ``interest.npz``, which is
            to be published and knows every rating.

    Raises:
        BadRatings: If there are no training ratings.
    """
    low, high = inputs.rating_range
    measured, report = train_interest(
        inputs.split.train, min_rating=low, max_rating=high, relevant=inputs.relevant, options=inputs.options,
        k=inputs.k, seed=inputs.seed, has_bayesian=inputs.has_bayesian,
    )  # fmt: skip
    published = refit_interest(measured, inputs.ratings, options=inputs.options, seed=inputs.seed)
    measured.save(out / MEASURED_FILE)
    published.save(out / INTEREST_FILE)
    return InterestTraining(report, inputs.relevant, published.fingerprint)

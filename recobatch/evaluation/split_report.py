"""The figures of a split: sizes of its parts, distribution of the ratings, errors of the baselines."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from recobatch.evaluation.baselines import baseline_errors
from recobatch.evaluation.drift import Spread
from recobatch.interactions import Split


@dataclass(frozen=True)
class SplitReport:
    """The figures of a split."""

    sizes: Mapping[str, int]
    """Ratings by part: ``train``, ``test`` and maybe ``validation``."""
    baselines: Mapping[str, float]
    """Baseline → test MSE, squared rating units."""
    ratings_spread: Spread
    """Of all ratings."""

    @classmethod
    def of(cls, split: Split) -> Self:
        """Measure a split.

        Raises:
            BadInput: If the training or the test part is empty.
        """
        ratings = np.concatenate([part.rating for part in split.parts.values()])
        return cls(
            {name: len(part) for name, part in split.parts.items()},
            baseline_errors(train=split.train, test=split.test), Spread.of(ratings),
        )  # fmt: skip

    def metrics(self) -> dict[str, float]:
        """The baselines by their names in MLflow."""
        return {f"baseline_{name}_mse": error for name, error in self.baselines.items()}

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_json``."""
        return cls(values["sizes"], values["baselines"], Spread(**values["ratings_spread"]))

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
    method: str = "stratified"
    """How they were divided; what ``auto`` meant."""
    sorted_by: str | None = None
    """What the file is sorted by within users; None where it is in no order that matters."""

    @classmethod
    def of(cls, split: Split, method: str = "stratified", sorted_by: str | None = None) -> Self:
        """Measure a split.

        Raises:
            BadInput: If the training or the test part is empty.
        """
        ratings = np.concatenate([part.rating for part in split.parts.values()])
        return cls(
            {name: len(part) for name, part in split.parts.items()},
            baseline_errors(train=split.train, test=split.test), Spread.of(ratings), method, sorted_by,
        )  # fmt: skip

    def remark(self, by: str) -> str | None:
        """What is to be said of the order of the file, in one line; None where there is nothing to say.

        Args:
            by: Groups that were divided, as in ``SplitOptions``.
        """
        if self.sorted_by is None or by != "user":
            return None
        found = f"split: within most users the ratings are sorted by {self.sorted_by}"
        if self.method == "stratified":
            return (
                f"{found}, so that the test part in file order is another kind of ratings than the training part; pass "
                f"--set split.method=auto"
            )
        return f"{found}; they were divided by {'time' if self.method == 'chronological' else 'a seeded shuffle'}"

    def metrics(self) -> dict[str, float]:
        """The baselines by their names in MLflow."""
        return {f"baseline_{name}_mse": error for name, error in self.baselines.items()}

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_json``."""
        return cls(
            values["sizes"], values["baselines"], Spread(**values["ratings_spread"]), values["method"],
            values["sorted_by"],
        )  # fmt: skip

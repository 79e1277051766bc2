"""How many test ratings the champion's intervals hold, as the report shows it. Imports no matplotlib."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CoverageResult:
    """The 90 % intervals of one model on the test rows."""

    name: str
    coverage: float
    """Share of the ratings within their intervals."""
    width: float
    """Mean length of the intervals, in rating units."""
    correlation: float
    """Of the sd with the absolute error."""
    by_user_activity: Sequence[float | None]
    """Coverage by decile; None where there are too few rows."""
    by_item_popularity: Sequence[float | None]
    """Likewise."""

    @property
    def is_drawn(self) -> bool:
        """Whether any decile has enough rows."""
        return any(share is not None for share in (*self.by_user_activity, *self.by_item_popularity))


def verdict(result: CoverageResult) -> str:
    """How well the intervals hold, overall and in the tenths."""
    text = (
        f"The 90% intervals of {result.name} hold {result.coverage:.1%} of the test ratings and are {result.width:.2f} "
        f"wide on average. The sd of a prediction and its absolute error correlate by {result.correlation:.2f}."
    )
    shares = [share for share in (*result.by_user_activity, *result.by_item_popularity) if share is not None]
    return f"{text} By tenth, they hold {min(shares):.1%} to {max(shares):.1%}." if shares else text

"""The items of highest interest times expected rating, without the product of every pair. NumPy only."""

import math
from dataclasses import dataclass

import numpy as np

from recobatch.factors import FactorModel, Link
from recobatch.scoring.ranking import best_candidates, kth_best

# The tangent of the sigmoid at 1 is _SLOPE * (x + e). It is above the sigmoid from -2.2 on, and it is 1 at _HIGHEST.
_SLOPE = np.float32(math.e / (1 + math.e) ** 2)
_OFFSET, _LOWEST, _HIGHEST = np.float32(math.e), np.float32(-2.2), np.float32(2 + 1 / math.e)
_SHARE = np.float32(0.95)
"""Of the ``k``-th best bound, assumed to be reached by ``k`` products. Rows where they do not reach it take all
products; a lower share spares that and leaves more candidates."""
_ROUNDING = np.float32(1 + 1e-5)
"""Covers the rounding errors of a bound and a product together."""
_LEAST = np.float32(1e-30)
"""Products below it may have fewer digits than ``_ROUNDING`` allows for."""

Candidates = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Row of each candidate, its place in the flattened block, ascending, and its score."""


@dataclass(frozen=True)
class ProductScore:
    """Interest times the prediction above the lowest rating; negative interest times that of the highest rating."""

    rating: FactorModel
    """With a rating range."""

    def candidates(
        self, raw: np.ndarray, interest: np.ndarray, excluded: np.ndarray, k: int, spare: np.ndarray
    ) -> Candidates:
        """Find all items that may be among the best ``k`` of each row.

        Where the link is a sigmoid, an upper bound that needs no exponential leaves a few items to compute.

        Args:
            raw: Scores of the rating model before its link, float32, shape ``(n, n_items)``, contiguous.
            interest: Of the same shape.
            excluded: Places of excluded items in the flattened block.
            k: At least 1.
            spare: float32, of the same shape; its values are overwritten.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if self.rating.link is not Link.SCALED_SIGMOID:
                return self._of_all(raw, interest, excluded, k, spare)
            rows, places, scores, is_short = self._below_bounds(raw, interest, excluded, k, spare)
            short = np.flatnonzero(is_short)
            if not len(short):
                return rows, places, scores * self._unit
            gone = np.zeros(raw.shape, dtype=bool)
            gone.ravel()[excluded] = True
            others = self._of_all(raw[short], interest[short], np.flatnonzero(gone[short]), k, spare[: len(short)])
        kept = ~is_short[rows]
        return _joined((rows[kept], places[kept], scores[kept] * self._unit), others, short, raw.shape[1])

    @property
    def _unit(self) -> np.float32:
        """Of the products: the range is multiplied last, with a sigmoid."""
        is_sigmoid = self.rating.link is Link.SCALED_SIGMOID
        return self._span if is_sigmoid else np.float32(1)

    @property
    def _span(self) -> np.float32:
        return np.float32(self.rating.max_rating) - np.float32(self.rating.min_rating)

    def _below_bounds(
        self, raw: np.ndarray, interest: np.ndarray, excluded: np.ndarray, k: int, spare: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Candidates with their products, and the rows where a better item may be missing: bool, shape ``(n,)``."""
        np.clip(raw, _LOWEST, _HIGHEST, out=spare)
        spare += _OFFSET
        spare *= interest
        spare.ravel()[excluded] = -np.inf
        least = kth_best(spare, k) * _SHARE
        rows, places = best_candidates(spare, least)
        found = raw.ravel()[places]
        scores = self._products(found, interest.ravel()[places], found)
        reached = scores >= (least * (_SLOPE * _ROUNDING))[rows]
        n_reached = np.bincount(rows[reached], minlength=len(raw))
        if np.isnan(scores.max(initial=0)):  # of infinities; others that do not reach the bound only cost time
            rows, places, scores = rows[reached], places[reached], scores[reached]
        return rows, places, scores, ~((n_reached >= k) & (least > _LEAST))

    def _of_all(
        self, raw: np.ndarray, interest: np.ndarray, excluded: np.ndarray, k: int, spare: np.ndarray
    ) -> Candidates:
        """As ``candidates``, from the product of every pair."""
        scores = self._products(raw, interest, spare)
        scores.ravel()[excluded] = -np.inf
        least = kth_best(scores, k)
        # Below a positive bound the order of items of negative interest does not matter, which spares most blocks.
        short = np.flatnonzero(~(least > 0))
        if len(short):
            part, signed = scores[short], interest[short]
            negative = (signed < 0) & (part > -np.inf)
            part[negative] = signed[negative] * (self._span / self._unit)
            least[short] = kth_best(part, k)
            scores[short] = part
        rows, places = best_candidates(scores, least)
        return rows, places, scores.ravel()[places] * self._unit

    def _products(self, raw: np.ndarray, interest: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Interest times the prediction above the lowest rating, in ``_unit``; ``out`` may be ``raw``."""
        if self.rating.link is Link.SCALED_SIGMOID:
            np.negative(raw, out=out)
            np.exp(out, out=out)
            out += np.float32(1)
            return np.divide(interest, out, out=out)
        low = np.float32(self.rating.min_rating)
        np.clip(raw, low, np.float32(self.rating.max_rating), out=out)
        out -= low
        out *= interest
        return out


def _joined(some: Candidates, others: Candidates, short: np.ndarray, n_items: int) -> Candidates:
    """Candidates of a block by place; ``others`` are of the rows ``short`` alone."""
    rows = short[others[0]]
    places = others[1] + (rows - others[0]) * n_items
    whole = [np.concatenate(pair) for pair in zip(some, (rows, places, others[2]), strict=True)]
    order = np.argsort(whole[1])
    return whole[0][order], whole[1][order], whole[2][order]

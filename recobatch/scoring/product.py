"""The items of highest interest times expected rating, where items are many without the product of every pair."""

from dataclasses import dataclass

import numpy as np

from recobatch.factors import FactorModel, Link
from recobatch.scoring.pruning import Bound, Pruner
from recobatch.scoring.ranking import Best, best_of_rows, kth_best, top_places

_LEAST = np.float32(1e-30)
"""Products below it may have fewer digits than a bound allows for."""


@dataclass(frozen=True)
class ProductScore:
    """Interest times the prediction above the lowest rating; negative interest times that of the highest rating."""

    rating: FactorModel
    """With a rating range."""

    def best(self, raw: np.ndarray, interest: np.ndarray, k: int, spare: np.ndarray, pruner: Pruner | None) -> Best:
        """Rank the best ``k`` items of each row.

        Args:
            raw: Scores of the rating model before its link, float32, shape ``(n, n_items)``, contiguous.
            interest: Of the same shape, minus infinity for excluded items.
            k: At least 1.
            spare: float32, of the same shape; its values are overwritten.
            pruner: Finds the few items to compute, where ``raw`` and ``interest`` are of its blocks; else all are.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if pruner is None:
                return self._of_all(raw, interest, k, spare)
            best, is_short = self._of_few(raw, interest, k, pruner)
            short = np.flatnonzero(is_short)
            if not len(short):
                return best
            others = self._of_all(raw[short], interest[short], k, spare[: len(short)])
        kept = ~is_short[best.row]
        others = others._replace(row=short[others.row])
        both = [np.concatenate((some[kept], more)) for some, more in zip(best, others, strict=True)]
        order = np.argsort(both[0], kind="stable")
        return Best(*(column[order] for column in both))

    @property
    def _unit(self) -> np.float32:
        """Of the products: the range is multiplied last, with a sigmoid."""
        is_sigmoid = self.rating.link is Link.SCALED_SIGMOID
        return self._span if is_sigmoid else np.float32(1)

    @property
    def _span(self) -> np.float32:
        return np.float32(self.rating.max_rating) - np.float32(self.rating.min_rating)

    def _of_few(self, raw: np.ndarray, interest: np.ndarray, k: int, pruner: Pruner) -> tuple[Best, np.ndarray]:
        """The best items, and the rows where others may be better: bool, shape ``(n,)``."""
        found = pruner.candidates(raw, interest, Bound.of(self.rating, k))
        n, width = found.item.shape
        if width < k:
            return Best.none(), np.ones(n, dtype=bool)
        scores = self._products(found.raw, found.interest, np.empty_like(found.raw)) * self._unit
        scores[np.arange(width) >= found.counts[:, None]] = 0
        places = top_places(scores, k)
        score = scores.ravel()[places]
        is_short = ~((score[:, -1] >= found.least * self._unit) & (found.least > _LEAST))
        best = Best(
            np.repeat(np.arange(n), k), np.tile(np.arange(1, k + 1, dtype=np.int32), n),
            found.item.ravel()[places].ravel().astype(np.int64), score.ravel(), found.raw.ravel()[places].ravel(),
        )  # fmt: skip
        return best, is_short

    def _of_all(self, raw: np.ndarray, interest: np.ndarray, k: int, spare: np.ndarray) -> Best:
        """As ``best``, from the product of every pair."""
        scores = self._products(raw, interest, spare)
        least = kth_best(scores, k)
        # Below a positive bound the order of items of negative interest does not matter, which spares most blocks.
        short = np.flatnonzero(~(least > 0))
        if len(short):
            part, signed = scores[short], interest[short]
            negative = (signed < 0) & (part > -np.inf)
            part[negative] = signed[negative] * (self._span / self._unit)
            least[short] = kth_best(part, k)
            scores[short] = part
        scores *= self._unit
        return best_of_rows(scores, least * self._unit, raw, k)

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

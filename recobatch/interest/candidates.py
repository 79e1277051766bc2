"""The candidates among interest models, and their training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from recobatch.interactions import EncodedInteractions
from recobatch.interest.ease import ease_part
from recobatch.interest.ials import Ials, ials_part
from recobatch.interest.options import InterestOptions
from recobatch.interest.spectrum import Spectrum
from recobatch.interest_model import Confidence, InterestKind, InterestModel, InterestPart
from recobatch.sparse_rows import SparseRows

FIRST_PENALTY = 300.0
"""Of EASE, where its search begins; times the mean squared weight, which makes penalties comparable between
confidences."""
IALS = (Ials(16, 5, 0.3), Ials(16, 6, 0.1), Ials(16, 6, 0.03), Ials(16, 3, 0.1, is_scaled=False))
"""The kinds of implicit ALS that are compared, by the first of their sizes: the longer the tail of rarely rated items,
the less an unobserved pair says."""
SIZES = (16, 32)
"""Numbers of factors that are added up: which one alone is better differs between data sets, and changes little."""
RANK, LARGE_RANK = 256, 128
"""Singular vectors that EASE keeps, and with many ratings."""
LARGE_COLUMNS = 96
"""Columns of the whole model with many ratings, where ranking every item for every user costs more than all else: a
third of the work, for lists that are 0 to 2 % worse on held-out ratings."""
MANY_RATINGS = 500_000
_VANISHING = 1e-12
"""Scores of that root mean square are rounding: a single item has no others to learn from."""


@dataclass(frozen=True)
class Choice:
    """Hyperparameters of a model; a missing method is not part of it."""

    confidence: Confidence
    penalty: float | None = None
    """Of EASE, before it is multiplied with the mean squared weight."""
    ials: tuple[Ials, ...] = ()
    """Those added up; they differ in the number of factors alone."""
    share: float = 1.0
    """Weight of all implicit ALS beside EASE, which is scaled to the same root mean square as each of them."""

    def __str__(self) -> str:
        other = self.confidence.other
        weights = "weights by rating" if other is None else f"weights 1 and {other:g}"
        parts = [f"EASE penalty {self.penalty:g}"] if self.penalty is not None else []
        if self.ials:
            share = f"{self.share:g} × " if parts and self.share != 1 else ""
            sizes = " and ".join(str(each.n_factors) for each in self.ials)
            parts.append(f"{share}iALS {sizes} factors, {self.ials[0].weighting}")
        return f"{' + '.join(parts)}; {weights}"


class Trainer:
    """Trains choices on one set of ratings; what they share is computed once."""

    def __init__(
        self,
        ratings: EncodedInteractions,
        options: InterestOptions,
        seed: int,
        *,
        sweeps: int | None = None,
        kept: float = 1.0,
    ) -> None:
        """Prepare to train.

        Args:
            ratings: Over any users and items.
            options: Sizes.
            seed: Seed of the start.
            sweeps: Of implicit ALS; None takes those of the options.
            kept: Share of the ratings that ``ratings`` are, where others are held out. Unobserved pairs then weigh that
                much less, so that they weigh the same beside the ratings: else held-out ratings would favour choices of
                less weight than all ratings want.
        """
        self.ratings, self.options, self.seed, self.kept = ratings, options, seed, kept
        self._sweeps = options.sweeps if sweeps is None else sweeps
        has_many = len(ratings) > MANY_RATINGS
        self._rank = options.ease_rank or (LARGE_RANK if has_many else RANK)
        self._has_few_columns = has_many and options.ease_rank is None
        self._prepared: dict[Confidence, _Prepared] = {}
        self._parts: dict[tuple[Confidence, float | Ials], InterestPart] = {}

    def train(self, choice: Choice) -> InterestModel:
        """The model of a choice; several parts are scaled to their shares and add up."""
        scaled: list[tuple[float | Ials, float]] = [] if choice.penalty is None else [(choice.penalty, 1.0)]
        scaled += [(each, choice.share / len(choice.ials)) for each in choice.ials]
        parts = [self._part(choice.confidence, method) for method, _ in scaled]
        if len(parts) > 1:
            parts = [_scaled(part, share) for part, (_, share) in zip(parts, scaled, strict=True)]
        model = InterestModel(tuple(parts), choice.confidence)
        return model.in_columns(LARGE_COLUMNS) if self._has_few_columns else model

    def _part(self, confidence: Confidence, method: "float | Ials") -> InterestPart:
        key = (confidence, method)
        if key not in self._parts:
            self._parts[key] = self._train_part(confidence, method)
        return self._parts[key]

    def _train_part(self, confidence: Confidence, method: "float | Ials") -> InterestPart:
        if confidence not in self._prepared:
            self._prepared[confidence] = _Prepared.of(self.ratings, confidence, self._rank, self.seed)
        made = self._prepared[confidence]
        if isinstance(method, Ials):
            ials = replace(method, unobserved=method.unobserved * self.kept)
            return ials_part(made.by_user, made.by_item, made.spectrum, ials, sweeps=self._sweeps)
        return ease_part(made.spectrum, made.users, method * made.energy)


def _scaled(part: InterestPart, share: float) -> InterestPart:
    size = part.root_mean_square
    return part if size < _VANISHING else replace(part, item_factors=part.item_factors * np.float32(share / size))


def choice_of(model: InterestModel, energy: float) -> Choice:
    """The choice that a model was trained by.

    Args:
        model: Of a ``Trainer``.
        energy: Mean squared weight of the ratings that it is to be trained on.
    """
    ease = [part for part in model.parts if part.kind is InterestKind.EASE]
    others = [part for part in model.parts if part.kind is InterestKind.IALS]
    share, ials = 1.0, tuple(Ials.of(part) for part in others)
    if ease and others and ease[0].root_mean_square >= _VANISHING:
        share = float(f"{sum(part.root_mean_square for part in others) / ease[0].root_mean_square:.4g}")
    return Choice(model.confidence, ease[0].regularization / energy if ease else None, ials, share)


@dataclass(frozen=True, eq=False)
class _Prepared:
    by_user: SparseRows
    by_item: SparseRows
    spectrum: Spectrum
    users: np.ndarray
    energy: float
    """Mean squared weight."""

    @classmethod
    def of(cls, ratings: EncodedInteractions, confidence: Confidence, rank: int, seed: int) -> "_Prepared":
        weights = confidence.of(ratings.rating)
        by_user = SparseRows.of(ratings.user_index, ratings.item_index, weights, ratings.n_users)
        by_item = SparseRows.of(ratings.item_index, ratings.user_index, weights, ratings.n_items)
        spectrum = Spectrum.of(by_user, by_item, rank, seed=seed)
        energy = float(np.mean(np.square(weights, dtype=np.float64)))
        return cls(by_user, by_item, spectrum, by_user.times(spectrum.vectors), energy)


def default_choice(confidence: Confidence, options: InterestOptions) -> Choice:
    """What is trained if nothing can be held out."""
    penalty = None if options.method == "ials" else FIRST_PENALTY
    return Choice(confidence, penalty, () if options.method == "ease" else in_sizes(IALS[0]))


def in_sizes(ials: Ials, sizes: Sequence[int] = SIZES) -> tuple[Ials, ...]:
    """The same implicit ALS with other numbers of factors."""
    return tuple(replace(ials, n_factors=size) for size in sizes)

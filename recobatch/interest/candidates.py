"""The candidates among interest models, and the search for the best of them on held-out ratings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from recobatch.interactions import EncodedInteractions
from recobatch.interest.ease import ease_part
from recobatch.interest.folds import Fold
from recobatch.interest.ials import ials_part
from recobatch.interest.options import InterestOptions, Trial
from recobatch.interest.rows import SparseRows
from recobatch.interest.spectrum import Spectrum
from recobatch.interest_model import Confidence, InterestModel, InterestPart

FIRST_PENALTY = 500.0
PENALTIES = (40.0, 130.0, 270.0, 1000.0, 3000.0)
"""Beside the first; times the mean squared weight, which makes them comparable between confidences."""

MANY_RATINGS = 500_000
"""More held-in ratings than that may fill 64 factors; below, they take longer and gain nothing."""
DOUBT = 0.03
"""Both methods added up are taken unless one alone is better by more than this share: an average errs less often than
the choice of the better one on few users."""


@dataclass(frozen=True)
class Ials:
    """Hyperparameters of implicit ALS."""

    n_factors: int
    floor: float
    """Penalty of a user without ratings: ``regularization * unobserved * n_items``; the same values suit data of any
    size."""
    unobserved: float

    def __str__(self) -> str:
        return f"iALS {self.n_factors} factors, penalty {self.floor:g}, unobserved {self.unobserved:g}"


IALS = (Ials(32, 5, 0.3), Ials(32, 5, 0.1), Ials(32, 5, 0.03), Ials(32, 10, 1.0))
"""Where the search for implicit ALS begins: the sparser the data, the lower the weight of unobserved pairs."""


@dataclass(frozen=True)
class Choice:
    """Hyperparameters of a model; a missing method is not part of it."""

    confidence: Confidence
    penalty: float | None = None
    """Of EASE, before it is multiplied with the mean squared weight."""
    ials: Ials | None = None

    def __str__(self) -> str:
        other = self.confidence.other
        weights = "weights by rating" if other is None else f"weights 1 and {other:g}"
        ease = f"EASE penalty {self.penalty:g}" if self.penalty is not None else ""
        return f"{' + '.join(filter(None, (ease, str(self.ials or ''))))}; {weights}"


class Trainer:
    """Trains choices on one set of ratings; what they share is computed once."""

    def __init__(self, ratings: EncodedInteractions, options: InterestOptions, seed: int) -> None:
        self.ratings, self.options, self.seed = ratings, options, seed
        self._prepared: dict[Confidence, _Prepared] = {}
        self._parts: dict[tuple[Confidence, float | Ials], InterestPart] = {}

    def train(self, choice: Choice) -> InterestModel:
        """The model of a choice; two parts are scaled to the same root mean square and add up."""
        methods = [method for method in (choice.penalty, choice.ials) if method is not None]
        parts = [self._part(choice.confidence, method) for method in methods]
        if len(parts) > 1:
            parts = [
                replace(part, item_factors=part.item_factors / np.float32(part.root_mean_square or 1)) for part in parts
            ]
        return InterestModel(tuple(parts), choice.confidence)

    def _part(self, confidence: Confidence, method: "float | Ials") -> InterestPart:
        key = (confidence, method)
        if key not in self._parts:
            self._parts[key] = self._train_part(confidence, method)
        return self._parts[key]

    def _train_part(self, confidence: Confidence, method: "float | Ials") -> InterestPart:
        if confidence not in self._prepared:
            self._prepared[confidence] = _Prepared.of(self.ratings, confidence, self.options.ease_rank, self.seed)
        made = self._prepared[confidence]
        if isinstance(method, Ials):
            return ials_part(
                made.by_user, made.by_item, made.spectrum, n_factors=method.n_factors, unobserved=method.unobserved,
                regularization=method.floor / (method.unobserved * self.ratings.n_items), sweeps=self.options.sweeps,
            )  # fmt: skip
        return ease_part(made.spectrum, made.users, method * made.energy)


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
    return Choice(
        confidence, None if options.method == "ials" else FIRST_PENALTY, None if options.method == "ease" else IALS[0]
    )


def search(
    folds: Sequence[Fold], trainers: Sequence[Trainer], confidences: Sequence[Confidence], options: InterestOptions
) -> tuple[Choice, tuple[Trial, ...]]:
    """Find the choice with the best mean NDCG: weights first, then EASE's penalty, then iALS, then both added up.

    Args:
        folds: Held-out ratings, at least one.
        trainers: A trainer on the remaining ratings of each fold.
        confidences: Weights to try, the simplest first.
        options: Methods to try.

    Returns:
        The best choice, and everything that was tried.
    """
    tried: dict[Choice, float] = {}

    def best(choices: Sequence[Choice]) -> Choice:
        for choice in choices:
            if choice not in tried:
                pairs = zip(folds, trainers, strict=True)
                tried[choice] = fmean(fold.ndcg(trainer.train(choice).factors) for fold, trainer in pairs)
        return max(choices, key=lambda choice: tried[choice])

    start = default_choice(confidences[0], options)
    first = start.ials if options.method == "ials" else None
    ease = ials = best([Choice(each, None if first else FIRST_PENALTY, first) for each in confidences])
    if options.method != "ials":
        ease = best([ease, *(replace(ease, penalty=penalty) for penalty in PENALTIES)])
    if options.method != "ease":
        many = len(folds[0].fit) > MANY_RATINGS
        ials = _search_ials(best, ease.confidence, sizes=(16, 64) if many else (16,))
        if options.method == "ials" or tried[ials] > tried[ease]:
            ials = best([ials, *(replace(ials, confidence=each) for each in confidences)])
    finalists = {"ease": [ease], "ials": [ials], "best": [ease, ials, replace(ease, ials=ials.ials)]}[options.method]
    winner = best(finalists)
    if tried[winner] * (1 - DOUBT) <= tried[finalists[-1]]:
        winner = finalists[-1]
    return winner, tuple(Trial(str(choice), ndcg) for choice, ndcg in tried.items())


def _search_ials(
    best: Callable[[Sequence[Choice]], Choice], confidence: Confidence, *, sizes: tuple[int, ...]
) -> Choice:
    """The unobserved weight first, then the penalty, then the number of factors."""

    def among(options: Sequence[Ials]) -> Ials:
        choices = [Choice(confidence, ials=each) for each in options]
        return options[choices.index(best(choices))]

    found = among(IALS)
    found = among([replace(found, floor=found.floor * factor) for factor in (1, 2, 0.5)])
    found = among([replace(found, n_factors=n_factors) for n_factors in (found.n_factors, *sizes)])
    return Choice(confidence, ials=found)

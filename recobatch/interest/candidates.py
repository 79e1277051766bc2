"""The candidates among interest models, and their training."""

from dataclasses import dataclass, replace

import numpy as np

from recobatch.interactions import EncodedInteractions
from recobatch.interest.ease import ease_part
from recobatch.interest.ials import Ials, ials_part
from recobatch.interest.options import InterestOptions
from recobatch.interest.rows import SparseRows
from recobatch.interest.spectrum import Spectrum
from recobatch.interest_model import Confidence, InterestModel, InterestPart

FIRST_PENALTY = 240.0
"""Of EASE, where its search begins; times the mean squared weight, which makes penalties comparable between
confidences."""
IALS = (
    Ials(16, 5, 0.3), Ials(16, 3, 0.1, is_scaled=False), Ials(16, 20, 0.1), Ials(16, 9, 0.1, is_scaled=False),
)  # fmt: skip
"""Where the search for implicit ALS begins."""


@dataclass(frozen=True)
class Choice:
    """Hyperparameters of a model; a missing method is not part of it."""

    confidence: Confidence
    penalty: float | None = None
    """Of EASE, before it is multiplied with the mean squared weight."""
    ials: Ials | None = None
    share: float = 1.0
    """Weight of implicit ALS beside EASE, both scaled to the same root mean square."""

    def __str__(self) -> str:
        other = self.confidence.other
        weights = "weights by rating" if other is None else f"weights 1 and {other:g}"
        parts = [f"EASE penalty {self.penalty:g}"] if self.penalty is not None else []
        if self.ials is not None:
            parts.append(f"{self.share:g} × {self.ials}" if parts and self.share != 1 else str(self.ials))
        return f"{' + '.join(parts)}; {weights}"


class Trainer:
    """Trains choices on one set of ratings; what they share is computed once."""

    def __init__(
        self, ratings: EncodedInteractions, options: InterestOptions, seed: int, *, sweeps: int | None = None
    ) -> None:
        """``sweeps`` of implicit ALS; None takes those of the options."""
        self.ratings, self.options, self.seed = ratings, options, seed
        self._sweeps = options.sweeps if sweeps is None else sweeps
        self._prepared: dict[Confidence, _Prepared] = {}
        self._parts: dict[tuple[Confidence, float | Ials], InterestPart] = {}

    def train(self, choice: Choice) -> InterestModel:
        """The model of a choice; two parts are scaled to their shares and add up."""
        methods = [method for method in (choice.penalty, choice.ials) if method is not None]
        parts = [self._part(choice.confidence, method) for method in methods]
        if len(parts) > 1:
            parts = [_scaled(part, share) for part, share in zip(parts, (1.0, choice.share), strict=True)]
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
            return ials_part(made.by_user, made.by_item, made.spectrum, method, sweeps=self._sweeps)
        return ease_part(made.spectrum, made.users, method * made.energy)


def _scaled(part: InterestPart, share: float) -> InterestPart:
    return replace(part, item_factors=part.item_factors * np.float32(share / (part.root_mean_square or 1)))


def share_of(model: InterestModel) -> float:
    """Inverse of ``Choice.share``: the root mean square of implicit ALS over that of EASE, 1 for a single method."""
    if len(model.parts) < 2:
        return 1.0
    ease, ials = (part.root_mean_square for part in model.parts)
    return float(f"{ials / ease:.4g}") if ease else 1.0


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

"""One Markov chain over all parameters of the factorisation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from recobatch.bayesian.designs import Design, Intercept, design_of
from recobatch.bayesian.implicit import all_blocks
from recobatch.bayesian.priors import Priors
from recobatch.bayesian.rows import Rows
from recobatch.bayesian.side import Side
from recobatch.bayesian.threads import Threads
from recobatch.errors import BadInput
from recobatch.features import Features
from recobatch.interactions import EncodedInteractions

_START_SCALE = 0.4
"""Standard deviation of the first vectors: of the order of those that are sampled later."""
_START_PRECISION = (12.0, 20.0)
"""First precisions of the vectors and of the weights."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Standardised ratings by row of both sides, with the maps of the feature blocks; shared by all chains."""

    users: Rows
    items: Rows
    user_designs: list[Design]
    item_designs: list[Design]
    n_ratings: int
    centre: float
    """Mean rating."""
    scale: float
    """Standard deviation of the ratings, or 1 where they are all equal."""

    @classmethod
    def build(cls, ratings: EncodedInteractions, users: Features | None, items: Features | None) -> Self:
        """Sort ratings and decompose features.

        Raises:
            BadInput: If there is no rating, or features are of another number of users or items.
        """
        if not len(ratings):
            raise BadInput("bayesian_mf: found no ratings, expected at least one; give more ratings")
        shape = ratings.n_users, ratings.n_items
        for noun, features, n_rows in (("user", users, shape[0]), ("item", items, shape[1])):
            if features is not None and features.blocks and features.n_rows != n_rows:
                raise BadInput(
                    f"bayesian_mf: found features of {features.n_rows:,} {noun}s, expected {n_rows:,} as in the "
                    f"ratings; build them with the same vocabulary"
                )
        centre = float(ratings.rating.mean(dtype=np.float64))
        scale = float(ratings.rating.std(dtype=np.float64)) or 1.0
        standard = (ratings.rating - np.float32(centre)) / np.float32(scale)
        user, item = ratings.user_index, ratings.item_index
        return cls(
            Rows.build(user, item, standard, shape), Rows.build(item, user, standard, shape[::-1]),
            _designs(user, item, shape, users), _designs(item, user, shape[::-1], items), len(ratings), centre, scale,
        )  # fmt: skip


def _designs(row: np.ndarray, column: np.ndarray, shape: tuple[int, int], side: Features | None) -> list[Design]:
    return [Intercept(shape[0]), *(design_of(block) for block in all_blocks(row, column, shape, side))]


@dataclass(eq=False)
class Chain:
    """State of the chain; ``sweep`` moves it."""

    users: Side
    items: Side
    alpha: float
    """Precision of the noise, of standardised ratings."""
    rng: np.random.Generator
    priors: Priors

    @classmethod
    def start(cls, problem: Problem, n_factors: int, rng: np.random.Generator, priors: Priors | None = None) -> Self:
        """A chain before its first sweep."""
        users = _side(problem.users, problem.user_designs, n_factors, rng)
        items = _side(problem.items, problem.item_designs, n_factors, rng)
        return cls(users, items, 2.0, rng, priors or Priors())

    def sweep(self, threads: Threads) -> None:
        """Draw every parameter once."""
        self.users.sample(self.items, self.alpha, self.rng, self.priors, threads)
        self.items.sample(self.users, self.alpha, self.rng, self.priors, threads)
        count = int(self.users.ratings.counts.sum())
        self.alpha = float(self.priors.draw(self.rng, count, self.items.squared_error))

    def typical_weight(self) -> float:
        """Noise weight of a rating with the mean variance; ``alpha`` times it is the precision of the noise."""
        variance = [(1 / side.noise_weights) @ side.ratings.counts for side in (self.users, self.items)]
        return float(self.users.ratings.counts.sum() ** 2 / (variance[0] * variance[1]))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The state as plain arrays; weights are those of features, so that another problem can resume from them."""
        arrays: dict[str, np.ndarray] = {"alpha": np.array(self.alpha)}
        for name, side in (("user", self.users), ("item", self.items)):
            arrays[f"{name}_vectors"], arrays[f"{name}_precision"] = side.vectors, side.precision
            arrays[f"{name}_noise"] = side.noise_weights
            for at, (design, each) in enumerate(zip(side.designs, side.coordinates, strict=True)):
                arrays[f"{name}_weights_{at}"] = design.weights(each)
                if at:
                    arrays[f"{name}_precision_{at}"] = side.block_precision[at - 1]
        return arrays

    @classmethod
    def resume(cls, problem: Problem, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> Self:
        """Inverse of ``to_arrays``, on the same users, items and features; the ratings may be others."""
        chain = cls.start(problem, arrays["user_vectors"].shape[1] - 1, rng)
        chain.alpha = float(arrays["alpha"])
        for name, side in (("user", chain.users), ("item", chain.items)):
            side.vectors, side.precision = arrays[f"{name}_vectors"], arrays[f"{name}_precision"]
            side.noise_weights = arrays[f"{name}_noise"]
            side.coordinates = [
                design.coordinates(arrays[f"{name}_weights_{at}"]) for at, design in enumerate(side.designs)
            ]
            side.block_precision = [arrays[f"{name}_precision_{at}"] for at in range(1, len(side.designs))]
        return chain


def _side(ratings: Rows, designs: list[Design], n_factors: int, rng: np.random.Generator) -> Side:
    d = n_factors + 1
    vectors = rng.normal(0, _START_SCALE, (ratings.n_rows, d)).astype(np.float32)
    vectors[:, -1] = 0
    return Side(
        ratings, designs, vectors, np.full(d, _START_PRECISION[0]),
        [np.full(d, _START_PRECISION[1]) for _ in designs[1:]],
        [np.zeros((design.n_coordinates, d), dtype=np.float32) for design in designs],
    )  # fmt: skip

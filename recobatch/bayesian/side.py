"""One side of the factorisation, users or items: its vectors, weights and precisions given the other side."""

from dataclasses import dataclass, field

import numpy as np

from recobatch.bayesian.designs import Design, Weights
from recobatch.bayesian.priors import Priors
from recobatch.bayesian.rows import Rows
from recobatch.bayesian.statistics import RowStatistics, row_statistics
from recobatch.bayesian.threads import Threads
from recobatch.lanes import solve_and_sample

_ROWS = 1024
"""Rows of a piece of work: enough that a call costs little beside its work, few enough for the cache."""


@dataclass(eq=False)
class Side:
    """Vectors of n rows, with their prior.

    The last of the d columns is the bias. Row r is normal around ``Σ X_g[r] W_g`` with a precision per column; block 0
    is the intercept, whose prior is as precise as the rows themselves.
    """

    ratings: Rows
    """A row's ratings, standardised; columns are rows of the other side."""
    designs: list[Design]
    vectors: np.ndarray
    """float32, shape ``(n, d)``."""
    precision: np.ndarray
    """float64, shape ``(d,)``."""
    block_precision: list[np.ndarray]
    """Of the weights of each block but the intercept: float64, shape ``(d,)``."""
    coordinates: list[np.ndarray]
    """Of the weights of each block: float32, shape ``(m, d)``."""
    expected: np.ndarray = field(init=False)
    """Conditional means of the last draw, float32, shape ``(n, d)``."""
    noise_weights: np.ndarray = field(init=False)
    """Each row's share of the precision of its ratings, around 1: float64, shape ``(n,)``."""
    squared_error: float = 0.0
    """Sum over all ratings after the last draw, weighted by both sides' noise weights."""
    _products: list[np.ndarray] = field(default_factory=list)
    """Each block's part of the prior means; empty before the first draw."""

    def __post_init__(self) -> None:
        self.expected = self.vectors
        self.noise_weights = np.ones(len(self.vectors))

    def sample(self, other: "Side", alpha: float, rng: np.random.Generator, priors: Priors, threads: Threads) -> None:
        """Draw vectors given the other side's, then noise weights, feature weights and precisions given the vectors."""
        found = row_statistics(self.ratings, other.vectors, alpha * self.noise_weights, other.noise_weights, threads)
        if not self._products:
            pairs = zip(self.designs, self.coordinates, strict=True)
            self._products = [design.forward(each, threads) for design, each in pairs]
        errors = self._draw_vectors(found, np.sum(self._products, axis=0), rng, threads) / self.noise_weights
        self.noise_weights = priors.draw_weights(rng, self.ratings.counts, errors)
        self.squared_error = float(errors @ self.noise_weights) / alpha
        rest = self._draw_weights(rng, priors, threads)
        self._draw_precisions(rest, rng, priors)

    def _draw_vectors(
        self, found: RowStatistics, prior: np.ndarray, rng: np.random.Generator, threads: Threads
    ) -> np.ndarray:
        """Draw all vectors; returns each row's sum of squared errors times their precisions."""
        precision = self.precision.astype(np.float32)
        noise = rng.standard_normal(prior.shape, dtype=np.float32)
        self.expected, self.vectors = np.empty_like(prior), np.empty_like(prior)
        diagonal = np.arange(len(precision))
        errors = np.zeros(len(prior))

        def draw(start: int) -> None:
            rows = slice(start, start + _ROWS)
            system = found.gram[rows].transpose(1, 2, 0).copy()
            system[diagonal, diagonal] += precision[:, None]
            right = np.ascontiguousarray((found.right[rows] + precision * prior[rows]).T)
            expected, drawn = solve_and_sample(system, right, np.ascontiguousarray(noise[rows].T))
            self.expected[rows], self.vectors[rows] = expected.T, drawn.T
            vectors = self.vectors[rows]
            pulled = np.matmul(found.gram[rows], vectors[..., None])[..., 0] - 2 * found.right[rows]
            errors[rows] = found.squares[rows] + np.einsum("nd,nd->n", pulled, vectors)

        threads.each(draw, range(0, len(prior), _ROWS))
        return np.maximum(errors, 0)  # rounding may leave a perfect fit below zero

    def _draw_weights(self, rng: np.random.Generator, priors: Priors, threads: Threads) -> np.ndarray:
        """Draw each block given the others; returns the vectors' distances from their prior means."""
        rest = self.vectors - np.sum(self._products, axis=0)
        for at, design in enumerate(self.designs):
            prior = self.block_precision[at - 1] if at else priors.strength * self.precision
            before = Weights(self.coordinates[at], self._products[at])
            drawn = design.draw(rest, self.precision, prior, before, rng, threads)
            self.coordinates[at], self._products[at] = drawn
            rest = rest + (before.product - drawn.product)
        return rest

    def _draw_precisions(self, rest: np.ndarray, rng: np.random.Generator, priors: Priors) -> None:
        for number, (design, each) in enumerate(zip(self.designs[1:], self.coordinates[1:], strict=True)):
            squares = np.einsum("md,md->d", each, each, dtype=np.float64)
            unseen = design.n_features - design.n_coordinates
            if unseen:  # directions without data follow the prior
                squares += rng.chisquare(unseen, len(squares)) / self.block_precision[number]
            self.block_precision[number] = priors.draw(rng, design.n_features, squares)
        squares = np.einsum("nd,nd->d", rest, rest, dtype=np.float64)
        squares += priors.strength * self.coordinates[0][0].astype(np.float64) ** 2
        self.precision = priors.draw(rng, len(rest) + 1, squares)

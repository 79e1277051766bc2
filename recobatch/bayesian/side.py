"""One side of the factorisation, users or items: its weights, vectors and precisions given the other side.

Weights and vectors are drawn jointly, the weights with the vectors integrated out: drawn in turn, each would follow the
other for hundreds of sweeps. Both are solutions of systems with perturbed right sides (Papandreou and Yuille, "Gaussian
sampling by local perturbations", NeurIPS 2010), so that no matrix needs a factorisation larger than a vector.
"""

from dataclasses import dataclass, field

import numpy as np

from recobatch.bayesian.conjugate import conjugate_gradients
from recobatch.bayesian.designs import Design
from recobatch.bayesian.lanes import inverse
from recobatch.bayesian.priors import Priors
from recobatch.bayesian.rows import Rows
from recobatch.bayesian.statistics import RowStatistics, row_statistics
from recobatch.bayesian.threads import Threads

_ROWS = 256
"""Rows of a piece of work: their matrices fit in the cache."""
CG_STEPS = 3
"""Steps from the weights of the sweep before; more of them change no figure."""


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
    squared_error: float = 0.0
    """Sum over all ratings after the last draw."""

    def __post_init__(self) -> None:
        self.expected = self.vectors

    def sample(
        self, other: np.ndarray, alpha: float, rng: np.random.Generator, priors: Priors, threads: Threads
    ) -> None:
        """Draw weights, vectors and precisions given the other side's vectors, shape ``(m, d)``, and the noise."""
        found = row_statistics(self.ratings, other, alpha, rng, threads)
        covariance, pull, information = self._marginalize(found, rng, threads)
        self._draw_weights(pull, information, rng, priors, threads)
        prior = self.prior_mean(threads)
        self._draw_vectors(found, covariance, prior, alpha, rng, threads)
        self._draw_precisions(self.vectors - prior, rng, priors)

    def prior_mean(self, threads: Threads) -> np.ndarray:
        """Prior means of the vectors: float32, shape ``(n, d)``."""
        return _predict(self.designs, self.coordinates, threads)

    def _marginalize(
        self, found: RowStatistics, rng: np.random.Generator, threads: Threads
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Posterior covariances C of the vectors, and the likelihood of their prior means alone.

        The latter has the information matrices ``L - L C L`` with L the prior precision: shape ``(n, d, d)``; its
        perturbed right sides are float32, shape ``(n, d)``.
        """
        precision = self.precision.astype(np.float32)
        root = np.sqrt(precision)
        covariance, information = np.empty_like(found.gram), np.empty_like(found.gram)
        pull = root * rng.standard_normal(self.vectors.shape, dtype=np.float32)
        diagonal = np.arange(len(precision))

        def prepare(start: int) -> None:
            rows = slice(start, start + _ROWS)
            system = found.gram[rows].copy()
            system[:, diagonal, diagonal] += precision
            covariance[rows] = inverse(system)
            information[rows] = -precision[:, None] * covariance[rows] * precision
            information[rows, diagonal, diagonal] += precision
            noisy = found.right[rows] + found.noise[rows, 0] + pull[rows]
            pull[rows] = precision * _multiply(covariance[rows], noisy) - pull[rows]

        threads.each(prepare, range(0, len(pull), _ROWS))
        return covariance, pull, information

    def _draw_weights(
        self, pull: np.ndarray, information: np.ndarray, rng: np.random.Generator, priors: Priors, threads: Threads
    ) -> None:
        precisions = [each.astype(np.float32) for each in (priors.strength * self.precision, *self.block_precision)]
        blocks = list(zip(self.designs, precisions, strict=True))
        right = [
            design.backward(pull, threads)
            + np.sqrt(prior) * rng.standard_normal((design.n_coordinates, len(prior)), dtype=np.float32)
            for design, prior in blocks
        ]
        typical = np.einsum("nii->i", information) / np.float32(len(information))
        diagonal = [design.norms * typical + prior for design, prior in blocks]

        def apply(coordinates: list[np.ndarray]) -> list[np.ndarray]:
            weighed = threads.batched(information, _predict(self.designs, coordinates, threads))
            return [
                design.backward(weighed, threads) + prior * each
                for (design, prior), each in zip(blocks, coordinates, strict=True)
            ]

        self.coordinates = conjugate_gradients(apply, right, self.coordinates, diagonal, CG_STEPS)

    def _draw_vectors(
        self, found: RowStatistics, covariance: np.ndarray, prior: np.ndarray, alpha: float,
        rng: np.random.Generator, threads: Threads,
    ) -> None:  # fmt: skip
        precision = self.precision.astype(np.float32)
        noise = np.sqrt(precision) * rng.standard_normal(prior.shape, dtype=np.float32)
        noise += found.noise[:, 1]
        self.expected = threads.batched(covariance, found.right + precision * prior)
        self.vectors = self.expected + threads.batched(covariance, noise)
        explained = np.einsum("nd,nd->n", threads.batched(found.gram, self.vectors) - 2 * found.right, self.vectors)
        self.squared_error = max(0.0, float(found.squares.sum() + explained.sum(dtype=np.float64)) / alpha)

    def _draw_precisions(self, rest: np.ndarray, rng: np.random.Generator, priors: Priors) -> None:
        """Draw all precisions given the weights and the vectors' distances from their prior means."""
        for number, (design, each) in enumerate(zip(self.designs[1:], self.coordinates[1:], strict=True)):
            squares = np.einsum("md,md->d", each, each, dtype=np.float64)
            unseen = design.n_features - design.n_coordinates
            if unseen:  # directions without data follow the prior
                squares += rng.chisquare(unseen, len(squares)) / self.block_precision[number]
            self.block_precision[number] = priors.draw(rng, design.n_features, squares)
        squares = np.einsum("nd,nd->d", rest, rest, dtype=np.float64)
        squares += priors.strength * self.coordinates[0][0].astype(np.float64) ** 2
        self.precision = priors.draw(rng, len(rest) + 1, squares)


def _predict(designs: list[Design], coordinates: list[np.ndarray], threads: Threads) -> np.ndarray:
    total = designs[0].forward(coordinates[0], threads)
    for design, each in zip(designs[1:], coordinates[1:], strict=True):
        total += design.forward(each, threads)
    return total


def _multiply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.matmul(matrices, vectors[..., None])[..., 0]

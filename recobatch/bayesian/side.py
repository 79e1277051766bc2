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
from recobatch.bayesian.scales import draw_scales
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
        covariance, force, information = self._marginalize(found, threads)
        pull = self._perturbed(found, covariance, force, rng, threads)
        self._draw_weights(pull, information, rng, priors, threads)
        prior = self._rescale_weights(force, information, rng, priors, threads)
        self._draw_vectors(found, covariance, prior, alpha, rng, threads)
        self._draw_precisions(self.vectors - prior, rng, priors)

    def _marginalize(self, found: RowStatistics, threads: Threads) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Posterior covariances C of the vectors, and the likelihood of their prior means with the vectors integrated out.

        With L the prior precision, that has the information matrices ``L - L C L``, shape ``(n, d, d)``, and the right
        sides ``L C right``, float32, shape ``(n, d)``.
        """
        precision = self.precision.astype(np.float32)
        covariance, information = np.empty_like(found.gram), np.empty_like(found.gram)
        diagonal = np.arange(len(precision))

        def prepare(start: int) -> None:
            rows = slice(start, start + _ROWS)
            system = found.gram[rows].copy()
            system[:, diagonal, diagonal] += precision
            covariance[rows] = inverse(system)
            information[rows] = -precision[:, None] * covariance[rows] * precision
            information[rows, diagonal, diagonal] += precision

        threads.each(prepare, range(0, len(covariance), _ROWS))
        return covariance, precision * threads.batched(covariance, found.right), information

    def _perturbed(
        self, found: RowStatistics, covariance: np.ndarray, force: np.ndarray, rng: np.random.Generator,
        threads: Threads,
    ) -> np.ndarray:  # fmt: skip
        """``force`` plus noise whose covariance is the information."""
        precision = self.precision.astype(np.float32)
        noise = np.sqrt(precision) * rng.standard_normal(force.shape, dtype=np.float32)
        return force + precision * threads.batched(covariance, found.noise[:, 0] + noise) - noise

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

    def _rescale_weights(
        self, force: np.ndarray, information: np.ndarray, rng: np.random.Generator, priors: Priors, threads: Threads
    ) -> np.ndarray:
        """Move each block's weights along their scale; returns the prior means: float32, shape ``(n, d)``."""
        parts = [design.forward(each, threads) for design, each in zip(self.designs, self.coordinates, strict=True)]
        total = np.sum(parts, axis=0)
        for block in range(1, len(parts)):
            part = parts[block]
            rest = total - part
            weighed = threads.batched(information, rest)
            pull = np.einsum("nd,nd->d", part, force - weighed, dtype=np.float64)
            curvature = np.einsum("ni,nij,nj->ij", part, information, part, optimize=True)
            scale = draw_scales(pull, curvature, self.block_precision[block - 1], rng, priors)
            self.coordinates[block] = self.coordinates[block] * scale.astype(np.float32)
            self.block_precision[block - 1] = self.block_precision[block - 1] / scale**2
            total = rest + part * scale.astype(np.float32)
        return total

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

"""Feature blocks as linear maps from weights to vectors: by singular vectors where small, else by sparse products."""

from typing import NamedTuple, Protocol

import numpy as np

from recobatch.bayesian.conjugate import ridge_by_gradients
from recobatch.bayesian.sparse import SparseMatrix
from recobatch.bayesian.threads import Threads
from recobatch.features import FeatureBlock

SPECTRAL_LIMIT = 2500
"""A block is decomposed unless both its rows and its features exceed this number,"""
SPECTRAL_CELLS = 1 << 25
"""or their product this one: it is a dense matrix then, of 12 bytes a cell."""
_SMALLEST = 1e-5
_CG_STEPS = 4


class Weights(NamedTuple):
    """Weights of a block."""

    coordinates: np.ndarray
    """float32, shape ``(m, d)``."""
    product: np.ndarray
    """X times these, float32, shape ``(n, d)``."""


class Design(Protocol):
    """A block X with n rows, as a map from m coordinates; each coordinate has the prior precision of the block."""

    n_features: int
    n_coordinates: int

    def draw(
        self, rest: np.ndarray, noise: np.ndarray, prior: np.ndarray, before: Weights, rng: np.random.Generator,
        threads: Threads,
    ) -> Weights:  # fmt: skip
        """Draw coordinates W given ``rest + X before = X W + N(0, 1 / noise)``: a ridge regression of each column.

        Args:
            rest: What the weights before leave unexplained, float32, shape ``(n, d)``.
            noise: Precision of each column, shape ``(d,)``.
            prior: Precision of the coordinates in each column, shape ``(d,)``.
            before: Weights of the sweep before.
            rng: Source of randomness.
            threads: For products.
        """
        ...

    def forward(self, coordinates: np.ndarray, threads: Threads) -> np.ndarray:
        """X times the weights: float32, ``(m, d)`` to ``(n, d)``."""
        ...

    def weights(self, coordinates: np.ndarray) -> np.ndarray:
        """Weights of the features: float32, shape ``(n_features, d)``."""
        ...

    def coordinates(self, weights: np.ndarray) -> np.ndarray:
        """Inverse of ``weights``, as far as the rows depend on them."""
        ...


class Intercept:
    """The mean of a column, as a block of one feature that every row has."""

    n_features = n_coordinates = 1

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows

    def draw(
        self, rest: np.ndarray, noise: np.ndarray, prior: np.ndarray, before: Weights, rng: np.random.Generator,
        threads: Threads,
    ) -> Weights:  # fmt: skip
        total = rest.sum(axis=0, keepdims=True, dtype=np.float64) + self._n_rows * before.coordinates
        drawn = _draw_orthogonal(total, np.array([[self._n_rows]]), noise, prior, rng)
        return Weights(drawn, self.forward(drawn, threads))

    def forward(self, coordinates: np.ndarray, threads: Threads) -> np.ndarray:
        return np.repeat(coordinates, self._n_rows, axis=0)

    def weights(self, coordinates: np.ndarray) -> np.ndarray:
        return coordinates

    def coordinates(self, weights: np.ndarray) -> np.ndarray:
        return weights


class Spectral:
    """``X = U S Vᵀ``; the coordinates are those along V."""

    def __init__(self, block: FeatureBlock) -> None:
        matrix = block.dense()
        wide = matrix.shape[0] <= matrix.shape[1]
        squared, vectors = np.linalg.eigh(matrix @ matrix.T if wide else matrix.T @ matrix)
        kept = squared > _SMALLEST
        scale = np.sqrt(squared[kept])
        right = matrix.T @ (vectors[:, kept] / scale) if wide else vectors[:, kept]
        self._right = np.asarray(right, dtype=np.float32)
        image = vectors[:, kept] * scale if wide else matrix @ right
        self._map = np.ascontiguousarray(image, dtype=np.float32)
        self._transposed = np.ascontiguousarray(self._map.T)
        self.n_features = block.n_features
        self.n_coordinates = len(scale)
        self._norms = (scale**2)[:, None]

    def forward(self, coordinates: np.ndarray, threads: Threads) -> np.ndarray:
        return threads.product(self._map, coordinates)

    def draw(
        self, rest: np.ndarray, noise: np.ndarray, prior: np.ndarray, before: Weights, rng: np.random.Generator,
        threads: Threads,
    ) -> Weights:  # fmt: skip
        projected = threads.product(self._transposed, rest + before.product)
        drawn = _draw_orthogonal(projected, self._norms, noise, prior, rng)
        return Weights(drawn, self.forward(drawn, threads))

    def weights(self, coordinates: np.ndarray) -> np.ndarray:
        return self._right @ coordinates

    def coordinates(self, weights: np.ndarray) -> np.ndarray:
        return self._right.T @ weights


class Sparse:
    """The block as it is; the coordinates are the weights."""

    def __init__(self, block: FeatureBlock) -> None:
        self._by_row, self._by_feature = SparseMatrix.build(block), SparseMatrix.build_transposed(block)
        self.n_features = self.n_coordinates = block.n_features
        norms = np.bincount(block.indices, block.values.astype(np.float64) ** 2, block.n_features)
        self._norms = norms.astype(np.float32)[:, None]

    def forward(self, coordinates: np.ndarray, threads: Threads) -> np.ndarray:
        return self._by_row.multiply(coordinates, threads)

    def draw(
        self, rest: np.ndarray, noise: np.ndarray, prior: np.ndarray, before: Weights, rng: np.random.Generator,
        threads: Threads,
    ) -> Weights:  # fmt: skip
        """By conjugate gradients on a perturbed system, from the sweep before (Simm et al. 2017, section 3.2).

        What is solved for is the change of the weights, whose product with X comes with it: 9 multiplications.
        """
        ratio = (prior / noise).astype(np.float32)
        root = np.sqrt(1 / noise).astype(np.float32)
        noisy = rest + root * rng.standard_normal(rest.shape, dtype=np.float32)
        right = self._by_feature.multiply(noisy, threads) - ratio * before.coordinates
        right += np.sqrt(ratio) * root * rng.standard_normal(right.shape, dtype=np.float32)
        change, product = ridge_by_gradients(
            lambda weights: self._by_row.multiply(weights, threads),
            lambda vectors: self._by_feature.multiply(vectors, threads), right, ratio, self._norms, _CG_STEPS,
        )  # fmt: skip
        return Weights(before.coordinates + change, before.product + product)

    def weights(self, coordinates: np.ndarray) -> np.ndarray:
        return coordinates

    def coordinates(self, weights: np.ndarray) -> np.ndarray:
        return weights


def _draw_orthogonal(
    projected: np.ndarray, norms: np.ndarray, noise: np.ndarray, prior: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Coordinates along orthogonal columns with these squared norms, given the columns' products with the target."""
    precision = noise * norms + prior
    drawn = noise * projected / precision + rng.standard_normal(projected.shape) / np.sqrt(precision)
    return drawn.astype(np.float32)


def design_of(block: FeatureBlock) -> Design:
    """The map of a block, by the way that suits its size."""
    shape = block.n_rows, block.n_features
    is_small = min(shape) <= SPECTRAL_LIMIT and shape[0] * shape[1] <= SPECTRAL_CELLS
    return Spectral(block) if is_small else Sparse(block)

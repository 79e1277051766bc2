"""Products of a sparse matrix with a dense one, by threads."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from scipy.sparse import csr_array

from recobatch.bayesian.threads import Threads
from recobatch.features import FeatureBlock

_ENTRIES = 1 << 18
"""Entries of a piece: enough that a call costs little beside its work."""


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """A sparse matrix, float32, divided by rows."""

    pieces: tuple[tuple[int, csr_array], ...]
    """First row and content of each."""
    shape: tuple[int, int]

    @classmethod
    def build(cls, block: FeatureBlock) -> Self:
        """The features of a block: shape ``(n_rows, n_features)``."""
        shape = block.n_rows, block.n_features
        return cls._divide(csr_array((block.values, block.indices, block.indptr), shape=shape))

    @classmethod
    def build_transposed(cls, block: FeatureBlock) -> Self:
        """The same with rows and columns exchanged."""
        shape = block.n_rows, block.n_features
        return cls._divide(csr_array((block.values, block.indices, block.indptr), shape=shape).T.tocsr())

    @classmethod
    def _divide(cls, matrix: csr_array) -> Self:
        number = max(1, matrix.nnz // _ENTRIES)
        cuts = np.searchsorted(matrix.indptr, np.linspace(0, matrix.nnz, number + 1)[1:-1])
        bounds = pairwise([0, *np.unique(cuts).tolist(), matrix.shape[0]])
        return cls(tuple((first, matrix[first:last]) for first, last in bounds), matrix.shape)

    def multiply(self, matrix: np.ndarray, threads: Threads) -> np.ndarray:
        """The product with a dense matrix, float32, shape ``(n_columns, d)``: float32, shape ``(n_rows, d)``."""
        out = np.empty((self.shape[0], matrix.shape[1]), dtype=np.float32)

        def product(piece: tuple[int, csr_array]) -> None:
            first, content = piece
            out[first : first + content.shape[0]] = content @ matrix

        threads.each(product, self.pieces)
        return out

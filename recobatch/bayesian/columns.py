"""A tall matrix in parts that lie side by side: its Gram matrix and its products, without a copy of it."""

from collections.abc import Sequence

import numpy as np

from recobatch.bayesian.threads import Threads

_ROWS = 2048
_PIECES = 16
"""Sums that threads make apart, each of the size of the result."""

Parts = Sequence[np.ndarray]


def gram(parts: Parts, threads: Threads) -> np.ndarray:
    """``AᵀA`` of ``A = hstack(parts)``, shape ``(n, k)``: float64, shape ``(k, k)``."""
    n_rows, width = len(parts[0]), sum(part.shape[1] for part in parts)
    step = _ROWS * max(1, -(-n_rows // (_ROWS * _PIECES)))
    sums = [np.zeros((width, width)) for _ in range(0, n_rows, step)]

    def add(piece: int) -> None:
        for start in range(piece * step, min((piece + 1) * step, n_rows), _ROWS):
            rows = np.hstack([part[start : start + _ROWS] for part in parts], dtype=np.float64)
            sums[piece] += rows.T @ rows

    threads.each(add, range(len(sums)))
    return np.sum(sums, axis=0)


def combined(parts: Parts, matrix: np.ndarray, threads: Threads) -> np.ndarray:
    """``hstack(parts) @ matrix``: float32, shape ``(n, m)``."""
    out = np.empty((len(parts[0]), matrix.shape[1]), dtype=np.float32)
    matrix = matrix.astype(np.float32)

    def multiply(start: int) -> None:
        rows = np.hstack([part[start : start + _ROWS] for part in parts])
        np.matmul(rows, matrix, out=out[start : start + _ROWS])

    threads.each(multiply, range(0, len(out), _ROWS))
    return out

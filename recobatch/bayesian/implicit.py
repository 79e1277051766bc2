"""Implicit features: which items a user rated, and who rated an item."""

import numpy as np

from recobatch.features import FeatureBlock, Features

NAME = "rated"


def implicit_block(row: np.ndarray, column: np.ndarray, shape: tuple[int, int]) -> FeatureBlock:
    """Each row's columns, with the value ``1 / sqrt(number of them)``.

    Koren, "Factorization meets the neighborhood", KDD 2008, eq. 15 (SVD++); for both sides as in Rendle, Zhang and
    Koren, "On the difficulty of evaluating baselines", 2019.

    Args:
        row: User (or item) of each rating, integers, shape ``(n,)``.
        column: Its item (or user), integers, shape ``(n,)``.
        shape: Numbers of rows and columns.
    """
    counts = np.bincount(row, minlength=shape[0])
    order = np.argsort(row, kind="stable")
    values = (1 / np.sqrt(np.maximum(counts, 1)))[row[order]].astype(np.float32)
    indptr = np.concatenate(([0], np.cumsum(counts)))
    return FeatureBlock(NAME, indptr, column[order].astype(np.int32), values, n_features=shape[1])


def all_blocks(
    row: np.ndarray, column: np.ndarray, shape: tuple[int, int], side: Features | None
) -> list[FeatureBlock]:
    """The implicit features, and the side features as one block."""
    blocks = [implicit_block(row, column, shape)]
    if side is not None and side.n_features:
        blocks.append(side.merged("side"))
    return blocks

"""Sparse features of users or items, aligned to a vocabulary."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from recobatch.array_file import open_arrays, save_arrays
from recobatch.errors import BadTable


@dataclass(frozen=True, eq=False)
class FeatureBlock:
    """Features of one kind: those of row r are ``indices[indptr[r]:indptr[r + 1]]`` with the values beside them."""

    name: str
    """Column of the side table, or ``rated`` for the implicit features."""
    indptr: np.ndarray
    """int64, shape ``(n_rows + 1,)``."""
    indices: np.ndarray
    """int32, shape ``(n_values,)``, within ``[0, n_features)``."""
    values: np.ndarray
    """float32, shape ``(n_values,)``."""
    names: tuple[str, ...] = ()
    """One name for each feature; empty where features are not named."""
    n_features: int = 0
    """Number of features; taken from ``names`` where they are given."""

    def __post_init__(self) -> None:
        if self.names:
            object.__setattr__(self, "n_features", len(self.names))
        highest = int(self.indices.max(initial=-1))
        if len(self.indices) != len(self.values) or self.indptr[-1] != len(self.values) or highest >= self.n_features:
            raise BadTable(
                f"features {self.name}: found {len(self.indices):,} indices up to {highest}, {len(self.values):,} "
                f"values and rows that end at {self.indptr[-1]:,}, expected equal lengths and indices below "
                f"{self.n_features:,}; the parts are of different blocks"
            )

    @property
    def n_rows(self) -> int:
        return len(self.indptr) - 1

    def dense(self) -> np.ndarray:
        """The same as a matrix: float64, shape ``(n_rows, n_features)``."""
        matrix = np.zeros((self.n_rows, self.n_features))
        np.add.at(matrix, (np.repeat(np.arange(self.n_rows), np.diff(self.indptr)), self.indices), self.values)
        return matrix

    def take(self, rows: np.ndarray) -> Self:
        """The features of chosen rows, int64, shape ``(m,)``; -1 gives a row without features."""
        known = rows >= 0
        start = np.where(known, self.indptr[rows], 0)
        length = np.where(known, self.indptr[rows + 1] - start, 0)
        indptr = np.concatenate(([0], np.cumsum(length)))
        positions = np.arange(indptr[-1]) + np.repeat(start - indptr[:-1], length)
        return type(self)(
            self.name, indptr, self.indices[positions], self.values[positions], self.names, self.n_features
        )

    def followed_by(self, other: Self) -> Self:
        """The rows of both, of the same features."""
        return type(self)(
            self.name, np.concatenate((self.indptr, other.indptr[1:] + self.indptr[-1])),
            np.concatenate((self.indices, other.indices)), np.concatenate((self.values, other.values)), self.names,
            self.n_features,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Features:
    """All feature blocks of the users, or of the items."""

    blocks: tuple[FeatureBlock, ...]

    @property
    def n_rows(self) -> int:
        """Rows of each block; 0 without blocks."""
        return self.blocks[0].n_rows if self.blocks else 0

    @property
    def n_features(self) -> int:
        return sum(block.n_features for block in self.blocks)

    def merged(self, name: str) -> FeatureBlock:
        """All blocks side by side as one."""
        offsets = np.cumsum([0, *(block.n_features for block in self.blocks)])
        rows = np.concatenate([np.repeat(np.arange(block.n_rows), np.diff(block.indptr)) for block in self.blocks])
        order = np.argsort(rows, kind="stable")
        indices = np.concatenate([block.indices + at for block, at in zip(self.blocks, offsets[:-1], strict=True)])
        values = np.concatenate([block.values for block in self.blocks])
        names = tuple(f"{block.name}={each}" for block in self.blocks for each in block.names)
        indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=self.n_rows))))
        return FeatureBlock(
            name, indptr, indices[order].astype(np.int32), values[order], names if len(names) == offsets[-1] else (),
            int(offsets[-1]),
        )  # fmt: skip

    def take(self, rows: np.ndarray) -> Self:
        """The features of chosen rows, as in ``FeatureBlock.take``."""
        return type(self)(tuple(block.take(rows) for block in self.blocks))

    def filled(self, others: Self, rows: np.ndarray) -> Self:
        """The same with the chosen rows (bool, shape ``(n_rows,)``) of other features in the same blocks."""
        source = np.where(rows, self.n_rows, 0) + np.arange(self.n_rows)
        pairs = zip(self.blocks, others.blocks, strict=True)
        return type(self)(tuple(mine.followed_by(other).take(source) for mine, other in pairs))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays by name."""
        arrays: dict[str, np.ndarray] = {"blocks": np.array([block.name for block in self.blocks], dtype=np.str_)}
        for number, block in enumerate(self.blocks):
            arrays |= {
                f"{number}_indptr": block.indptr, f"{number}_indices": block.indices, f"{number}_values": block.values,
                f"{number}_names": np.array(block.names, dtype=np.str_),
                f"{number}_size": np.array(block.n_features),
            }  # fmt: skip
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Inverse of ``to_arrays``.

        Raises:
            KeyError: If an array is missing.
        """
        return cls(tuple(
            FeatureBlock(
                str(name), arrays[f"{at}_indptr"], arrays[f"{at}_indices"], arrays[f"{at}_values"],
                tuple(arrays[f"{at}_names"].tolist()), int(arrays[f"{at}_size"]),
            )
            for at, name in enumerate(arrays["blocks"])
        ))  # fmt: skip

    def save(self, path: Path) -> None:
        """Write an ``.npz`` of plain arrays."""
        save_arrays(path, self.to_arrays(), compressed=True)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Inverse of ``save``.

        Raises:
            BadTable: If the file cannot be read.
        """
        with open_arrays(path, "features") as arrays:
            return cls.from_arrays(arrays)

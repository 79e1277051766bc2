"""Interest: which items a user would take, from the pairs that were rated. Factors, and how to compute a user's. NumPy."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np

from recobatch.errors import BadTable
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions

_USERS_PER_SOLVE = 512


class InterestKind(StrEnum):
    """How a user's factors follow from their ratings."""

    EASE = "ease"
    """The weights of the user's ratings times ``basis``: EASE (Steck 2019) in the space of its largest singular
    vectors."""
    IALS = "ials"
    """A ridge regression on ``basis``: implicit ALS (Hu, Koren & Volinsky 2008; Rendle et al. 2022)."""


@dataclass(frozen=True)
class Confidence:
    """The weight of a rating as a sign of interest, within ``(0, 1]``, ascending with the rating."""

    lowest: float
    """Lowest rating of the scale."""
    highest: float
    """Highest rating of the scale."""
    liked: float
    """Lowest rating that counts as liked."""
    other: float | None = None
    """Weight of ratings below ``liked``; liked ones weigh 1. None: all weigh ``((r - lowest + d) / (3 d))²`` with ``d``
    half of the scale, from 1/9 to 1."""

    def of(self, rating: np.ndarray) -> np.ndarray:
        """Weights of ratings: float32, shape of ``rating``."""
        if self.other is not None:
            return np.where(rating >= self.liked, np.float32(1), np.float32(self.other))
        half = (self.highest - self.lowest) / 2
        if half <= 0:
            return np.ones(rating.shape, dtype=np.float32)
        share = (np.clip(rating, self.lowest, self.highest) - self.lowest + half) / (3 * half)
        return np.square(share).astype(np.float32)


@dataclass(frozen=True, eq=False)
class InterestModel:
    """User u's interest in item i is ``user_factors[u] · item_factors[i]``; its scale differs between models."""

    factors: FactorModel
    """Users' and items' factors, without biases."""
    basis: np.ndarray
    """What users' factors are computed from: float32, shape ``(n_items, n_factors)``."""
    average_user: np.ndarray
    """Mean of the users' factors in training, float32, shape ``(n_factors,)``: for users without ratings."""
    kind: InterestKind
    confidence: Confidence
    regularization: float
    """EASE: added to the diagonal of the Gram matrix. iALS: penalty of a user, before it is scaled by the number of their
    ratings."""
    unobserved: float = 0.0
    """Weight of every pair, rated or not; iALS only."""

    @property
    def n_users(self) -> int:
        return self.factors.n_users

    @property
    def n_items(self) -> int:
        return self.factors.n_items

    def for_users(self, ratings: EncodedInteractions) -> "InterestModel":
        """Compute the users' factors from ratings in closed form; items stay as they were trained.

        Args:
            ratings: All ratings of each user, over the model's items; users may be any number, known or new.

        Returns:
            The model over the users of ``ratings``. Users without ratings get the average user's factors.

        Raises:
            BadTable: If ``ratings`` has another number of items.
        """
        if ratings.n_items != self.n_items:
            raise BadTable(
                f"interest model: found ratings of {ratings.n_items:,} items, expected {self.n_items:,}; bring the model "
                f"to the same items with over_items, or train again"
            )
        weights = self.confidence.of(ratings.rating)
        if self.kind is InterestKind.EASE:
            users = project(ratings.user_index, ratings.item_index, weights, self.basis, ratings.n_users)
        else:
            users = solve_users(
                ratings.user_index, ratings.item_index, weights, self.basis, ratings.n_users,
                unobserved=self.unobserved, regularization=self.regularization,
            )  # fmt: skip
        users[np.bincount(ratings.user_index, minlength=ratings.n_users) == 0] = self.average_user
        zeros = np.zeros(ratings.n_users, dtype=np.float32)
        return replace(self, factors=replace(self.factors, user_factors=users, user_bias=zeros))

    def over_items(self, places: np.ndarray, n_items: int) -> "InterestModel":
        """Move the items to other indices; items that the model does not know get an interest of 0.

        Args:
            places: New index of each of the model's items, shape ``(self.n_items,)``; -1 drops it.
            n_items: Number of items then.
        """
        kept = places >= 0

        def move(rows: np.ndarray) -> np.ndarray:
            moved = np.zeros((n_items, *rows.shape[1:]), dtype=rows.dtype)
            moved[places[kept]] = rows[kept]
            return moved

        factors = replace(
            self.factors, item_factors=move(self.factors.item_factors), item_bias=move(self.factors.item_bias)
        )
        return replace(self, factors=factors, basis=move(self.basis))

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 over every array and scalar, as 64 hex digits."""
        digest = hashlib.sha256()
        for name, array in self._arrays():
            digest.update(f"{name}:{array.dtype.str}:{array.shape}:".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def _arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        confidence = self.confidence
        other = np.nan if confidence.other is None else confidence.other
        yield "user_factors", self.factors.user_factors
        yield "item_factors", self.factors.item_factors
        yield "basis", self.basis
        yield "average_user", self.average_user
        yield "kind", np.array(self.kind.value)
        yield "confidence", np.array([confidence.lowest, confidence.highest, confidence.liked, other])
        yield "penalty", np.array([self.regularization, self.unobserved], dtype=np.float64)

    def save(self, path: Path) -> None:
        """Write an ``.npz`` of plain arrays (nothing pickled) with the fingerprint beside them."""
        with path.open("wb") as file:
            np.savez(file, **dict(self._arrays()), fingerprint=np.array(self.fingerprint), allow_pickle=False)

    @classmethod
    def load(cls, path: Path) -> "InterestModel":
        """Inverse of ``save``.

        Raises:
            BadTable: If the file cannot be read or does not match its fingerprint.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            low, high, liked, other = arrays["confidence"].tolist()
            regularization, unobserved = arrays["penalty"].tolist()
            model = cls(
                plain_factors(arrays["user_factors"], arrays["item_factors"]), arrays["basis"], arrays["average_user"],
                InterestKind(str(arrays["kind"])), Confidence(low, high, liked, None if other != other else other),
                regularization, unobserved,
            )  # fmt: skip
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise BadTable(
                f"{path}: found no interest model ({error}), expected a file saved by recobatch; train again"
            ) from error
        if model.fingerprint != str(arrays["fingerprint"]):
            raise BadTable(
                f"{path}: found an interest model that differs from its fingerprint, the file was changed; train again"
            )
        return model


def plain_factors(user_factors: np.ndarray, item_factors: np.ndarray) -> FactorModel:
    """A model without biases and without a rating range."""
    zeros = np.zeros(len(user_factors), dtype=np.float32), np.zeros(len(item_factors), dtype=np.float32)
    return FactorModel(user_factors, item_factors, *zeros)


def project(rows: np.ndarray, columns: np.ndarray, weights: np.ndarray, basis: np.ndarray, n_rows: int) -> np.ndarray:
    """Weighted sums of rows of ``basis``: for each pair, row ``rows`` gets ``weights * basis[columns]``.

    Args:
        rows: Integers, shape ``(n,)``, within ``[0, n_rows)``, in any order.
        columns: Integers, shape ``(n,)``, rows of ``basis``.
        weights: float32, shape ``(n,)``.
        basis: float32, shape ``(m, k)``.
        n_rows: Rows of the result.

    Returns:
        float32, shape ``(n_rows, k)``.
    """
    order, bounds = grouped(rows, n_rows)
    columns, weights = columns[order], weights[order]
    sums = np.zeros((n_rows, basis.shape[1]), dtype=np.float32)
    for row in np.flatnonzero(np.diff(bounds)):
        chosen = slice(bounds[row], bounds[row + 1])
        np.dot(weights[chosen], basis[columns[chosen]], out=sums[row])
    return sums


def solve_users(
    rows: np.ndarray,
    columns: np.ndarray,
    weights: np.ndarray,
    basis: np.ndarray,
    n_rows: int,
    *,
    unobserved: float,
    regularization: float,
) -> np.ndarray:
    """Minimise ``Σ w (1 - x · y)² + unobserved Σ_all (x · y)² + penalty |x|²`` for the ``x`` of every row.

    The penalty of a row with n pairs is ``regularization * (n + unobserved * len(basis))``: scaled by frequency
    (Rendle, Krichene, Zhang & Koren, "Revisiting the performance of iALS", RecSys 2022, section 3.3).

    Args:
        rows: As in ``project``.
        columns: As in ``project``.
        weights: Confidence of each pair, float32, shape ``(n,)``.
        basis: The fixed side ``y``, float32, shape ``(m, k)``.
        n_rows: Rows of the result.
        unobserved: Weight of every pair.
        regularization: Penalty before scaling.

    Returns:
        float32, shape ``(n_rows, k)``; zeros for rows without pairs. The bits do not depend on other rows.
    """
    order, bounds = grouped(rows, n_rows)
    columns, weights = columns[order], weights[order]
    solved = np.zeros((n_rows, basis.shape[1]), dtype=np.float32)
    for first in range(0, n_rows, _USERS_PER_SOLVE):
        part = slice(first, min(first + _USERS_PER_SOLVE, n_rows))
        solved[part] = solve_block(
            bounds[part.start : part.stop + 1], columns, weights, basis, unobserved=unobserved,
            regularization=regularization, gram=unobserved * (basis.T @ basis),
        )  # fmt: skip
    return solved


def solve_block(
    bounds: np.ndarray,
    columns: np.ndarray,
    weights: np.ndarray,
    basis: np.ndarray,
    *,
    unobserved: float,
    regularization: float,
    gram: np.ndarray,
) -> np.ndarray:
    """As ``solve_users`` for rows whose pairs are ``bounds[i]:bounds[i + 1]``, with ``gram = unobserved * basisᵀ basis``."""
    k, counts = basis.shape[1], np.diff(bounds)
    matrices, targets = np.empty((len(counts), k, k), dtype=np.float32), np.zeros((len(counts), k), dtype=np.float32)
    matrices[:] = gram
    for row in np.flatnonzero(counts):
        chosen = slice(bounds[row], bounds[row + 1])
        vectors = basis[columns[chosen]]
        weighted = vectors * weights[chosen, None]
        matrices[row] += vectors.T @ weighted
        targets[row] = weighted.sum(axis=0)
    penalty = regularization * (counts + unobserved * len(basis))
    matrices[:, np.arange(k), np.arange(k)] += np.maximum(penalty, 1e-6).astype(np.float32)[:, None]
    return np.linalg.solve(matrices, targets[:, :, None])[:, :, 0]


def grouped(index: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A stable order by index, and the bounds of each index in it: ``order[bounds[i]:bounds[i + 1]]``."""
    return np.argsort(index, kind="stable"), np.concatenate([[0], np.cumsum(np.bincount(index, minlength=size))])

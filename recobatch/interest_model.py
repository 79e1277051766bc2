"""Interest: which items a user would take, from the pairs that were rated. NumPy only."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from recobatch.array_file import FINGERPRINT, fingerprint_arrays, open_arrays, save_arrays
from recobatch.blas import one_blas_thread
from recobatch.errors import BadTable
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions
from recobatch.interest_users import Ridge, solve_users
from recobatch.low_rank import FewerColumns
from recobatch.sparse_rows import SparseRows


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
class InterestPart:
    """Interest by one method: ``user_factors[u] · item_factors[i]``."""

    kind: InterestKind
    user_factors: np.ndarray
    """float32, shape ``(n_users, n_factors)``."""
    item_factors: np.ndarray
    """float32, shape ``(n_items, n_factors)``."""
    basis: np.ndarray
    """What users' factors are computed from: float32, shape ``(n_items, n_factors)``."""
    average_user: np.ndarray
    """Mean of the users' factors in training, float32, shape ``(n_factors,)``: for users without ratings."""
    regularization: float
    """EASE: added to the diagonal of the Gram matrix. iALS: penalty per rating of a user."""
    unobserved: float = 0.0
    """Weight of every pair, rated or not; iALS only."""
    floor: float = 0.0
    """Penalty of a user without ratings; iALS only."""

    def for_users(self, weights: SparseRows) -> Self:
        """The part over other users, by the weights of their ratings; see ``InterestModel.for_users``."""
        if self.kind is InterestKind.EASE:
            users = weights.times(self.basis)
        else:
            users = solve_users(weights, self.basis, Ridge(self.unobserved, self.regularization, self.floor))
        users[weights.counts == 0] = self.average_user
        return replace(self, user_factors=users)

    @property
    def root_mean_square(self) -> float:
        """Of the scores of all pairs, which are never computed."""
        users, items = (side.astype(np.float64).T @ side for side in (self.user_factors, self.item_factors))
        return float(np.sqrt(np.sum(users * items) / max(len(self.user_factors) * len(self.item_factors), 1)))


@dataclass(frozen=True, eq=False)
class InterestModel:
    """A user's interest in an item: the sum over the parts. Its scale differs between models."""

    parts: tuple[InterestPart, ...]
    """One, or several whose items' factors are scaled to add up."""
    confidence: Confidence
    """Weights of the ratings."""
    fewer: FewerColumns | None = None
    """Brings the columns of all parts together to fewer, where lists of very many users are to be made."""

    @property
    def n_users(self) -> int:
        return len(self.parts[0].user_factors)

    @property
    def n_items(self) -> int:
        return len(self.parts[0].item_factors)

    @cached_property
    def factors(self) -> FactorModel:
        """One dot product for all parts, without biases and without a rating range."""
        users, items = self._sides
        if self.fewer is not None:
            with one_blas_thread():  # the products are too small for the threads of a BLAS
                user_factors, item_factors = self.fewer.of_users(users), self.fewer.of_items(items)
        else:
            user_factors, item_factors = (np.concatenate(side, axis=1) for side in (users, items))
        user_bias, item_bias = (np.zeros(n, dtype=np.float32) for n in (self.n_users, self.n_items))
        return FactorModel(user_factors, item_factors, user_bias, item_bias)

    @property
    def _sides(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Factors of the users and of the items, by part."""
        return [part.user_factors for part in self.parts], [part.item_factors for part in self.parts]

    def in_columns(self, most: int) -> "InterestModel":
        """The model with at most so many columns in ``factors``: the nearest sum of its parts."""
        users, items = self._sides
        if sum(factors.shape[1] for factors in items) <= most:
            return self
        return replace(self, fewer=FewerColumns.of(users, items, most))

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
                f"interest model: found ratings of {ratings.n_items:,} items, expected {self.n_items:,}; bring the "
                f"model to the same items with over_items, or train again"
            )
        weights = SparseRows.of(
            ratings.user_index, ratings.item_index, self.confidence.of(ratings.rating), ratings.n_users
        )
        return replace(self, parts=tuple(part.for_users(weights) for part in self.parts))

    def over_items(self, places: np.ndarray, n_items: int) -> "InterestModel":
        """Move the items to other indices; items that the model does not know get an interest of 0.

        Args:
            places: New index of each of the model's items, shape ``(self.n_items,)``; -1 drops it.
            n_items: Number of items then.
        """
        kept = places >= 0

        def move(rows: np.ndarray) -> np.ndarray:
            moved = np.zeros((n_items, rows.shape[1]), dtype=rows.dtype)
            moved[places[kept]] = rows[kept]
            return moved

        parts = (replace(part, item_factors=move(part.item_factors), basis=move(part.basis)) for part in self.parts)
        return replace(self, parts=tuple(parts))

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 over every array and scalar, as 64 hex digits."""
        return fingerprint_arrays(dict(self._arrays()))

    def _arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        confidence = self.confidence
        other = np.nan if confidence.other is None else confidence.other
        yield "confidence", np.array([confidence.lowest, confidence.highest, confidence.liked, other])
        yield "kinds", np.array([part.kind.value for part in self.parts])
        yield "penalties", np.array([[part.regularization, part.unobserved, part.floor] for part in self.parts])
        for number, part in enumerate(self.parts):
            for name in _PART_ARRAYS:
                yield f"{name}_{number}", getattr(part, name)
        if self.fewer is not None:
            yield "fewer_users", self.fewer.users
            yield "fewer_items", self.fewer.items

    def save(self, path: Path) -> None:
        """Write an ``.npz`` of plain arrays (nothing pickled) with the fingerprint beside them."""
        save_arrays(path, dict(self._arrays()))

    @classmethod
    def load(cls, path: Path, *, verify: bool = True) -> "InterestModel":
        """Inverse of ``save``; ``verify`` as in ``open_arrays``.

        Raises:
            BadTable: If the file cannot be read or does not match its fingerprint.
        """
        with open_arrays(path, "interest model", verify=verify) as arrays:
            low, high, liked, other = arrays["confidence"].tolist()
            parts = (
                InterestPart(InterestKind(kind), *(arrays[f"{name}_{number}"] for name in _PART_ARRAYS), *penalties)
                for number, (kind, penalties) in enumerate(
                    zip(arrays["kinds"].tolist(), arrays["penalties"].tolist(), strict=True)
                )
            )
            fewer = FewerColumns(arrays["fewer_users"], arrays["fewer_items"]) if "fewer_users" in arrays else None
            model = cls(tuple(parts), Confidence(low, high, liked, None if math.isnan(other) else other), fewer)
            if FINGERPRINT in arrays:
                model.__dict__["fingerprint"] = str(arrays[FINGERPRINT])  # or its first use would compute it again
            return model


_PART_ARRAYS = ("user_factors", "item_factors", "basis", "average_user")

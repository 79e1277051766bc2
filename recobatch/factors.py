"""The common form of every trained model: factors, biases and a link. NumPy only."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np

from recobatch.array_file import FINGERPRINT, fingerprint_arrays, open_arrays, save_arrays
from recobatch.errors import BadTable


class Link(StrEnum):
    """How a raw score becomes a rating."""

    IDENTITY = "identity"
    """The score is the rating, clipped to the rating range where the model has one."""
    SCALED_SIGMOID = "scaled_sigmoid"
    """``min_rating + (max_rating - min_rating) / (1 + exp(-score))``."""


@dataclass(frozen=True, eq=False)
class FactorModel:
    """User u rates item i ``link(user_factors[u] · item_factors[i] + user_bias[u] + item_bias[i] + global_bias)``.

    Koren, Bell, Volinsky, "Matrix factorization techniques for recommender systems", IEEE Computer 42(8), 2009, eq. 4.
    """

    user_factors: np.ndarray
    """float32, shape ``(n_users, n_factors)``."""
    item_factors: np.ndarray
    """float32, shape ``(n_items, n_factors)``."""
    user_bias: np.ndarray
    """float32, shape ``(n_users,)``; zeros where the model has none."""
    item_bias: np.ndarray
    """float32, shape ``(n_items,)``; zeros where the model has none."""
    global_bias: float = 0.0
    link: Link = Link.IDENTITY
    min_rating: float = 0.0
    """Lower end of the rating range, in rating units."""
    max_rating: float = 0.0
    """Upper end of the rating range, in rating units. If not above ``min_rating``, the identity clips nothing, as in
    models that were registered without a range."""

    def __post_init__(self) -> None:
        n_factors = self.user_factors.shape[1]
        expected = {
            "item_factors": (self.item_factors.shape, (self.n_items, n_factors)),
            "user_bias": (self.user_bias.shape, (self.n_users,)),
            "item_bias": (self.item_bias.shape, (self.n_items,)),
        }
        for name, (found, wanted) in expected.items():
            if found != wanted:
                raise BadTable(f"{name}: found shape {found}, expected {wanted}; the factors are of different models")

    @property
    def n_users(self) -> int:
        return self.user_factors.shape[0]

    @property
    def n_items(self) -> int:
        return self.item_factors.shape[0]

    @property
    def n_factors(self) -> int:
        return self.user_factors.shape[1]

    def predict_pairs(self, user_index: np.ndarray, item_index: np.ndarray) -> np.ndarray:
        """Predict chosen pairs.

        Args:
            user_index: Integers, shape ``(n,)``, within ``[0, n_users)``.
            item_index: Integers, shape ``(n,)``, within ``[0, n_items)``.

        Returns:
            Predictions in rating units, float32, shape ``(n,)``.
        """
        # exp(+large) is inf, and 1 / inf the lower end of the sigmoid; predictions that are no number are counted later
        with np.errstate(over="ignore", invalid="ignore"):
            score = np.einsum("nk,nk->n", self.user_factors[user_index], self.item_factors[item_index])
            score += self.user_bias[user_index]
            score += self.item_bias[item_index]
            return self.apply_link(score)

    def apply_link(self, score: np.ndarray) -> np.ndarray:
        """Convert raw scores, float32, to ratings in place; adds the global bias."""
        if self.global_bias:
            score += np.float32(self.global_bias)
        if self.link is Link.SCALED_SIGMOID:
            np.negative(score, out=score)
            np.exp(score, out=score)
            score += np.float32(1)
            np.divide(np.float32(self.max_rating - self.min_rating), score, out=score)
            score += np.float32(self.min_rating)
        elif self.max_rating > self.min_rating:
            np.clip(score, np.float32(self.min_rating), np.float32(self.max_rating), out=score)
        return score

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 over every array and scalar, as 64 hex digits."""
        return fingerprint_arrays(dict(self._arrays()))

    def _arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        yield "user_factors", self.user_factors
        yield "item_factors", self.item_factors
        yield "user_bias", self.user_bias
        yield "item_bias", self.item_bias
        yield "global_bias", np.array(self.global_bias, dtype=np.float64)
        yield "link", np.array(self.link.value)
        yield "rating_range", np.array([self.min_rating, self.max_rating], dtype=np.float64)

    def save(self, path: Path) -> None:
        """Write an ``.npz`` of plain arrays (nothing pickled) with the fingerprint beside them."""
        save_arrays(path, dict(self._arrays()))

    @classmethod
    def load(cls, path: Path, *, verify: bool = True) -> "FactorModel":
        """Inverse of ``save``.

        Args:
            path: The file.
            verify: Whether its content is compared with its fingerprint; not where its bytes were checked already.

        Raises:
            BadTable: If the file cannot be read or does not match its fingerprint.
        """
        with open_arrays(path, "factors", verify=verify) as arrays:
            low, high = arrays["rating_range"].tolist()
            model = cls(
                arrays["user_factors"], arrays["item_factors"], arrays["user_bias"], arrays["item_bias"],
                float(arrays["global_bias"]), Link(str(arrays["link"])), low, high,
            )  # fmt: skip
            model.__dict__["fingerprint"] = str(arrays[FINGERPRINT])  # or its first use would compute it again
            return model

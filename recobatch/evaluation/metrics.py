"""Errors of predictions against ratings, in rating units. NumPy only."""

import numpy as np


def mean_squared_error(rating: np.ndarray, prediction: np.ndarray) -> float:
    """Mean of ``(prediction - rating) ** 2``, summed in double precision.

    Args:
        rating: Observed, shape ``(n,)``.
        prediction: Computed, shape ``(n,)``.

    Returns:
        Squared rating units; NaN when there are no rows.
    """
    error = prediction.astype(np.float64) - rating
    return float(error @ error) / len(error) if len(error) else float("nan")


def root_mean_squared_error(rating: np.ndarray, prediction: np.ndarray) -> float:
    """Square root of ``mean_squared_error``, in rating units."""
    return float(np.sqrt(mean_squared_error(rating, prediction)))


def mean_absolute_error(rating: np.ndarray, prediction: np.ndarray) -> float:
    """Mean of ``|prediction - rating|`` in rating units; NaN when there are no rows."""
    error = prediction.astype(np.float64) - rating
    return float(np.abs(error).mean()) if len(error) else float("nan")

"""Intervals around predictions, calibrated on held-out ratings. NumPy only.

Split-conformal, with the quantiles of scaled residuals per activity band: Romano, Patterson and Candès, "Conformalized
quantile regression", NeurIPS 2019.
"""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from recobatch.evaluation.baselines import bias_model
from recobatch.evaluation.cold import widened
from recobatch.evaluation.noise import HeldOut, band_edges, fit_noise
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions
from recobatch.intervals import Calibration, Intervals, bands

COVERAGE = 0.9
_FOLDS = 4
_ALTERNATIONS = 4
_NEIGHBOURS = 0.2
"""Weight of each neighbouring band."""
_MOST_SEEN = 4_000_000
"""Training ratings that sharpen the noise terms: more change them little and take long."""
_PROBED = 20_000
"""Training ratings whose error is compared with that of the held-out ones."""


def fit_intervals(
    held_out: HeldOut, sd: np.ndarray, *, user_ratings: np.ndarray, item_ratings: np.ndarray,
    rating_range: tuple[float, float], coverage: float = COVERAGE,
) -> Intervals:  # fmt: skip
    """Take the quantiles of the scaled residuals, half of the error on each side.

    Args:
        held_out: Held-out ratings; those that the noise terms were fitted to may be among them if each user has
            few, otherwise use ``calibrate``, which fits both crosswise.
        sd: Of each held-out pair, shape ``(n,)``.
        user_ratings: Training ratings of each user.
        item_ratings: Training ratings of each item.
        rating_range: Lowest and highest rating, to which intervals are clipped.
        coverage: Share of ratings within their intervals.
    """
    activity = user_ratings[held_out.user_index], item_ratings[held_out.item_index]
    edges = [band_edges(each) for each in activity]
    score = (held_out.rating - held_out.prediction) / sd
    band = [bands(each, values) for each, values in zip(edges, activity, strict=True)]
    sizes = [len(each) + 1 for each in edges]
    lower, upper = (_factors(sign * score, band, sizes, coverage) for sign in (-1, 1))
    return Intervals(edges[0], edges[1], lower, upper, *rating_range)


def _factors(
    score: np.ndarray, band: list[np.ndarray], sizes: list[int], coverage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Factors of the user bands and of the item bands whose products cover every band, fitted in turn."""
    factors = np.ones(sizes[0]), np.ones(sizes[1])
    for _ in range(_ALTERNATIONS):
        for side in (1, 0):
            rest = factors[1 - side][band[1 - side]]
            scaled = np.divide(score, rest, out=np.zeros_like(score), where=rest > 0)
            found = [_conformal(scaled[band[side] == number], coverage) for number in range(sizes[side])]
            factors[side][:] = _smoothed(np.array(found))
    return factors


def _smoothed(factors: np.ndarray) -> np.ndarray:
    """Each factor averaged with its neighbours: quantiles of one band alone vary by chance."""
    ends = np.concatenate((factors[:1], factors, factors[-1:]))
    return (1 - 2 * _NEIGHBOURS) * factors + _NEIGHBOURS * (ends[:-2] + ends[2:])


def _conformal(score: np.ndarray, coverage: float) -> float:
    """The finite-sample quantile of one side: never negative."""
    n = len(score)
    if not n:
        return 1.0
    rank = min(1.0, (1 + coverage) / 2 * (n + 1) / n)
    return max(0.0, float(np.quantile(score, rank, method="higher")))


def calibrate(
    held_out: HeldOut, *, user_ratings: np.ndarray, item_ratings: np.ndarray, rating_range: tuple[float, float],
    seen: HeldOut | None = None,
) -> Calibration:  # fmt: skip
    """Fit noise terms and intervals to the same held-out ratings, crosswise.

    The sd of each held-out rating comes from noise terms fitted without its fold, so that the quantiles are those of
    ratings that the terms did not see. The terms that are returned are fitted to all of them.

    Args:
        held_out: Ratings that the model did not see, with its predictions.
        user_ratings: Training ratings of each user, shape ``(n_users,)``.
        item_ratings: Training ratings of each item, shape ``(n_items,)``.
        rating_range: Lowest and highest rating.
        seen: Training ratings with predictions, for sharper noise terms; see ``fit_noise``.

    Raises:
        BadInput: If there are no held-out ratings.
    """
    counts = {"user_ratings": user_ratings, "item_ratings": item_ratings}
    noise = fit_noise(held_out, **counts, seen=seen)
    sd = noise.pair_sd(held_out.user_index, held_out.item_index)
    fold = np.arange(len(held_out)) % _FOLDS
    for number in range(_FOLDS):
        chosen = fold == number
        if chosen.any() and not chosen.all():
            others = fit_noise(held_out.take(~chosen), **counts, seen=seen)
            sd[chosen] = others.pair_sd(held_out.user_index[chosen], held_out.item_index[chosen])
    intervals = fit_intervals(
        held_out, sd, user_ratings=user_ratings, item_ratings=item_ratings, rating_range=rating_range
    )
    return Calibration(noise, intervals, user_ratings, item_ratings)


def calibrate_model(
    factors: FactorModel, *, seen: EncodedInteractions, held_out: EncodedInteractions, train: EncodedInteractions,
    others: Iterable[tuple[FactorModel, EncodedInteractions]] = (),
) -> Calibration:  # fmt: skip
    """Calibrate a model on ratings that it does not know.

    Args:
        factors: Trained on ``seen``.
        seen: Its training ratings.
        held_out: Ratings over the same users and items that it does not know.
        train: Training ratings of the model that is to have the calibration: its activity bands count them.
        others: Further trainings like that of ``factors``, each with the ratings that it does not know.

    Raises:
        BadInput: If there are no held-out ratings.
    """
    low, high = factors.min_rating, factors.max_rating
    new, others = HeldOut.of(factors, held_out), list(others)
    counts = {
        "user_ratings": train.user_counts(),
        "item_ratings": train.item_counts(),
    }
    calibration = calibrate(
        HeldOut.joined([new, *(HeldOut.of(*other) for other in others)]), **counts,
        rating_range=(low, high) if high > low else (-math.inf, math.inf),
        seen=around_means(_without(seen, [rows for _, rows in others]), low, high),
    )  # fmt: skip
    gain = _gain(new, HeldOut.of(factors, _some(seen, _PROBED)), len(seen) / len(train))
    return replace(calibration, noise=widened(calibration.noise.scaled(gain), factors, held_out, **counts))


def around_means(train: EncodedInteractions, low: float, high: float) -> HeldOut:
    """Training ratings as the means of users and items predict them, to sharpen noise terms.

    Who is hard to predict shows in them better than in the residuals of a model that has fitted these ratings closely.
    """
    some = _some(train, _MOST_SEEN)
    return HeldOut.of(bias_model(train, min_rating=low, max_rating=high), some)


def _without(rows: EncodedInteractions, parts: Iterable[EncodedInteractions]) -> EncodedInteractions:
    """Rows but those of the parts: an sd that has seen a residual is too wide for it, and its quantiles too small."""
    for part in parts:
        pairs = (each.user_index.astype(np.int64) * rows.n_items + each.item_index for each in (rows, part))
        rows = rows.take(~np.isin(*pairs))
    return rows


def _some(rows: EncodedInteractions, most: int) -> EncodedInteractions:
    """Rows at even distances."""
    return rows if len(rows) <= most else rows.take(np.arange(0, len(rows), -(-len(rows) // most)))


def _gain(held_out: HeldOut, seen: HeldOut, share: float) -> float:
    """Ratio of a model's sd to that of one which was trained on a share of its ratings.

    The excess of the error over the noise is half of the difference between the errors on new and on fitted ratings,
    and falls with the number of ratings: Mallows, "Some comments on Cp", Technometrics 1973.
    """
    error, fitted = (float(rows.squared_residuals().mean()) for rows in (held_out, seen))
    excess = max(0.0, error - fitted) / 2
    return math.sqrt(1 - (1 - share) * excess / error) if error > 0 else 1.0

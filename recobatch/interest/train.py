"""Training ratings → the model of interest, its hyperparameters chosen on held-out ratings."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean

from recobatch.errors import BadRatings
from recobatch.evaluation.baselines import bias_model
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions
from recobatch.interest.candidates import Choice, Trainer, default_choice
from recobatch.interest.folds import Fold, make_folds
from recobatch.interest.options import InterestOptions, InterestReport, Trial
from recobatch.interest.rank_by import choose_rank_by, measure_rank_by
from recobatch.interest.search import search
from recobatch.interest_model import Confidence, InterestModel
from recobatch.scoring.kernel import one_blas_thread

RatingTrainer = Callable[[EncodedInteractions], FactorModel]
"""Trains a rating model on some ratings."""
_SEARCH_SWEEPS = 2
"""Of implicit ALS while it is compared with others."""


def train_interest(
    train: EncodedInteractions,
    *,
    min_rating: float,
    max_rating: float,
    relevant: float,
    options: InterestOptions,
    k: int = 10,
    seed: int = 0,
    rating_trainer: RatingTrainer | None = None,
) -> tuple[InterestModel, InterestReport]:
    """Choose hyperparameters on ratings held out from ``train``, then train on all of ``train``.

    The result depends on the arguments alone, not on the number of threads. Test ratings must not be among ``train``.

    Args:
        train: Training ratings, at least one.
        min_rating: Lowest possible rating.
        max_rating: Highest possible rating.
        relevant: Lowest rating of a relevant item; see ``relevance_threshold``.
        options: Methods and sizes.
        k: Length of the lists that are measured.
        seed: Seed of the held-out ratings and of the start.
        rating_trainer: Trains the rating model that ``rank_by`` is chosen with, on the ratings that are not held out;
            by default the bias means.

    Raises:
        BadRatings: If there are no training ratings.
    """
    if not len(train):
        raise BadRatings("interest: found no training ratings, expected at least one; give more ratings")
    started = time.perf_counter()
    slope = Confidence(min_rating, max_rating, relevant)
    confidences = [slope, *(Confidence(min_rating, max_rating, relevant, other) for other in (0.3, 1.0))]
    folds = make_folds(
        train, relevant=relevant, fraction=options.validation_fraction, max_users=options.choosing_users, k=k, seed=seed
    )
    trials: tuple[Trial, ...] = ()
    choice, figures = default_choice(slope, options), dict[str, float]()
    with one_blas_thread():
        if folds:
            trainers = [Trainer(fold.fit, options, seed, sweeps=min(options.sweeps, _SEARCH_SWEEPS)) for fold in folds]
            choice, trials = search(folds, trainers, confidences, options)

            def means(fit: EncodedInteractions) -> FactorModel:
                return bias_model(fit, min_rating=min_rating, max_rating=max_rating)

            figures = _rank_by_figures(folds, trainers, choice, rating_trainer or means)
            del trainers
        model = Trainer(train, options, seed).train(choice)
    rank_by = choose_rank_by(figures) if figures else "interest"
    seconds = time.perf_counter() - started
    return model, InterestReport(str(choice), trials, rank_by, figures, len(folds), seconds)


def _rank_by_figures(
    folds: list[Fold], trainers: list[Trainer], choice: Choice, rating_trainer: RatingTrainer
) -> dict[str, float]:
    with ThreadPoolExecutor(len(folds)) as pool:
        found = list(
            pool.map(
                lambda fold, trainer: measure_rank_by(fold, rating_trainer(fold.fit), trainer.train(choice)),
                folds, trainers,
            )
        )  # fmt: skip
    return {name: fmean(figures[name] for figures in found) for name in found[0]}

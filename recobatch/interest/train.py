"""Training ratings → the model of interest, its hyperparameters chosen on held-out ratings."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean

import numpy as np

from recobatch.blas import one_blas_thread
from recobatch.errors import BadRatings
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions
from recobatch.interest.candidates import Choice, Trainer, default_choice
from recobatch.interest.folds import Fold, make_folds
from recobatch.interest.options import InterestOptions, InterestReport, Trial
from recobatch.interest.rank_by import choose_model_and_way, measure_rank_by
from recobatch.interest.search import Arena, search
from recobatch.interest.stand_in import stand_in
from recobatch.interest_model import Confidence, InterestModel
from recobatch.scoring.ranker import RankBy

RatingTrainer = Callable[[EncodedInteractions], FactorModel]
"""Trains a rating model on some ratings."""
_WITHOUT_FOLDS: RankBy = "interest"
_SEARCH_SWEEPS = 2
"""Of implicit ALS while it is compared with others; with few ratings as many as in the end, since a penalty that they
cannot bear takes more than two to bring all factors to nothing."""
_FEW_RATINGS = 5_000


def train_interest(
    train: EncodedInteractions,
    *,
    min_rating: float,
    max_rating: float,
    relevant: float,
    options: InterestOptions,
    k: int = 10,
    seed: int = 0,
    has_bayesian: bool = False,
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
        has_bayesian: Whether lists are to be multiplied with predictions of ``bayesian_mf``.
        rating_trainer: Trains the rating model that ``rank_by`` is chosen with, on the ratings that are not held out;
            by default a stand-in for ``bayesian_mf`` or the bias means.

    Raises:
        BadRatings: If there are no training ratings.
    """
    if not len(train):
        raise BadRatings("interest: found no training ratings, expected at least one; give more ratings")
    started = time.perf_counter()
    slope = Confidence(min_rating, max_rating, relevant)
    confidences = [slope, Confidence(min_rating, max_rating, relevant, 1.0)]
    folds = make_folds(
        train, relevant=relevant, fraction=options.validation_fraction, max_users=options.choosing_users, k=k, seed=seed
    )
    choice, rank_by, figures = default_choice(slope, options), _WITHOUT_FOLDS, dict[str, float]()
    trials: tuple[Trial, ...] = ()
    rating_trainer = rating_trainer or partial(
        stand_in, min_rating=min_rating, max_rating=max_rating, seed=seed, is_bayesian=has_bayesian
    )

    with one_blas_thread():
        if folds:
            sweeps = None if len(train) < _FEW_RATINGS else min(options.sweeps, _SEARCH_SWEEPS)
            kept = 1 - options.validation_fraction
            trainers = [Trainer(fold.fit, options, seed, sweeps=sweeps, kept=kept) for fold in folds]
            arena = Arena(folds, trainers)
            found = search(arena, confidences, options)
            # Weights that ignore the rating suit the product, which counts the rating itself.
            choices = list(dict.fromkeys((found, replace(found, confidence=confidences[-1]))))
            measured = _measure_ways(arena, choices, rating_trainer)
            place, rank_by = choose_model_and_way(measured)
            choice, figures, trials = choices[place], measured[place], arena.trials
            del arena, trainers
        model = Trainer(train, options, seed).train(choice)
    if len(np.unique(train.user_index)) < train.n_users:
        model = model.for_users(train)  # users without training ratings get the average user, not a list by item id
    seconds = time.perf_counter() - started
    return model, InterestReport(str(choice), trials, rank_by, figures, len(folds), seconds)


def _measure_ways(arena: Arena, choices: Sequence[Choice], rating_trainer: RatingTrainer) -> list[dict[str, float]]:
    """For each choice, the mean figures of ``measure_rank_by`` over the folds, of two over one: they take longer."""

    def measure(fold: Fold, trainer: Trainer) -> list[dict[str, float]]:
        rating = rating_trainer(fold.fit)
        return [measure_rank_by(fold, rating, trainer.train(choice)) for choice in choices]

    measured = zip(*arena.on_folds(measure, slice(0 if len(arena.folds) > 2 else -1, None)), strict=True)
    found = [{name: fmean(each[name] for each in of_choice) for name in of_choice[0]} for of_choice in measured]
    for choice, figures in zip(choices, found, strict=True):
        arena.tried.setdefault(choice, figures["interest"])
    return found

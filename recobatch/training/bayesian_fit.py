"""The fit of ``bayesian_mf``: judged as it knows the training part, published as it knows every rating.

Imports no TensorFlow.
"""

from dataclasses import replace

from recobatch.bayesian import BayesianFit, BayesianOptions, condition_on_all, fit_bayesian
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions
from recobatch.model_folder import ModelFolder
from recobatch.models.options import ModelOptions
from recobatch.training.fit import Fitted, OnEpoch, TrainingInputs
from recobatch.training.history import History

_FURTHER_SWEEPS = 60
"""Sweeps with all ratings after those with the training part."""


def fit(_name: str, inputs: TrainingInputs, folder: ModelFolder | None, on_epoch: OnEpoch | None) -> Fitted:
    """See ``recobatch.training.fit.Fit``.

    ``loss`` is the mean squared training error of each sample, ``val_loss`` the error of the mean of the samples so far
    on the split's validation part, where it has one.
    """
    split, options = inputs.split, _options(inputs.options)

    def on_sweep(sweep: int, train_rmse: float, alpha: float, validation_mse: float) -> None:
        if on_epoch is not None:
            on_epoch(sweep, train_rmse**2, validation_mse, alpha=alpha)

    fitted = fit_bayesian(
        split.train, users=inputs.users, items=inputs.items, options=options, seed=inputs.seed,
        validation=split.validation, on_sweep=on_sweep, n_threads=inputs.n_threads,
    )  # fmt: skip
    past = fitted.history
    history = History(
        [error**2 for error in past.train_rmse], past.validation_mse, len(past.alpha), None, False, False,
        past.seconds, 0.0,
    )  # fmt: skip
    judged = _ranged(fitted, inputs)
    if folder is None:
        return Fitted(judged, history)
    figures = {"rank": past.rank, "largest_move": past.largest_move, "rms_move": past.rms_move}
    published, ratings = None, split.train
    if inputs.trained_on == "all":
        sweeps = min(_FURTHER_SWEEPS, options.sweeps_for(len(split.train)))
        ratings = EncodedInteractions.load(inputs.encoded.interactions_path, times=False)
        fitted = condition_on_all(
            fitted.state, ratings, users=inputs.users, items=inputs.items, sweeps=sweeps, seed=inputs.seed,
            n_threads=inputs.n_threads,
        )  # fmt: skip
        published = _ranged(fitted, inputs)
        figures["condition_seconds"] = fitted.history.seconds
    fitted.state.with_inputs(ratings, inputs.users, inputs.items).save(folder.state)
    return Fitted(judged, history, published=published, figures=figures, by_epoch={"alpha": past.alpha})


def n_steps(options: ModelOptions, n_ratings: int) -> int:
    """Sweeps of all chains with so many training ratings."""
    chosen = _options(options)
    return chosen.sweeps_for(n_ratings) * chosen.chains


def _options(options: ModelOptions) -> BayesianOptions:
    size = {"n_factors": options.bayesian_factors, "most_factors": options.n_factors}
    return BayesianOptions(**size, sweeps=options.sweeps, chains=options.chains)


def _ranged(fitted: BayesianFit, inputs: TrainingInputs) -> FactorModel:
    """The factors, clipped to the range of all ratings instead of that of the training part."""
    low, high = inputs.rating_range
    return replace(fitted.factors, min_rating=float(low), max_rating=float(high))

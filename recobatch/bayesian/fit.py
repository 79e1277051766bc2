"""Training of ``bayesian_mf``: chains, their average as one ``FactorModel``, and the state to continue from."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from recobatch.bayesian.chain import Chain, Problem
from recobatch.bayesian.compression import Compressed, MeanProduct, most_samples
from recobatch.bayesian.options import BayesianOptions
from recobatch.bayesian.state import BayesianState, Snapshots
from recobatch.bayesian.threads import Threads, threads
from recobatch.factors import FactorModel, Link
from recobatch.features import Features
from recobatch.interactions import EncodedInteractions

OnSweep = Callable[[int, float, float, float], None]
"""Called after each sweep with its number from 1 (over all chains), training RMSE, alpha (1 / noise variance, in rating
units) and the running validation MSE (NaN without validation ratings)."""
_DISCARDED = 1 / 6
_SETTLING = 5
"""Sweeps discarded where a chain continues with more ratings."""


@dataclass(frozen=True, eq=False)
class BayesianHistory:
    """One training, sweep by sweep; the chains follow each other."""

    train_rmse: list[float]
    """Of each sample on its training ratings, in rating units; ratings weigh by the precision of their noise."""
    alpha: list[float]
    """1 / mean variance of the noise of each sample, 1 / (rating units)²."""
    validation_mse: list[float]
    """Of the mean of all samples so far, clipped to the range; NaN before the first, empty without validation."""
    seconds: float
    rank: int
    """Columns of the published factors."""
    largest_move: float
    """Largest change of a prediction by the choice of the rank, in rating units."""
    rms_move: float
    """Root mean square of that change over all pairs."""


@dataclass(frozen=True, eq=False)
class BayesianFit:
    """The average of all samples, and what else a batch needs of them."""

    factors: FactorModel
    state: BayesianState
    history: BayesianHistory


@dataclass(eq=False)
class _Run:
    """What the chains add to."""

    problem: Problem
    rating_range: tuple[float, float]
    validation: EncodedInteractions | None
    on_sweep: OnSweep | None
    product: MeanProduct
    biases: tuple[np.ndarray, np.ndarray]
    snapshots: Snapshots
    sweeps: int
    """Of each chain."""
    discarded: int
    """The first of them."""
    share: float
    """Of the others that are kept."""
    train_rmse: list[float] = field(default_factory=list)
    alpha: list[float] = field(default_factory=list)
    validation_mse: list[float] = field(default_factory=list)
    validation_sum: np.ndarray | float = 0.0
    n_samples: int = 0

    def follow(self, chain: Chain, pool: Threads) -> None:
        kept = 0
        for number in range(1, self.sweeps + 1):
            items_before = chain.items.vectors
            chain.sweep(pool)
            if (number - self.discarded) * self.share > kept:
                kept += 1
                # Half of the samples with the users' conditional means, half with the items': fewer samples suffice.
                if (self.discarded + kept) % 2 == 0:
                    self._keep(chain.users.expected, items_before, chain)
                else:
                    self._keep(chain.users.vectors, chain.items.expected, chain)
            self._record(chain)

    def _keep(self, users: np.ndarray, items: np.ndarray, chain: Chain) -> None:
        self.product.add(users[:, :-1], items[:, :-1])
        for total, vectors in zip(self.biases, (users, items), strict=True):
            total += vectors[:, -1]
        self.snapshots.offer(chain, items)
        self.n_samples += 1
        rows = self.validation
        if rows is not None:
            pairs = np.einsum("nk,nk->n", users[rows.user_index, :-1], items[rows.item_index, :-1])
            self.validation_sum += pairs + users[rows.user_index, -1] + items[rows.item_index, -1]

    def _record(self, chain: Chain) -> None:
        problem = self.problem
        weight = chain.typical_weight()
        squared = chain.items.squared_error / (weight * problem.n_ratings)
        self.train_rmse.append(problem.scale * float(np.sqrt(squared)))
        self.alpha.append(chain.alpha * weight / problem.scale**2)
        mse = float("nan")
        if self.validation is not None:
            if self.n_samples:
                mean = problem.centre + problem.scale * self.validation_sum / self.n_samples
                error = np.clip(mean, *self.rating_range) - self.validation.rating
                mse = float(np.mean(error**2, dtype=np.float64))
            self.validation_mse.append(mse)
        if self.on_sweep is not None:
            self.on_sweep(len(self.alpha), self.train_rmse[-1], self.alpha[-1], mse)

    def factors(self) -> tuple[FactorModel, Compressed]:
        scale = self.problem.scale
        compressed = self.product.compressed(scale)
        bias = [(np.float32(scale / self.n_samples) * total).astype(np.float32) for total in self.biases]
        low, high = self.rating_range
        model = FactorModel(
            compressed.users, compressed.items, bias[0], bias[1], self.problem.centre, Link.IDENTITY, low, high
        )
        return model, compressed


def fit_bayesian(
    train: EncodedInteractions, *, users: Features | None = None, items: Features | None = None,
    options: BayesianOptions, seed: int, validation: EncodedInteractions | None = None,
    on_sweep: OnSweep | None = None, n_threads: int | None = None,
) -> BayesianFit:  # fmt: skip
    """Sample the factorisation of the ratings.

    ``r_ui = mu + b_u + c_i + p_u · q_i + noise``, where the precision of the noise is a product of one number for all,
    one for the user and one for the item, and users' and items' vectors are normal around linear functions of their
    features: Salakhutdinov and Mnih, "Bayesian probabilistic matrix factorization using MCMC", ICML 2008, with
    the features of Macau (Simm et al. 2017), the items that a user rated and the users that rated an item among them.

    Args:
        train: Ratings; not changed.
        users: Side features of all users; None for none. The implicit features are always used.
        items: Side features of all items.
        options: Factors, sweeps, chains.
        seed: The same seed gives the same bytes, whatever the number of threads, on processors of one kind.
        validation: Ratings whose error is reported for each sweep; they have no influence on the result.
        on_sweep: Called after each sweep; what it raises ends the training.
        n_threads: Threads; by default one for each core, at most 8.

    Returns:
        The mean of all samples as factors (clip its predictions to its range), the state, and the history.

    Raises:
        BadInput: If there is no rating, or the features are of other users or items.
    """
    started = time.perf_counter()
    with threads(n_threads or _default_threads()) as pool:
        problem = Problem.build(train, users, items)
        n_factors = options.factors_for(len(train), train.n_users, train.n_items)
        sweeps = options.sweeps_for(len(train))
        run = _new_run(
            problem, train, (options.chains, sweeps, int(sweeps * _DISCARDED)), n_factors, validation, on_sweep, pool
        )
        chains = []
        for number in range(options.chains):
            chain = Chain.start(problem, n_factors, np.random.default_rng([seed, number]))
            run.follow(chain, pool)
            chains.append(chain)
        return _finished(run, chains, started)


def condition_on_all(
    state: BayesianState, ratings: EncodedInteractions, *, users: Features | None = None,
    items: Features | None = None, sweeps: int, seed: int, on_sweep: OnSweep | None = None,
    n_threads: int | None = None,
) -> BayesianFit:  # fmt: skip
    """Continue the chains of a fit with more ratings, those of validation and test among them.

    Args:
        state: State of the fit.
        ratings: All ratings, over the same users and items.
        users: The features of the fit.
        items: The features of the fit.
        sweeps: Further sweeps of each chain; the first five are discarded.
        seed: As in ``fit_bayesian``.
        on_sweep: As in ``fit_bayesian``.
        n_threads: As in ``fit_bayesian``.

    Raises:
        BadInput: As ``fit_bayesian``; and if the state is of other users, items or features.
    """
    started = time.perf_counter()
    with threads(n_threads or _default_threads()) as pool:
        problem = Problem.build(ratings, users, items)
        state.check(problem)
        lengths = len(state.chains), sweeps, min(_SETTLING, sweeps - 1)
        run = _new_run(problem, ratings, lengths, state.n_factors, None, on_sweep, pool)
        chains = []
        for number, arrays in enumerate(state.chains):
            chain = Chain.resume(problem, state.rescaled(arrays, problem), np.random.default_rng([seed, number, 1]))
            run.follow(chain, pool)
            chains.append(chain)
        return _finished(run, chains, started)


def _new_run(
    problem: Problem, ratings: EncodedInteractions, lengths: tuple[int, int, int], n_factors: int,
    validation: EncodedInteractions | None, on_sweep: OnSweep | None, pool: Threads,
) -> _Run:  # fmt: skip
    """Of so many chains, sweeps of each, and discarded ones among these."""
    n_users, n_items, (chains, sweeps, discarded) = ratings.n_users, ratings.n_items, lengths
    share = min(1.0, most_samples(n_users + n_items, n_factors) / (chains * (sweeps - discarded)))
    return _Run(
        problem, (float(ratings.rating.min()), float(ratings.rating.max())), validation, on_sweep,
        MeanProduct(pool), (np.zeros(n_users), np.zeros(n_items)),
        Snapshots(round(chains * sweeps * share), problem, n_factors + 1), sweeps, discarded, share,
    )  # fmt: skip


def _finished(run: _Run, chains: list[Chain], started: float) -> BayesianFit:
    factors, compressed = run.factors()
    state = run.snapshots.state([chain.to_arrays() for chain in chains], factors, run.problem)
    history = BayesianHistory(
        run.train_rmse, run.alpha, run.validation_mse, time.perf_counter() - started, compressed.rank,
        compressed.largest_move, compressed.rms_move,
    )  # fmt: skip
    return BayesianFit(factors, state, history)


def _default_threads() -> int:
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)

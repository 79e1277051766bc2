"""Early stopping: what is noise, what is worse, and what a plateau costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.training.stopping import EarlyStopping, standard_error


def epochs_run(losses, *, noise, patience, min_epochs=1, n=400, seed=0):
    """Epochs until it stops, where every rating's error differs from epoch to epoch by ``noise``."""
    rng, stopping = np.random.default_rng(seed), EarlyStopping(patience, min_epochs)
    for epoch, loss in enumerate(losses, 1):
        errors = loss + noise * rng.normal(size=n)
        stopping.is_best(epoch, errors)
        if stopping.should_stop():
            return epoch, stopping.best_epoch
    return len(losses), stopping.best_epoch


def test_a_clear_rise_stops_after_the_patience():
    assert epochs_run([0.9, 0.7, 0.8, 0.9, 1.0, 1.1], noise=0.1, patience=2) == (4, 2)


@pytest.mark.parametrize("seed", range(5))
def test_noise_does_not_stop_what_still_falls(seed):
    falling = list(np.linspace(0.66, 0.64, 26))
    assert epochs_run(falling, noise=0.15, patience=5, seed=seed)[0] == 26


def test_a_plateau_stops_later_than_a_rise():
    flat = [0.5] * 100
    assert epochs_run([0.4, *flat], noise=0.01, patience=4)[0] == 5
    assert 5 < epochs_run(flat, noise=0.01, patience=4)[0] < 60


def test_epochs_before_the_first_that_counts_are_neither_best_nor_worse():
    assert epochs_run([0.1, *[0.9] * 18, 0.5, *[0.9] * 10], noise=0.01, patience=2, min_epochs=20) == (22, 20)
    assert epochs_run([0.1, 0.9, 0.9], noise=0.01, patience=1, min_epochs=20) == (3, 3)


def test_a_single_validation_rating_proves_nothing():
    stopping = EarlyStopping(patience=1)
    for epoch, loss in enumerate((0.1, 9.0, 9.0), 1):
        stopping.is_best(epoch, np.array([loss]))
        assert not stopping.should_stop() or epoch == 3
    assert standard_error(np.array([1.0])) == float("inf")


@given(losses=st.lists(st.floats(0, 10), min_size=1, max_size=30), patience=st.integers(1, 5))
def test_the_best_epoch_is_the_lowest_so_far(losses, patience):
    stopping = EarlyStopping(patience)
    for epoch, loss in enumerate(losses, 1):
        is_best = stopping.is_best(epoch, np.full(8, loss))
        assert is_best == (loss == min(losses[:epoch]) and losses.index(loss) == epoch - 1)
        assert stopping.best_epoch == losses.index(min(losses[:epoch])) + 1

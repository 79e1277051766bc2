import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recobatch.errors import BadInput
from recobatch.evaluation.baselines import BASELINES, baseline_errors
from recobatch.evaluation.evaluate import evaluate
from recobatch.evaluation.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions
from tests.support.golden import notebook_split

pytestmark = pytest.mark.slow


def rows(pairs, ratings, n_users=3, n_items=3):
    users, items = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
    rating = np.array(ratings, dtype=np.float32)
    return EncodedInteractions(users, items, rating, np.full(len(rating), -1), n_users, n_items)


def constant(value, n_users=3, n_items=3):
    zeros = np.zeros((n_users, 1), np.float32), np.zeros((n_items, 1), np.float32)
    return FactorModel(*zeros, zeros[0][:, 0], zeros[1][:, 0], global_bias=value)


def test_a_known_answer():
    train = rows([(0, 0), (1, 1)], [3, 3])
    test = rows([(0, 1), (1, 0), (2, 0), (0, 2)], [3, 5, 1, 3])
    found = evaluate(constant(3.0), train=train, test=test)
    assert found.to_dict() == {
        "mse": 2.0, "rmse": 2**0.5, "mae": 1.0, "n_rows": 4, "cold_rows": 2, "cold_items": 1, "cold_users": 1,
    }  # fmt: skip


def test_cold_rows_of_the_notebook_s_split(ml100k_dir):
    split = notebook_split(ml100k_dir)
    found = evaluate(constant(3.0, 943, 1682), train=split.train, test=split.test)
    assert (found.n_rows, found.cold_rows, found.cold_items, found.cold_users) == (20_000, 41, 37, 0)


def test_baselines_of_the_notebook_s_split(ml100k_dir):
    split = notebook_split(ml100k_dir)
    errors = baseline_errors(train=split.train, test=split.test)
    assert tuple(errors) == BASELINES
    assert errors["global_mean"] == pytest.approx(1.2885, abs=1e-3)
    assert errors["bias"] == pytest.approx(0.890, abs=1e-3)


def test_the_bias_baseline_finds_who_rates_high():
    pairs = [(user, item) for user in range(3) for item in range(3)] * 50
    train = rows(pairs, [3 + (user - 1) + (item - 1) / 2 for user, item in pairs])
    errors = baseline_errors(train=train, test=train)
    assert errors["bias"] < 1e-3 < errors["global_mean"]


def test_nothing_to_compare_is_refused():
    none, some = rows([], []), rows([(0, 0)], [3])
    with pytest.raises(BadInput, match="evaluate: found no test ratings"):
        evaluate(constant(3.0), train=some, test=none)
    with pytest.raises(BadInput, match="baselines: found 0 training and 1 test ratings"):
        baseline_errors(train=none, test=some)
    with pytest.raises(BadInput, match="found a model of 4 users and 3 items, expected 3 and 3"):
        evaluate(constant(3.0, 4), train=some, test=some)


@given(arrays(np.float32, st.integers(1, 50), elements=st.floats(-10, 10, width=32)), st.floats(-5, 5))
def test_errors_of_a_shift_are_the_shift(rating, shift):
    prediction = rating.astype(np.float64) + shift
    assert mean_squared_error(rating, prediction) == pytest.approx(shift**2, abs=1e-9)
    assert root_mean_squared_error(rating, prediction) == pytest.approx(abs(shift), abs=1e-9)
    assert mean_absolute_error(rating, prediction) == pytest.approx(abs(shift), abs=1e-9)

import numpy as np
import pytest

from recobatch.bayesian import BayesianOptions, BayesianState, condition_on_all, fit_bayesian, users_from_ratings
from recobatch.errors import BadInput, BadTable
from recobatch.features import FeatureBlock, Features
from recobatch.interactions import EncodedInteractions
from tests.support.rounding import assert_equal_but_rounding

pytestmark = pytest.mark.slow

QUICK = BayesianOptions(n_factors=3, sweeps=30)


def interactions(user, item, rating, n_users=None, n_items=None):
    user, item = np.asarray(user, np.int32), np.asarray(item, np.int32)
    return EncodedInteractions(
        user, item, np.asarray(rating, np.float32), np.full(len(user), -1), n_users or int(user.max()) + 1,
        n_items or int(item.max()) + 1,
    )  # fmt: skip


def synthetic(noise=0.5, seed=0, n_users=150, n_items=90, share=0.35):
    rng = np.random.default_rng(seed)
    truth = 3 + rng.normal(size=(n_users, 2)) @ rng.normal(size=(2, n_items)) * 0.6
    truth += rng.normal(size=(n_users, 1)) * 0.4 + rng.normal(size=n_items) * 0.4
    user, item = np.nonzero(rng.random(truth.shape) < share)
    return truth, interactions(user, item, truth[user, item] + rng.normal(size=len(user)) * noise, n_users, n_items)


def predict(factors, rows):
    return np.clip(factors.predict_pairs(rows.user_index, rows.item_index), factors.min_rating, factors.max_rating)


def mse(factors, rows):
    return float(np.mean((predict(factors, rows) - rows.rating) ** 2))


@pytest.fixture(scope="module")
def learned():
    truth, ratings = synthetic()
    held = np.random.default_rng(1).random(len(ratings)) < 0.2
    train, test = ratings.take(~held), ratings.take(held)
    return truth, train, test, fit_bayesian(
        train, options=BayesianOptions(n_factors=4, sweeps=120), seed=0, validation=test
    )  # fmt: skip


def test_the_truth_and_its_noise_are_recovered(learned):
    truth, train, test, fit = learned
    assert np.median(fit.history.alpha[30:]) ** -0.5 == pytest.approx(0.5, rel=0.05)
    predicted = predict(fit.factors, test)
    error = predicted - np.clip(truth[test.user_index, test.item_index], train.rating.min(), train.rating.max())
    assert np.sqrt(np.mean(error**2)) < 0.3
    assert mse(fit.factors, test) < 1.35 * 0.5**2


def test_the_published_factors_are_the_mean_of_the_samples(learned):
    _, _, test, fit = learned
    assert fit.history.largest_move <= 0.005
    assert mse(fit.factors, test) == pytest.approx(fit.history.validation_mse[-1], abs=2e-4)
    assert fit.factors.n_factors == fit.history.rank


def test_sweeps_are_reported(learned):
    _, train, test, _ = learned
    seen = []
    fit = fit_bayesian(train, options=QUICK, seed=0, validation=test, on_sweep=lambda *figures: seen.append(figures))
    assert [figures[0] for figures in seen] == list(range(1, 31))
    assert [figures[1] for figures in seen] == fit.history.train_rmse
    assert np.isnan(seen[0][3])
    assert seen[-1][3] == fit.history.validation_mse[-1]
    assert fit.history.train_rmse[-1] < fit.history.train_rmse[0]


def test_a_sweep_may_stop_the_training(learned):
    def stop(number, *_):
        if number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_bayesian(learned[1], options=QUICK, seed=0, on_sweep=stop)


@pytest.mark.parametrize("chains", [1, 2])
def test_the_same_seed_gives_the_same_bytes_in_any_number_of_threads(learned, chains):
    options = QUICK.model_copy(update={"chains": chains})
    prints = {
        fit_bayesian(learned[1], options=options, seed=3, n_threads=number).factors.fingerprint for number in (1, 2, 3)
    }
    assert len(prints) == 1
    assert fit_bayesian(learned[1], options=options, seed=4).factors.fingerprint not in prints


def test_global_random_state_and_ratings_are_left_alone(learned):
    before, ratings = np.random.get_state()[1].copy(), learned[1].fingerprint  # noqa: NPY002
    fit_bayesian(learned[1], options=QUICK, seed=0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert learned[1].take(np.arange(len(learned[1]))).fingerprint == ratings


def test_side_features_help_where_ratings_are_few():
    rng = np.random.default_rng(5)
    kind = rng.integers(0, 4, 300)
    level = np.array([1.5, 2.5, 3.5, 4.5])[kind]
    user, item = np.arange(300).repeat(2), rng.integers(0, 20, 600)
    rating = np.clip(level[user] + rng.normal(size=600) * 0.5, 1, 5)
    ratings = interactions(user, item, rating, 300, 20)
    train, test = ratings.take(np.arange(600) % 2 == 0), ratings.take(np.arange(600) % 2 == 1)
    features = Features((FeatureBlock(
        "kind", np.arange(301), kind.astype(np.int32), np.ones(300, np.float32), tuple("abcd")
    ),))  # fmt: skip
    options = BayesianOptions(n_factors=2, sweeps=100)
    plain, informed = (fit_bayesian(train, users=each, options=options, seed=0) for each in (None, features))
    assert mse(informed.factors, test) < 0.75 * mse(plain.factors, test)


@pytest.mark.parametrize(
    ("user", "item", "rating"),
    [
        ([0], [0], [3]), ([0, 0, 0], [0, 1, 2], [1, 3, 5]), ([0, 1, 2], [0, 0, 0], [1, 3, 5]),
        ([0, 1, 2, 3], [0, 1, 2, 3], [1, 2, 3, 4]), ([0, 0, 1, 1], [0, 1, 0, 1], [4, 4, 4, 4]),
    ],
)  # fmt: skip
def test_the_smallest_inputs(user, item, rating):
    ratings = interactions(user, item, rating, max(user) + 2, max(item) + 2)
    fit = fit_bayesian(ratings, options=QUICK, seed=0)
    predicted = predict(fit.factors, ratings)
    assert np.isfinite(fit.factors.user_factors).all()
    assert np.isfinite(fit.factors.predict_pairs(np.array([max(user) + 1]), np.array([max(item) + 1]))).all()
    assert np.abs(predicted - np.mean(rating)).max() <= np.ptp(rating) + 1e-6


def test_no_ratings_and_foreign_features_are_refused(learned):
    train = learned[1]
    with pytest.raises(BadInput, match="found no ratings, expected at least one"):
        fit_bayesian(train.take(np.zeros(0, int)), options=QUICK, seed=0)
    few = Features((FeatureBlock("x", np.array([0, 1]), np.zeros(1, np.int32), np.ones(1, np.float32), ("a",)),))
    with pytest.raises(BadInput, match="found features of 1 users, expected 150"):
        fit_bayesian(train, users=few, options=QUICK, seed=0)


def test_chains_continue_with_every_rating(learned):
    _, train, test, fit = learned
    names = ("user_index", "item_index", "rating")
    columns = [np.concatenate([getattr(part, name) for part in (train, test)]) for name in names]
    everything = interactions(*columns, 150, 90)
    continued = condition_on_all(fit.state, everything, sweeps=60, seed=0)
    fresh = fit_bayesian(everything, options=BayesianOptions(n_factors=4, sweeps=120), seed=9)
    assert continued.history.train_rmse[0] < 1.15 * fresh.history.train_rmse[-1]
    assert mse(continued.factors, test) < 0.8 * mse(fit.factors, test)
    moved = predict(continued.factors, everything) - predict(fresh.factors, everything)
    assert np.sqrt(np.mean(moved**2)) < 0.12


def test_the_state_survives_a_file(learned, tmp_path):
    _, train, _, fit = learned
    fit.state.save(tmp_path / "state.npz")
    loaded = BayesianState.load(tmp_path / "state.npz")
    one, other = (condition_on_all(state, train, sweeps=10, seed=1) for state in (fit.state, loaded))
    assert one.factors.fingerprint == other.factors.fingerprint
    (tmp_path / "bad.npz").write_text("nothing")
    with pytest.raises(BadTable, match="found no state"):
        BayesianState.load(tmp_path / "bad.npz")


def test_a_state_of_other_users_is_refused(learned):
    _, other = synthetic(n_users=20)
    with pytest.raises(BadInput, match=r"found 20 users with blocks of .* expected 150"):
        condition_on_all(learned[3].state, other, sweeps=10, seed=0)


def test_users_come_in_closed_form_from_their_ratings(learned):
    _, train, test, fit = learned
    factors, bias = users_from_ratings(fit.state, train)
    score = np.einsum("nk,nk->n", factors[test.user_index], fit.factors.item_factors[test.item_index])
    score += bias[test.user_index] + fit.factors.item_bias[test.item_index] + np.float32(fit.factors.global_bias)
    clipped = np.clip(score, fit.factors.min_rating, fit.factors.max_rating)
    assert np.mean((clipped - test.rating) ** 2) < 1.02 * mse(fit.factors, test)


def test_a_user_who_comes_at_night_gets_what_training_gives(learned):
    _, train, test, _ = learned
    late = 30
    options = BayesianOptions(n_factors=4, sweeps=120)
    early = train.take(train.user_index >= late)
    early = interactions(early.user_index - late, early.item_index, early.rating, 150 - late, 90)
    fit, whole = fit_bayesian(early, options=options, seed=0), fit_bayesian(train, options=options, seed=0)
    mine, theirs = train.take(train.user_index < late), test.take(test.user_index < late)
    factors, bias = users_from_ratings(fit.state, interactions(mine.user_index, mine.item_index, mine.rating, late, 90))
    score = np.einsum("nk,nk->n", factors[theirs.user_index], fit.factors.item_factors[theirs.item_index])
    score += bias[theirs.user_index] + fit.factors.item_bias[theirs.item_index] + np.float32(fit.factors.global_bias)
    found = np.mean((np.clip(score, fit.factors.min_rating, fit.factors.max_rating) - theirs.rating) ** 2)
    assert found < 1.1 * mse(whole.factors, theirs)


def test_a_user_s_row_depends_on_that_user_alone(learned):
    _, train, _, fit = learned
    all_users = users_from_ratings(fit.state, train)
    chosen = train.take(train.user_index < 10)
    some = users_from_ratings(fit.state, interactions(chosen.user_index, chosen.item_index, chosen.rating, 10, 90))
    for whole, part in zip(all_users, some, strict=True):
        assert_equal_but_rounding(part, whole[:10])


def test_foreign_items_are_refused_at_night(learned):
    with pytest.raises(BadInput, match="found ratings over 2 items, expected 90"):
        users_from_ratings(learned[3].state, interactions([0], [1], [3.0]))


@pytest.mark.parametrize(
    ("sizes", "n_factors"), [((80_000, 943, 1682), 8), ((20_000, 900, 1500), 3), ((25_000_000, 162_541, 59_047), 16)]
)
def test_vectors_are_as_long_as_the_ratings_allow(sizes, n_factors):
    assert BayesianOptions().factors_for(*sizes) == n_factors
    assert BayesianOptions(n_factors=5, most_factors=2).factors_for(*sizes) == 5
    assert BayesianOptions(most_factors=6).factors_for(*sizes) == min(6, n_factors)
    assert BayesianOptions(most_factors=300).factors_for(*sizes) == n_factors


@pytest.mark.parametrize(("n_ratings", "sweeps"), [(25_000_000, 150), (80_000, 150), (40_000, 300), (1, 450)])
def test_few_ratings_get_more_sweeps(n_ratings, sweeps):
    assert BayesianOptions().sweeps_for(n_ratings) == sweeps
    assert BayesianOptions(sweeps=50).sweeps_for(n_ratings) == 50

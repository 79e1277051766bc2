"""The model of interest: chosen on held-out ratings, deterministic, and whole at the edges."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import recobatch.interest.folds
import recobatch.interest.train
import recobatch.sparse_rows
from recobatch.errors import BadRatings
from recobatch.evaluation.baselines import bias_model, popularity_model
from recobatch.evaluation.relevant_items import RelevantItems
from recobatch.interactions import EncodedInteractions
from recobatch.interest import InterestOptions, choose_rank_by, measure_rank_by, train_interest
from recobatch.interest.candidates import Trainer
from recobatch.interest.folds import Fold, make_folds, sample_users
from recobatch.rated import RatedPairs
from recobatch.scoring.lists import top_lists
from recobatch.scoring.ranker import Ranker
from recobatch.split import SplitOptions, split
from tests.support.golden import notebook_split
from tests.support.tastes import tastes

pytestmark = pytest.mark.slow

SCALE = {"min_rating": 1.0, "max_rating": 5.0, "relevant": 4.0}


def held_out(data, seed=3):
    parts = split(data, SplitOptions(method="random", seed=seed))
    liked = RelevantItems.of(parts.test, SCALE["relevant"])
    return Fold(parts.train, liked, RatedPairs.collect(parts.train), 10)


def ratings(pairs, values, n_users, n_items):
    users, items = np.array(pairs, np.int32).reshape(-1, 2).T
    return EncodedInteractions(users, items, np.array(values, np.float32), np.full(len(users), -1), n_users, n_items)


@pytest.mark.parametrize("method", ["ease", "ials", "best"])
def test_finds_what_users_take(method):
    """Users of two tastes; within a taste items are as popular as in the other."""
    fold = held_out(tastes())
    model, report = train_interest(fold.fit, **SCALE, options=InterestOptions(method=method))
    assert fold.ndcg(model.factors) > 1.5 * fold.ndcg(popularity_model(fold.fit))
    assert report.chosen in {trial.name for trial in report.trials}
    kinds = {str(part.kind) for part in model.parts}
    assert kinds <= ({method} if method != "best" else {"ease", "ials"})
    assert set(report.rankings) == {"prediction", "interest", "product", "popularity"}
    assert report.rank_by == choose_rank_by(report.rankings)


def test_the_seed_decides_and_the_threads_do_not(monkeypatch):
    data = tastes()
    one, report = train_interest(data, **SCALE, options=InterestOptions(), seed=1)
    monkeypatch.setattr(recobatch.sparse_rows.os, "cpu_count", lambda: 1)
    with threadpool_limits(1):
        same, again = train_interest(data, **SCALE, options=InterestOptions(), seed=1)
    assert one.fingerprint == same.fingerprint
    assert report.trials == again.trials
    _, other = train_interest(data, **SCALE, options=InterestOptions(), seed=2)
    assert report.trials != other.trials


@pytest.mark.parametrize(("few", "sweeps"), [(10**6, None), (10, 2)])
def test_the_search_knows_what_share_of_the_ratings_is_left(monkeypatch, few, sweeps):
    """Of very few ratings two sweeps would not show which penalties bring all factors to nothing."""
    seen = []

    class Recorded(Trainer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            seen.append((round(self.kept, 6), kwargs.get("sweeps")))

    monkeypatch.setattr(recobatch.interest.train, "Trainer", Recorded)
    monkeypatch.setattr(recobatch.interest.train, "_FEW_RATINGS", few)
    train_interest(tastes(), **SCALE, options=InterestOptions(validation_fraction=0.3))
    assert seen == [(0.7, sweeps)] * 3 + [(1.0, None)]


def test_users_without_training_ratings_get_the_list_of_the_average_user():
    data = tastes()
    train = data.take(data.user_index != 3)
    model, _ = train_interest(train, **SCALE, options=InterestOptions())
    factors = model.factors
    assert np.any(factors.user_factors[3] @ factors.item_factors.T)
    popular = np.bincount(train.item_index, minlength=train.n_items)
    scores = factors.user_factors[3] @ factors.item_factors.T
    assert popular[np.argsort(-scores)[:10]].mean() > popular.mean()


def test_changes_neither_its_input_nor_the_global_random_state():
    data, state = tastes(), np.random.get_state()[1].copy()  # noqa: NPY002
    before = data.fingerprint
    train_interest(data, **SCALE, options=InterestOptions())
    again = EncodedInteractions(
        data.user_index, data.item_index, data.rating, data.timestamp, data.n_users, data.n_items
    )
    assert again.fingerprint == before
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.parametrize(("often", "expected"), [(3, 3), (2, 1), (1, 1)])
def test_a_rating_model_of_its_own_is_trained_on_what_is_not_held_out(monkeypatch, often, expected):
    """Where ratings are so few that three folds are made, the way to rank is measured on all of them."""
    monkeypatch.setattr(recobatch.interest.folds, "_OFTEN", ((10**6, often),))
    data, seen = tastes(), []

    def trainer(fit):
        seen.append(len(fit))
        return bias_model(fit, min_rating=1, max_rating=5)

    _, report = train_interest(data, **SCALE, options=InterestOptions(), rating_trainer=trainer)
    assert (len(seen), report.folds) == (expected, often)
    assert all(0 < size < len(data) for size in seen)


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"prediction": 0.1, "interest": 0.3, "product": 0.2, "popularity": 0.9}, "interest"),
        ({"prediction": 0.1, "interest": 0.3, "product": 0.305}, "interest"),
        ({"prediction": 0.1, "interest": 0.3, "product": 0.31}, "product"),
        ({"prediction": 0.4, "interest": 0.3}, "prediction"),
        ({"prediction": 0.0, "interest": 0.0, "product": 0.0}, "interest"),
    ],
)
def test_the_best_way_to_rank_wins(figures, expected):
    assert choose_rank_by(figures) == expected


EDGES = {
    "no rating is liked": ratings([(u, i) for u in range(9) for i in range(6) if (u + i) % 2], [2] * 27, 9, 6),
    "one user": ratings([(0, i) for i in range(8)], [5, 4, 3, 5, 4, 5, 1, 2], 1, 12),
    "one item": ratings([(u, 0) for u in range(8)], [5, 4, 3, 5, 4, 5, 1, 2], 8, 1),
    "one item, unrated by some": ratings([(u, 0) for u in range(10)], [1 + u % 5 for u in range(10)], 12, 1),
    "a single rating each": ratings([(u, u % 5) for u in range(20)], [5] * 20, 20, 6),
    "one rating": ratings([(0, 0)], [5], 1, 1),
    "an item rated by everyone": ratings(
        [(u, 0) for u in range(12)] + [(u, 1 + u % 4) for u in range(12)], [5] * 24, 12, 6
    ),
    "users without ratings": ratings([(u, i) for u in (1, 3) for i in range(5)], [5, 4, 4, 5, 1] * 2, 6, 7),
}


@pytest.mark.parametrize("has_bayesian", [False, True])
@pytest.mark.parametrize("data", EDGES.values(), ids=EDGES)
def test_edges_end_in_lists(data, has_bayesian):
    model, report = train_interest(data, **SCALE, options=InterestOptions(), has_bayesian=has_bayesian)
    rated = RatedPairs.collect(data)
    rating = bias_model(data, min_rating=1, max_rating=5)
    for rank_by in ("interest", "product"):
        lists = top_lists(Ranker.of(rating, model.factors, rank_by), rated, 3)
        unseen = data.n_items - np.bincount(rated.pairs()[0], minlength=data.n_users)
        assert ((lists >= 0).sum(axis=1) == np.minimum(unseen, 3)).all()
    assert np.isfinite(model.factors.user_factors).all()
    assert np.isfinite(model.factors.item_factors).all()
    assert report.chosen


def test_one_rating_level_for_everything():
    data = tastes()
    model, _ = train_interest(data, min_rating=4, max_rating=4, relevant=4, options=InterestOptions())
    assert np.isfinite(model.factors.item_factors).all()


def test_no_ratings_is_one_clear_line():
    with pytest.raises(BadRatings, match=r"interest: found no training ratings, expected at least one"):
        train_interest(ratings([], [], 3, 3), **SCALE, options=InterestOptions())


def test_few_users_of_many_choose_the_hyperparameters():
    data = tastes()
    part = sample_users(data, 40, seed=0)
    assert (part.n_users, part.n_items) == (40, data.n_items)
    assert set(np.unique(part.user_index)) == set(range(40))
    folds = make_folds(data, relevant=4, fraction=0.2, max_users=40, k=10, seed=0)
    assert {fold.fit.n_users for fold in folds} == {40}
    model, _ = train_interest(data, **SCALE, options=InterestOptions(choosing_users=40))
    assert model.n_users == data.n_users


@pytest.mark.long
def test_movielens_beats_popularity_by_far(ml100k_dir):
    data = notebook_split(ml100k_dir)
    model, report = train_interest(data.train, **SCALE, options=InterestOptions())
    liked = RelevantItems.of(data.test, 4)
    fold = Fold(data.train, liked, RatedPairs.collect(data.train), 10)
    found = measure_rank_by(fold, bias_model(data.train, min_rating=1, max_rating=5), model)
    assert found["popularity"] == pytest.approx(0.172, abs=5e-4)
    assert found[report.rank_by] > 0.37

"""A sampled champion over the current ratings: changed and new users and new items, without a training."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from recobatch.bayesian import BayesianOptions, fit_bayesian, rating_digests
from recobatch.features import FeatureBlock, Features
from recobatch.interactions import EncodedInteractions
from recobatch.model_folder import LoadedModel
from recobatch.rated import RatedPairs
from recobatch.scoring.closed_form import CurrentFeatures, follow_ratings
from recobatch.scoring.extension import CurrentRatings, extend
from recobatch.vocabulary import Vocabulary

pytestmark = pytest.mark.slow

N_USERS, N_ITEMS = 200, 120
LATE_ITEMS = np.arange(5)
OPTIONS = BayesianOptions(n_factors=3, sweeps=150)


def rows_of(user, item, rating):
    return EncodedInteractions(
        user.astype(np.int32), item.astype(np.int32), np.asarray(rating, np.float32), np.full(len(user), -1),
        N_USERS, N_ITEMS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def world():
    """All ratings, test ratings, and features of the items on which much of their level depends."""
    rng = np.random.default_rng(4)
    kind = rng.integers(0, 3, N_ITEMS)
    truth = 3 + rng.normal(size=(N_USERS, 2)) @ rng.normal(size=(2, N_ITEMS)) * 0.5
    truth += rng.normal(size=(N_USERS, 1)) * 0.3 + np.array([-0.7, 0, 0.7])[kind]
    user, item = np.nonzero(rng.random(truth.shape) < 0.5)
    ratings = rows_of(user, item, truth[user, item] + rng.normal(size=len(user)) * 0.4)
    held = rng.random(len(ratings)) < 0.3
    block = FeatureBlock("kind", np.arange(N_ITEMS + 1), kind.astype(np.int32), np.ones(N_ITEMS, np.float32),
                         ("a", "b", "c"))  # fmt: skip
    return ratings.take(~held), ratings.take(held), Features((block,))


def champion_of(ratings, items):
    """A champion trained on the users and items of the ratings alone, by raw ids that are the world's numbers."""
    users, item_ids = np.unique(ratings.user_index), np.unique(ratings.item_index)
    place = [np.searchsorted(ids, column) for ids, column in ((users, ratings.user_index),
                                                              (item_ids, ratings.item_index))]  # fmt: skip
    mine = replace(
        ratings, user_index=place[0].astype(np.int32), item_index=place[1].astype(np.int32), n_users=len(users),
        n_items=len(item_ids),
    )  # fmt: skip
    features = items.take(item_ids)
    fit = fit_bayesian(mine, items=features, options=OPTIONS, seed=0)
    vocabularies = [Vocabulary.build(pa.array(ids.astype(np.int64))) for ids in (users, item_ids)]
    loaded = LoadedModel(fit.factors, *vocabularies, RatedPairs.collect(mine))
    return loaded, fit.state.with_inputs(mine, None, features)


def night(champion, state, ratings, features=None):
    """The champion after a night with these ratings, over all users and items of the world, and users computed."""
    now = CurrentRatings(ratings, *(Vocabulary.build(pa.array(range(n))) for n in (N_USERS, N_ITEMS)))
    extended, delta = extend(champion, now, unknown="ratings", trained_until=None)
    assert delta.unknown == "ratings"
    given = CurrentFeatures(items=features) if features is not None else CurrentFeatures()
    return follow_ratings(champion, extended, state, now, given, complete=delta.complete)


def errors(loaded, test):
    user, item = loaded.users.find(pa.array(test.user_index)), loaded.items.find(pa.array(test.item_index))
    return float(np.mean((loaded.model.predict_pairs(user, item) - test.rating) ** 2))


@pytest.fixture(scope="module")
def whole(world):
    return champion_of(world[0], world[2])


def test_users_whose_ratings_arrive_at_night_get_what_a_training_with_them_gives(world, whole):
    """Every fifth user is late in one of four nights: over all of them together the error is within 2 %."""
    train, test, items = world
    late, found, expected = np.arange(0, N_USERS, 5), 0.0, 0.0
    for number in range(4):
        users = late[number::4]
        early = train.take(~np.isin(train.user_index, users))
        followed, computed = night(*champion_of(early, items), train)
        theirs = test.take(np.isin(test.user_index, users))
        assert computed == len(users)
        found += errors(followed, theirs) * len(theirs)
        expected += errors(whole[0], theirs) * len(theirs)
    assert found < 1.02 * expected


def test_items_come_from_who_rated_them_and_their_features(world, whole):
    train, test, items = world
    early = train.take(~np.isin(train.item_index, LATE_ITEMS))
    champion, state = champion_of(early, items)
    theirs = test.take(np.isin(test.item_index, LATE_ITEMS))
    followed, computed = night(champion, state, train, items)
    assert computed == 0, "no rating of a known item changed"
    assert errors(followed, theirs) < 1.05 * errors(whole[0], theirs)
    one_each = np.unique(train.item_index, return_index=True)[1][LATE_ITEMS]
    few = train.take(np.isin(train.item_index, LATE_ITEMS, invert=True) | np.isin(np.arange(len(train)), one_each))
    informed, blind = (night(champion, state, few, features)[0] for features in (items, None))
    assert errors(informed, theirs) < 0.9 * errors(blind, theirs)


def test_only_users_whose_ratings_changed_move(world, whole):
    train = world[0]
    champion, state = whole
    others = train.take(train.user_index > 2)
    first, second, third = (train.take(train.user_index == user) for user in range(3))
    more = rows_of(np.append(first.user_index, 0), np.append(first.item_index, _unrated(first)),
                   np.append(first.rating, 5))  # fmt: skip
    changed = replace(second, rating=5 - second.rating)
    fewer = third.take(np.arange(2))
    parts = [more, changed, fewer, others]
    now = rows_of(*(np.concatenate([getattr(part, name) for part in parts])
                    for name in ("user_index", "item_index", "rating")))  # fmt: skip
    followed, computed = night(champion, state, now.take(np.random.default_rng(0).permutation(len(now))))
    moved = (followed.model.user_factors != champion.model.user_factors).any(axis=1)
    assert (computed, moved.nonzero()[0].tolist()) == (3, [0, 1, 2])
    same = np.divmod(np.arange(3 * N_ITEMS, N_USERS * N_ITEMS), N_ITEMS)
    assert np.array_equal(followed.model.predict_pairs(*same), champion.model.predict_pairs(*same))


def _unrated(rows):
    return np.setdiff1d(np.arange(N_ITEMS), rows.item_index)[0]


def test_ratings_since_the_training_alone_leave_known_users_as_they_were(world, whole):
    champion, state = whole
    only = world[0].take(world[0].user_index == 3).take(np.arange(2))
    followed, computed = night(champion, state, only)
    assert computed == 0
    assert np.array_equal(followed.model.user_factors, champion.model.user_factors)


def test_digests_do_not_depend_on_the_order_and_see_every_change(world):
    train = world[0]
    digests = rating_digests(train)
    shuffled = train.take(np.random.default_rng(0).permutation(len(train)))
    np.testing.assert_array_equal(rating_digests(shuffled), digests)
    for name, by in (("rating", np.float32(0.5)), ("item_index", np.int32(1))):
        column = getattr(train, name).copy()
        column[0] += by
        other = rating_digests(replace(train, **{name: column}))
        assert (other != digests).nonzero()[0].tolist() == [train.user_index[0]]
    assert rating_digests(train.take(train.user_index > 0))[0] == 0


def test_the_state_keeps_its_inputs_in_its_file(whole, tmp_path):
    state = whole[1]
    state.save(tmp_path / "state.npz")
    loaded = type(state).load(tmp_path / "state.npz")
    np.testing.assert_array_equal(loaded.digests, state.digests)
    assert loaded.users is None
    np.testing.assert_array_equal(loaded.items.merged("x").dense(), state.items.merged("x").dense())

"""The users' interest as of the current ratings."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from recobatch.evaluation.baselines import bias_model
from recobatch.interactions import EncodedInteractions
from recobatch.interest import InterestOptions, train_interest
from recobatch.model_folder import LoadedModel
from recobatch.rated import RatedPairs
from recobatch.scoring.extension import CurrentRatings, extend
from recobatch.scoring.interest_extension import extend_interest
from recobatch.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def champion(low_rank):
    ids = [Vocabulary.build(pa.array(range(10, 10 + size))) for size in (low_rank.n_users, low_rank.n_items)]
    model = bias_model(low_rank, min_rating=1, max_rating=5)
    return LoadedModel(model, *ids, RatedPairs.collect(low_rank))


@pytest.fixture(scope="module", params=["ease", "ials"])
def interest(request, low_rank):
    options = InterestOptions(method=request.param, ease_rank=8)
    return train_interest(low_rank, min_rating=1, max_rating=5, relevant=4, options=options)[0]


def current(champion, ratings, users=None, items=None):
    return CurrentRatings(ratings, users or champion.users, items or champion.items)


def extended(interest, champion, now, unknown="leave_out"):
    loaded, delta = extend(champion, now, unknown=unknown, trained_until=None)
    return loaded, extend_interest(interest, champion, loaded, now, complete=delta.complete)


def test_with_the_ratings_of_the_training_it_is_that_of_the_closed_form(interest, champion, low_rank):
    _, found = extended(interest, champion, current(champion, low_rank))
    assert found.fingerprint == interest.for_users(low_rank).fingerprint


def test_a_new_rating_changes_the_interest_of_its_user_alone(interest, champion, low_rank):
    other = next(item for item in range(40) if not champion.rated.mask(slice(0, 1))[0, item])
    more = EncodedInteractions(
        np.append(low_rank.user_index, np.int32(0)), np.append(low_rank.item_index, np.int32(other)),
        np.append(low_rank.rating, np.float32(5)), np.append(low_rank.timestamp, 9**9), 60, 40,
    )  # fmt: skip
    _, before = extended(interest, champion, current(champion, low_rank))
    _, after = extended(interest, champion, current(champion, more))
    changed = (before.factors.user_factors != after.factors.user_factors).any(axis=1)
    assert changed.nonzero()[0].tolist() == [0]


def test_users_of_whom_few_ratings_are_left_keep_the_interest_of_the_training(interest, champion, low_rank):
    only_one = low_rank.take(low_rank.user_index == 3)
    _, found = extended(interest, champion, current(champion, only_one.take(np.arange(2))))
    assert np.array_equal(found.factors.user_factors, interest.factors.user_factors)


def test_unknown_users_have_an_interest_and_unknown_items_have_none(interest, champion, low_rank):
    users = Vocabulary.build(pa.array(range(5, 65)))  # five unknown ones, five known ones have no ratings now
    items = Vocabulary.build(pa.array(range(9, 49)))
    loaded, found = extended(interest, champion, current(champion, low_rank, users, items), "biases")
    assert (found.n_users, found.n_items) == (65, 41) == (loaded.model.n_users, loaded.model.n_items)
    unknown_item = loaded.items.find(pa.array([9]))[0]
    assert not found.factors.item_factors[unknown_item].any()
    known = loaded.items.find(champion.items.ids)
    assert np.array_equal(found.factors.item_factors[known], interest.factors.item_factors)
    assert found.factors.user_factors[loaded.users.find(pa.array([5, 6]))].any(axis=1).all()
    gone = loaded.users.find(pa.array(range(65, 70)))
    assert np.array_equal(found.factors.user_factors[gone], interest.factors.user_factors[-5:])


def test_of_all_ratings_a_user_who_deleted_most_has_the_interest_of_the_rest(interest, champion, low_rank):
    theirs = np.flatnonzero(low_rank.user_index == 3)
    rest = low_rank.take(np.delete(np.arange(len(low_rank)), theirs[2:]))
    _, found = extended(interest, champion, current(champion, rest))
    assert found.fingerprint == interest.for_users(rest).fingerprint


def test_users_and_items_without_ratings_leave(interest, champion, low_rank):
    rest = low_rank.take((low_rank.user_index != 3) & (low_rank.item_index != 5))
    users, items = (Vocabulary.build(side.ids.filter(pc.not_equal(side.ids, gone))) for side, gone in (
        (champion.users, 13), (champion.items, 15)))  # fmt: skip
    moved = EncodedInteractions(
        (rest.user_index - (rest.user_index > 3)).astype(np.int32),
        (rest.item_index - (rest.item_index > 5)).astype(np.int32), rest.rating, rest.timestamp, 59, 39,
    )  # fmt: skip
    loaded, found = extended(interest, champion, current(champion, moved, users, items))
    assert (found.n_users, found.n_items) == (59, 39) == (loaded.model.n_users, loaded.model.n_items)
    assert np.array_equal(found.factors.item_factors, np.delete(interest.factors.item_factors, 5, axis=0))

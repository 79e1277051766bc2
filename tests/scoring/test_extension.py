"""A champion over the ratings of now: what is new is counted; unknown ids come in, known ones do not move."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.errors import BadRatings
from recobatch.factors import FactorModel, Link
from recobatch.interactions import EncodedInteractions
from recobatch.model_folder import LoadedModel
from recobatch.rated import RatedPairs
from recobatch.scoring.extension import CurrentRatings, extend
from recobatch.scoring.predictions import score_block
from recobatch.scoring.ratings_delta import RatingsDelta
from recobatch.vocabulary import Vocabulary
from tests.support.small_table import make_model

TRAINED_UNTIL = 1000


def champion_of(pairs, *, link=Link.SCALED_SIGMOID, text=False):
    """A champion that was trained with these pairs of raw ids."""
    users, items = (Vocabulary.build(ids_of(column, text)) for column in zip(*pairs, strict=True))
    rated = RatedPairs.of_pairs(*encoded(pairs, users, items, text), n_users=len(users), n_items=len(items))
    return LoadedModel(make_model(len(users), len(items), link=link), users, items, rated)


def ratings_of(rows, *, text=False):
    """Current ratings from rows of user id, item id, time."""
    pairs, times = [row[:2] for row in rows], [row[2] for row in rows]
    users, items = (Vocabulary.build(ids_of(column, text)) for column in zip(*pairs, strict=True))
    user_index, item_index = encoded(pairs, users, items, text)
    rating, timestamp = np.ones(len(rows), np.float32), np.array(times, np.int64)
    return CurrentRatings(
        EncodedInteractions(user_index, item_index, rating, timestamp, len(users), len(items)), users, items
    )


def ids_of(column, text):
    return pa.array([f"id{each:03}" if text else each for each in column])


def encoded(pairs, users, items, text):
    user_ids, item_ids = zip(*pairs, strict=True)
    return users.encode(ids_of(user_ids, text)), items.encode(ids_of(item_ids, text))


def rated_ids(loaded):
    users, items = loaded.rated.pairs()
    return set(zip(loaded.users.decode(users).to_pylist(), loaded.items.decode(items).to_pylist(), strict=True))


def are_complete(then, now):
    """Whether ratings are all ratings, and not those since the training."""
    return len({*then} & {*now}) >= len({*then}) / 2


def run(champion, rows, unknown="biases", until=TRAINED_UNTIL, **kind):
    return extend(champion, ratings_of(rows, **kind), unknown=unknown, trained_until=until)


pairs = st.sets(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=40).map(sorted)
kinds = st.booleans()
links = st.sampled_from(Link)


@given(pairs, pairs, links, kinds)
def test_one_row_for_every_id_that_stays_or_is_new_and_known_predictions_keep_their_bits(then, now, link, text):
    champion = champion_of(then, link=link, text=text)
    loaded, _ = run(champion, [(*pair, 0) for pair in now], text=text)
    for part, ids in enumerate((loaded.users.ids, loaded.items.ids)):
        expected = {pair[part] for pair in (now if are_complete(then, now) else [*then, *now])}
        assert ids.to_pylist() == ids_of(sorted(expected), text).to_pylist()
    assert (loaded.model.n_users, loaded.model.n_items) == (len(loaded.users), len(loaded.items))
    everyone = np.divmod(np.arange(len(champion.users) * len(champion.items)), len(champion.items))
    places = loaded.users.find(champion.users.ids)[everyone[0]], loaded.items.find(champion.items.ids)[everyone[1]]
    stays = (places[0] >= 0) & (places[1] >= 0)
    there, here = ([side[stays] for side in sides] for sides in (places, everyone))
    assert np.array_equal(loaded.model.predict_pairs(*there), champion.model.predict_pairs(*here))


@given(pairs, pairs, links)
def test_an_unknown_user_is_predicted_the_mean_score_of_each_item_and_an_item_that_of_each_user(then, now, link):
    champion = champion_of(then, link=link)
    loaded, _ = run(champion, [(*pair, 0) for pair in now])
    model = champion.model
    scores = model.user_factors.astype(float) @ model.item_factors.T.astype(float)
    scores += model.user_bias[:, None] + model.item_bias
    of_user, of_item = np.bincount(champion.rated.pairs()[0]), np.bincount(champion.rated.item_index)
    known_user = champion.users.find(loaded.users.ids)
    new_user = known_user < 0
    known_item = champion.items.find(loaded.items.ids)
    new_item = known_item < 0
    means = {
        (True, False): np.average(scores, axis=0, weights=of_user)[known_item[~new_item]],
        (False, True): np.average(scores, axis=1, weights=of_item)[known_user[~new_user]],
        (True, True): np.average(np.average(scores, axis=0, weights=of_user), weights=of_item),
    }
    predictions = score_block(loaded.model, slice(0, len(loaded.users)))
    for (is_user, is_item), mean in means.items():
        block = predictions[new_user == is_user][:, new_item == is_item]
        expected = model.apply_link(np.array(mean, np.float32))
        expected = expected[:, None] if (is_user, is_item) == (False, True) else expected
        np.testing.assert_allclose(block, np.broadcast_to(expected, block.shape), rtol=1e-5, atol=1e-5)


def test_a_centred_model_predicts_an_unknown_user_from_global_and_item_bias():
    then = [(user, item) for user in (1, 2, 3, 4) for item in (10, 20, 30)]
    champion = champion_of(then)
    model = champion.model
    centred = FactorModel(
        model.user_factors - model.user_factors.mean(0), model.item_factors, model.user_bias - model.user_bias.mean(),
        model.item_bias, model.global_bias, model.link, 1.0, 5.0,
    )  # fmt: skip
    loaded, _ = run(LoadedModel(centred, champion.users, champion.items, champion.rated), [(99, 20, 0)])
    stranger = int(loaded.users.encode(pa.array([99]))[0])
    predictions = loaded.model.predict_pairs(np.full(3, stranger), np.arange(3))
    np.testing.assert_allclose(predictions, 1 + 4 / (1 + np.exp(-(0.25 + model.item_bias))), rtol=1e-5)


@given(pairs, pairs, st.sampled_from(["leave_out", "biases"]))
def test_what_is_rated_now_is_rated_as_far_as_it_is_scored(then, now, unknown):
    """And what was rated at the training, where the ratings are those since."""
    champion, complete = champion_of(then), are_complete(then, now)
    loaded, delta = run(champion, [(*pair, 0) for pair in now], unknown)
    users, items = set(loaded.users.ids.to_pylist()), set(loaded.items.ids.to_pylist())
    rated = now if complete else [*then, *now]
    assert rated_ids(loaded) == {pair for pair in rated if pair[0] in users and pair[1] in items}
    if unknown == "leave_out" and not (delta.gone_users.count or delta.gone_items.count):
        assert (loaded.model, loaded.users, loaded.items) == (champion.model, champion.users, champion.items)


times = st.sampled_from([-1, TRAINED_UNTIL - 1, TRAINED_UNTIL, TRAINED_UNTIL + 1])


@given(pairs, st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), times), min_size=1, max_size=40), kinds)
def test_news_are_counted_as_a_set_would(then, rows, has_times):
    rows = list({row[:2]: row for row in rows}.values())
    _, news = run(champion_of(then), rows, "leave_out", TRAINED_UNTIL if has_times else None)
    again = [row for row in rows if row[:2] in set(then) and has_times and row[2] > TRAINED_UNTIL]
    new = [row for row in rows if row[:2] not in set(then)] + again
    assert (news.ratings, news.new_ratings, news.rated_again) == (len(rows), len(new), len(again))
    assert news.users_with_new_ratings == len({row[0] for row in new})
    for part, told in ((0, news.unknown_users), (1, news.unknown_items)):
        strangers = sorted({row[part] for row in rows} - {pair[part] for pair in then})
        assert (told.count, told.first) == (len(strangers), tuple(strangers[:5]))
    assert news.complete == are_complete(then, [row[:2] for row in rows])
    assert news.deleted_ratings == (len({*then} - {row[:2] for row in rows}) if news.complete else 0)
    for part, told in ((0, news.gone_users), (1, news.gone_items)):
        gone = sorted({pair[part] for pair in then} - {row[part] for row in rows}) if news.complete else []
        assert (told.count, told.first) == (len(gone), tuple(gone[:5]))
    assert RatingsDelta.from_dict(news.to_dict()) == news


def test_the_line_for_people():
    champion = champion_of([(1, 10), (2, 20)])
    rows = [(1, 10, 0), (1, 20, 0), *((user, 10, 0) for user in range(3, 10)), (2, 20, 0), (2, 21, 0)]
    assert str(run(champion, rows, "leave_out")[1]) == (
        "9 new ratings of 9 users since training; 7 unknown users (3, 4, 5, 6, 7, …) and 1 unknown item (21) left out"
    )
    assert str(run(champion, rows)[1]).endswith("scored from biases alone")
    assert str(run(champion, [(1, 10, 0), (1, 20, 0)])[1]) == (
        "1 new rating of 1 user since training; 1 rating deleted; 1 user without ratings (2) removed from the table"
    )
    assert str(run(champion, [(1, 10, 0)])[1]) == (
        "0 new ratings of 0 users since training; 1 rating deleted; 1 user without ratings (2) and 1 item without "
        "ratings (20) removed from the table"
    )
    assert str(run(champion, [(1, 20, 0)])[1]) == (
        "1 new rating of 1 user since training; the ratings hold less than half of the training's, so they are taken "
        "as those since then"
    )


def test_a_champion_without_a_rated_pair_still_has_a_mean():
    champion = champion_of([(1, 10), (2, 20)])
    unrated = RatedPairs.of_pairs(np.array([], np.int64), np.array([], np.int64), n_users=2, n_items=2)
    loaded, _ = run(LoadedModel(champion.model, champion.users, champion.items, unrated), [(9, 10, 0)])
    np.testing.assert_allclose(loaded.model.user_factors[2], champion.model.user_factors.mean(0), rtol=1e-6)


def test_numbers_are_the_text_they_are_written_as_but_text_is_no_number():
    champion = champion_of([(1, 10), (2, 20)])
    as_text = LoadedModel(champion.model, Vocabulary(pa.array(["1", "2"])), champion.items, champion.rated)
    loaded, news = run(as_text, [(2, 10, 0), (10, 10, 0)])
    assert loaded.users.ids.to_pylist() == ["1", "10", "2"]
    assert (news.unknown_users.first, news.new_ratings) == (("10",), 2)
    told = r"found 1 user id that is no integer \('id001'\) among 1, expected integers as in .*; correct or remove"
    with pytest.raises(BadRatings, match=told):
        run(champion, [(1, 10, 0)], text=True)


def test_the_one_id_among_many_that_is_text_is_named():
    users = Vocabulary.build(pa.array([*map(str, range(100, 200)), "u17"]))
    rows = EncodedInteractions(np.arange(101, dtype=np.int32), np.zeros(101, np.int32), np.ones(101, np.float32),
                               np.zeros(101, np.int64), 101, 1)  # fmt: skip
    now = CurrentRatings(rows, users, Vocabulary.build(pa.array([10])))
    with pytest.raises(BadRatings, match=r"found 1 user id that is no integer \('u17'\) among 101"):
        extend(champion_of([(1, 10), (2, 20)]), now, unknown="leave_out", trained_until=None)


def test_the_place_of_the_first_id_that_is_text_is_named():
    now = replace(ratings_of([(1, 10, 0)], text=True), text_ids={"user": "'id001' (ratings.csv, line 3)"})
    told = r"\('id001'\) among 1 \(the first: 'id001' \(ratings\.csv, line 3\)\), expected integers"
    with pytest.raises(BadRatings, match=told):
        extend(champion_of([(1, 10)]), now, unknown="biases", trained_until=None)


def test_nothing_moves_in_what_was_given():
    champion, now = champion_of([(1, 10), (2, 20)]), ratings_of([(9, 30, 0)])
    before = champion.model.fingerprint, now.interactions.fingerprint, champion.rated.item_index.tobytes()
    extend(champion, now, unknown="biases", trained_until=None)
    again = FactorModel(**{name: getattr(champion.model, name) for name in champion.model.__dataclass_fields__})
    assert (again.fingerprint, now.interactions.take(slice(None)).fingerprint, champion.rated.item_index.tobytes()) == (
        before
    )

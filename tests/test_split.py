import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recobatch.encode import encode
from recobatch.errors import BadRatings
from recobatch.ingest import IngestOptions, ingest
from recobatch.interactions import EncodedInteractions, InteractionsWriter, Split
from recobatch.reading import ReadOptions
from recobatch.split import SplitOptions, split, split_file

METHODS = ("stratified", "chronological", "random")


def interactions_of(user_index, item_index, timestamp=None):
    n = len(user_index)
    return EncodedInteractions(
        np.asarray(user_index, np.int32), np.asarray(item_index, np.int32), np.arange(n, dtype=np.float32),
        np.full(n, -1, np.int64) if timestamp is None else np.asarray(timestamp, np.int64),
        int(max(user_index)) + 1, int(max(item_index)) + 1,
    )  # fmt: skip


@st.composite
def some_interactions(draw):
    n = draw(st.integers(10, 80))
    users = draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))
    items = draw(st.lists(st.integers(0, 30), min_size=n, max_size=n))
    times = draw(st.lists(st.integers(-1, 20), min_size=n, max_size=n))
    return interactions_of(users, items, times)


def rows_of(part):
    """The fixtures number their ratings, so a rating tells its row."""
    return part.rating.astype(int)


def test_movielens_is_split_as_in_the_notebook(ml100k_dir, tmp_path):
    report = ingest(str(ml100k_dir / "u.data"), ReadOptions(), IngestOptions(), tmp_path)
    whole = EncodedInteractions.load(encode(report.ratings_path, tmp_path).interactions_path)
    parts = split(whole, SplitOptions(method="stratified"))
    assert (len(parts.train), len(parts.test), parts.validation) == (80_000, 20_000, None)
    cold = ~np.isin(parts.test.item_index, parts.train.item_index)
    assert (cold.sum(), len(np.unique(parts.test.item_index[cold]))) == (41, 37)
    for user in (0, 404, 942):
        own = np.flatnonzero(whole.user_index == user)
        expected = whole.item_index[own][: round(0.8 * len(own))]
        assert parts.train.item_index[parts.train.user_index == user].tolist() == expected.tolist()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("by", ["user", "item", "all"])
def test_the_parts_do_not_depend_on_how_many_rows_are_sorted_at_once(method, by, monkeypatch):
    rng = np.random.default_rng(4)
    whole = interactions_of(rng.integers(0, 30, 900), rng.integers(0, 20, 900), rng.integers(-1, 50, 900))
    options = SplitOptions(method=method, by=by, ratios=(0.6, 0.2, 0.2), seed=3)
    at_once = split(whole, options)
    monkeypatch.setattr("recobatch.split._ROWS_AT_ONCE", 100)
    for name, part in split(whole, options).parts.items():
        assert part.fingerprint == at_once.parts[name].fingerprint


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("by", ["user", "item", "all"])
@pytest.mark.parametrize("ratios", [(0.8, 0.2), (0.6, 0.2, 0.2)])
def test_a_file_is_split_as_its_ratings_are(method, by, ratios, tmp_path):
    rng = np.random.default_rng(4)
    whole = interactions_of(rng.integers(0, 30, 900), rng.integers(0, 20, 900), rng.integers(-1, 50, 900))
    options = SplitOptions(method=method, by=by, ratios=ratios, seed=3)
    with InteractionsWriter(tmp_path / "whole", whole.n_users, whole.n_items) as writer:
        for start in range(0, 900, 130):
            writer.write(whole.take(np.arange(start, min(900, start + 130))))
    split_file(tmp_path / "whole", options, tmp_path)
    expected, found = split(whole, options), Split.load(tmp_path)
    assert {name: part.fingerprint for name, part in found.parts.items()} == {
        name: part.fingerprint for name, part in expected.parts.items()
    }
    assert (Split.load(tmp_path, times=False).train.timestamp == -1).all()


def test_a_file_with_too_few_ratings_is_refused(tmp_path):
    interactions_of([0], [0]).save(tmp_path / "whole")
    with pytest.raises(BadRatings, match="found 1 ratings by 1 users of 1 items, too few for the test part"):
        split_file(tmp_path / "whole", SplitOptions(method="stratified"), tmp_path)


@given(
    some_interactions(),
    st.sampled_from(METHODS),
    st.sampled_from(("user", "item", "all")),
    st.sampled_from(((0.8, 0.2), (0.5, 0.5), (0.6, 0.2, 0.2), (0.1, 0.1, 0.8))),
    st.integers(0, 5),
)
def test_parts_are_disjoint_complete_and_in_file_order(whole, method, by, ratios, seed):
    options = SplitOptions(method=method, by=by, ratios=ratios, seed=seed)
    try:
        parts = split(whole, options)
    except BadRatings:
        return
    named = [part for part in (parts.train, parts.validation, parts.test) if part is not None]
    assert len(named) == len(ratios)
    assert sorted(np.concatenate([rows_of(part) for part in named])) == list(range(len(whole)))
    for part in named:
        assert (np.diff(rows_of(part)) > 0).all()
        assert (part.n_users, part.n_items) == (whole.n_users, whole.n_items)
        assert part.item_index.tolist() == whole.item_index[rows_of(part)].tolist()


@given(some_interactions(), st.sampled_from(METHODS), st.floats(0.05, 0.95))
def test_every_user_has_the_rounded_share_in_train(whole, method, ratio):
    try:
        parts = split(whole, SplitOptions(method=method, ratios=(ratio, 1 - ratio)))
    except BadRatings:
        return
    for user, count in zip(*np.unique(whole.user_index, return_counts=True), strict=True):
        assert (parts.train.user_index == user).sum() == max(round(count * round(ratio, 12)), 1)


@given(some_interactions())
def test_chronological_trains_on_what_came_first(whole):
    try:
        parts = split(whole, SplitOptions(method="chronological"))
    except BadRatings:
        return
    for user in np.unique(parts.test.user_index):
        trained, tested = (part.timestamp[part.user_index == user] for part in (parts.train, parts.test))
        assert trained.max() <= tested.min()


def test_random_depends_on_the_seed_only():
    whole = interactions_of(np.arange(200) % 4, np.arange(200))
    first, again, other = (
        rows_of(split(whole, SplitOptions(method="random", seed=seed)).test).tolist() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_single_rating_is_trained_on():
    whole = interactions_of([0, 1, 1, 1, 1, 1], [0, 0, 1, 2, 3, 4])
    parts = split(whole, SplitOptions(method="stratified", ratios=(0.3, 0.7)))
    assert rows_of(parts.train).tolist() == [0, 1, 2]


def test_rounds_halves_to_even():
    whole = interactions_of([0] * 5 + [1] * 7, np.arange(12))
    parts = split(whole, SplitOptions(method="stratified", ratios=(0.5, 0.5)))
    assert np.bincount(parts.train.user_index).tolist() == [2, 4]


def test_by_item_and_over_all():
    whole = interactions_of(np.arange(20) % 10, np.arange(20) // 10)
    assert rows_of(split(whole, SplitOptions(method="stratified", by="item")).test).tolist() == [8, 9, 18, 19]
    assert rows_of(split(whole, SplitOptions(method="stratified", by="all")).test).tolist() == [16, 17, 18, 19]


def test_refuses_an_empty_part():
    with pytest.raises(BadRatings, match="found 2 ratings by 2 users of 1 items, too few for the test part"):
        split(interactions_of([0, 1], [0, 0]), SplitOptions(method="stratified"))


@pytest.mark.parametrize("ratios", [(1.0,), (0.8, 0.3), (1.2, -0.2), (0.5, 0.2, 0.2, 0.1), (1.0, 0.0)])
def test_refuses_ratios_that_are_no_whole(ratios):
    with pytest.raises(ValidationError, match="expected two or three positive numbers that add up to 1"):
        SplitOptions(ratios=ratios)

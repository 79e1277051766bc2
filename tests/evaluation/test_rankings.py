"""Ranking metrics against a plain reference, against libraries of the field, and at the edges."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.errors import BadInput
from recobatch.evaluation.baselines import bias_model, popularity_model
from recobatch.evaluation.ranking_groups import quartiles
from recobatch.evaluation.rankings import EvaluationOptions, measure_rankings, relevance_threshold
from recobatch.interactions import EncodedInteractions
from recobatch.rated import RatedPairs
from recobatch.scoring.lists import top_lists
from recobatch.scoring.ranker import Ranker
from tests.support.golden import notebook_split
from tests.support.golden_rankings import GOLDEN, N_ITEMS, N_USERS, RELEVANT, K, generate


def ratings(users, items, values, n_users, n_items):
    return EncodedInteractions(
        np.array(users, np.int32), np.array(items, np.int32), np.array(values, np.float32),
        np.full(len(users), -1), n_users, n_items,
    )  # fmt: skip


def plain(lists, train, test, relevant):
    """Every figure from its definition, one user at a time."""
    liked = {}
    for user, item, rating in zip(test.user_index, test.item_index, test.rating, strict=True):
        if rating >= relevant:
            liked.setdefault(int(user), set()).add(int(item))
    raters = {item: int((train.item_index == item).sum()) for item in range(test.n_items)}
    found = {name: [] for name in ("ndcg", "recall", "map", "hit_rate", "popularity", "novelty")}
    for user, wanted in liked.items():
        shown = [int(item) for item in lists[user] if item >= 0]
        gains = [1 / math.log2(rank + 1) for rank, item in enumerate(shown, 1) if item in wanted]
        ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(lists[user]), len(wanted)) + 1))
        hits = [item in wanted for item in shown]
        found["ndcg"].append(sum(gains) / ideal)
        found["recall"].append(sum(hits) / len(wanted))
        precisions = [sum(hits[:rank]) / rank for rank in range(1, len(shown) + 1) if hits[rank - 1]]
        found["map"].append(sum(precisions) / len(wanted))
        found["hit_rate"].append(float(any(hits)))
        found["popularity"].append(sum(raters[item] for item in shown) / max(len(shown), 1))
        bits = [-math.log2(max(raters[item], 1) / train.n_users) for item in shown]
        found["novelty"].append(sum(bits) / max(len(shown), 1))
    shown = {int(item) for user in liked for item in lists[user] if item >= 0}
    return {name: sum(values) / len(values) for name, values in found.items()} | {
        "coverage": len(shown) / test.n_items, "n_users": len(liked), "left_out": test.n_users - len(liked),
    }  # fmt: skip


@given(seed=st.integers(0, 2**32 - 1), n_users=st.integers(1, 9), n_items=st.integers(1, 12), k=st.integers(1, 14))
def test_equals_the_definitions(seed, n_users, n_items, k):
    rng = np.random.default_rng(seed)
    part = rng.integers(0, 3, (n_users, n_items))
    part[0, 0] = 2
    values = rng.integers(1, 6, (n_users, n_items))
    values[0, 0] = 5
    train, test = (ratings(*np.nonzero(part == number), values[part == number], n_users, n_items) for number in (1, 2))
    lists = np.full((n_users, k), -1)
    for user in range(n_users):
        unseen = rng.permutation(np.flatnonzero(part[user] != 1))[: rng.integers(0, k + 1)]
        lists[user, : len(unseen)] = unseen
    found = measure_rankings(lists, train=train, test=test, relevant=4)
    expected = plain(lists, train, test, 4)
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected, abs=1e-12)


def test_equals_libraries_of_the_field():
    """``tests/support/golden_rankings.py`` says how the figures were made."""
    train, test, lists = generate()
    rows = (ratings(*part.T, N_USERS, N_ITEMS) for part in (train, test))
    found = measure_rankings(lists, **dict(zip(("train", "test"), rows, strict=True)), relevant=RELEVANT)
    assert found.k == K
    for name, expected in GOLDEN.items():
        assert getattr(found, name) == pytest.approx(expected, abs=1e-9), name


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([1, 2, 3, 4, 5], 4), ([0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4], 3.5), (np.arange(0.5, 5.1, 0.5), 4),
        (range(1, 11), 8), ([3], 3), ([-10, 10], 10),
    ],
)  # fmt: skip
def test_the_upper_part_of_a_scale_is_relevant(levels, expected):
    rating = np.array(levels, np.float32)
    assert relevance_threshold(rating, EvaluationOptions()) == expected
    assert relevance_threshold(rating, EvaluationOptions(relevant=2.5)) == 2.5


@pytest.mark.slow
def test_popularity_on_the_notebooks_split(ml100k_dir):
    data = notebook_split(ml100k_dir)
    rated = RatedPairs.collect(data.train)

    def measured(model):
        return measure_rankings(top_lists(Ranker.of(model), rated, 10), train=data.train, test=data.test, relevant=4)

    found = measured(popularity_model(data.train))
    assert (found.ndcg, found.recall) == pytest.approx((0.172, 0.135), abs=5e-4)
    assert (found.n_users, found.left_out) == (933, 10)
    assert found.ndcg > measured(bias_model(data.train, min_rating=1, max_rating=5)).ndcg


def test_groups_add_up():
    train, test, lists = generate()
    train, test = (ratings(*part.T, N_USERS, N_ITEMS) for part in (train, test))
    found = measure_rankings(lists, train=train, test=test, relevant=RELEVANT)
    relevant = int((test.rating >= RELEVANT).sum())
    for groups in (found.by_user_activity, found.by_item_popularity):
        assert len(groups) == 4
        assert sum(group.rows for group in groups) == relevant
        assert [group.least for group in groups] == sorted(group.least for group in groups)
    users, items = found.by_user_activity, found.by_item_popularity
    assert sum(group.members for group in users) == found.n_users
    assert sum(group.members for group in items) == N_ITEMS
    assert sum(group.recall * group.members for group in users) / found.n_users == pytest.approx(found.recall)
    assert sum(group.share for group in items) == pytest.approx(1)
    values = found.to_dict()
    assert values[f"ndcg_at_{K}"] == found.ndcg
    assert {f"recall_at_{K}", f"map_at_{K}", f"hit_rate_at_{K}", "coverage", "popularity", "novelty"} <= values.keys()
    assert values["by_user_activity"][0][f"ndcg_at_{K}"] == users[0].ndcg


def test_quartiles_are_of_equal_size():
    assert quartiles(np.array([5, 1, 1, 9, 7, 1, 2, 2])).tolist() == [2, 0, 0, 3, 3, 1, 1, 2]
    assert quartiles(np.array([4])).tolist() == [0]


def test_nothing_relevant_is_one_clear_line():
    rows = ratings([0], [0], [2], 1, 1)
    with pytest.raises(BadInput, match=r"evaluation\.relevant: found no test rating of at least 4, .*pass a lower"):
        measure_rankings(np.array([[0]]), train=rows, test=rows, relevant=4)


def test_lists_of_other_users_are_refused():
    rows = ratings([0], [0], [5], 1, 1)
    with pytest.raises(BadInput, match=r"found lists of 2 users, expected 1"):
        measure_rankings(np.array([[0], [0]]), train=rows, test=rows, relevant=4)

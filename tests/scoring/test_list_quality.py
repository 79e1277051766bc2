"""The lists of a batch, measured by every way to rank."""

import json
from dataclasses import replace

import numpy as np
import pytest

from recobatch.errors import BadTable
from recobatch.evaluation.baselines import bias_model, popularity_model
from recobatch.factors import FactorModel
from recobatch.interest import InterestOptions, train_interest
from recobatch.rated import RatedPairs
from recobatch.scoring.kernel import ScoringKernel
from recobatch.scoring.list_quality import measure_lists, way_to_rank
from recobatch.scoring.lists import top_lists, top_lists_of_all
from recobatch.scoring.ranker import Ranker
from recobatch.split import SplitOptions, split

WAYS = {"prediction", "interest", "product"}


@pytest.fixture(scope="module")
def parts(low_rank):
    return split(low_rank, SplitOptions())


@pytest.fixture(scope="module")
def rating(parts):
    return bias_model(parts.train, min_rating=1, max_rating=5)


@pytest.fixture(scope="module")
def interest(parts):
    options = InterestOptions(method="ease", ease_rank=8)
    return train_interest(parts.train, min_rating=1, max_rating=5, relevant=4, options=options)[0].factors


def test_every_way_and_both_baselines_are_measured(parts, rating, interest):
    lists = measure_lists(parts, {"means": rating}, interest, {"means": "product"}, k=5, relevant=4)
    assert set(lists.models["means"]) == WAYS
    assert set(lists.baselines) == {"popularity", "bias"}
    # The baseline of means ranks as the model that is the means does.
    assert lists.models["means"]["prediction"].to_dict() == lists.baselines["bias"].to_dict()
    found = lists.rankings("means")
    assert (found["rank_by"], set(found["other_ways"])) == ("product", {"prediction", "interest"})
    assert found["ndcg_at_5"] == lists.models["means"]["product"].ndcg
    assert found["over_popularity"]["ndcg_at_5"] == pytest.approx(
        found["ndcg_at_5"] - lists.baselines["popularity"].ndcg
    )
    json.dumps(found, allow_nan=False)


def test_metrics_have_the_names_of_the_field(parts, rating, interest):
    lists = measure_lists(parts, {"means": rating}, interest, {"means": "interest"}, k=10, relevant=4)
    metrics = lists.metrics("means")
    assert metrics["ndcg_at_10"] == metrics["by_interest_ndcg_at_10"] == lists.models["means"]["interest"].ndcg
    assert metrics["baseline_popularity_recall_at_10"] == lists.baselines["popularity"].recall
    assert {"recall_at_10", "map_at_10", "hit_rate_at_10", "coverage", "popularity", "novelty"} <= set(metrics)


def test_the_lead_over_popularity_is_that_of_the_same_users(parts, rating):
    lists = measure_lists(parts, {"means": rating}, None, {"means": "prediction"}, k=5, relevant=4)
    rated = RatedPairs.collect(parts.train)
    per_user = []
    for model in (rating, popularity_model(parts.train)):
        gains = []
        for user, items in enumerate(top_lists(Ranker.of(model), rated, 5)):
            liked = set(parts.test.item_index[(parts.test.user_index == user) & (parts.test.rating >= 4)])
            if liked:
                ideal = sum(1 / np.log2(2 + place) for place in range(min(5, len(liked))))
                gains.append(sum((item in liked) / np.log2(2 + place) for place, item in enumerate(items)) / ideal)
        per_user.append(np.array(gains))
    margin, differences = lists.margins["means"], per_user[0] - per_user[1]
    assert margin.difference == pytest.approx(differences.mean())
    assert margin.se == pytest.approx(differences.std(ddof=1) / len(differences) ** 0.5)


def test_without_an_interest_model_predictions_alone_are_measured(parts, rating):
    lists = measure_lists(parts, {"means": rating}, None, {"means": "prediction"}, k=5, relevant=4)
    assert set(lists.models["means"]) == {"prediction"}
    assert lists.rankings("means")["other_ways"] == {}


def test_without_a_relevant_test_rating_there_is_a_note_and_no_figure(parts, rating, interest):
    lists = measure_lists(parts, {"means": rating}, interest, {"means": "interest"}, k=5, relevant=9)
    assert "found no test rating of at least 9, expected one" in lists.note
    assert (lists.rankings("means"), lists.metrics("means"), lists.margins) == (None, {}, {})


def test_a_product_with_a_model_without_a_range_is_refused(parts, interest):
    model = popularity_model(parts.train)
    with pytest.raises(BadTable, match=r"found no rating range, expected one .*top\.rank_by=interest"):
        measure_lists(parts, {"counts": model}, interest, {"counts": "product"}, k=5, relevant=4)


@pytest.mark.parametrize(
    ("wanted", "best", "has_interest", "has_range", "expected"),
    [
        ("prediction", "product", True, True, "prediction"),
        ("product", "interest", True, True, "product"),
        ("best", "product", True, True, "product"),
        ("best", "product", True, False, "interest"),
        ("best", "prediction", True, False, "prediction"),
        ("best", "interest", False, True, "prediction"),
    ],
)
def test_best_is_what_held_out_ratings_say_as_far_as_the_model_can(wanted, best, has_interest, has_range, expected):
    factors = FactorModel(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1), np.zeros(1))
    rating = replace(factors, min_rating=1.0, max_rating=5.0) if has_range else factors
    assert way_to_rank(wanted, best, rating, has_interest=has_interest) == expected


def test_rankers_by_the_same_models_share_their_scores(parts, rating, interest, monkeypatch):
    """The lists have the bits of each ranker alone, and each model is multiplied once."""
    rated, other = RatedPairs.collect(parts.train), replace(rating, item_bias=rating.item_bias[::-1].copy())
    rankers = [
        Ranker.of(rating, interest, "interest"), Ranker.of(rating, interest, "product"),
        Ranker.of(other, interest, "product"), Ranker.of(rating), Ranker.of(other),
    ]  # fmt: skip
    alone = [top_lists(ranker, rated, 7) for ranker in rankers]
    multiplied, scores = [], ScoringKernel.scores
    monkeypatch.setattr(
        ScoringKernel, "scores",
        lambda self, users, **given: multiplied.append(self.model) or scores(self, users, **given),
    )  # fmt: skip
    for found, expected in zip(top_lists_of_all(rankers, rated, 7), alone, strict=True):
        assert np.array_equal(found, expected)
    calls = -(-rated.n_users // 512)
    for model in (interest, rating, other):
        assert sum(each is model for each in multiplied) == calls
    mixed = [rankers[0], Ranker.of(rating), Ranker.of(other, replace(interest), "product")]
    for found, ranker in zip(top_lists_of_all(mixed, rated, 7), mixed, strict=True):
        assert np.array_equal(found, top_lists(ranker, rated, 7))

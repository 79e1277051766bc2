"""The recommender of ``recobatch.fit``: the same from any frame, and consistent with the models behind it."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import recobatch as rb
from recobatch.errors import BadInput, BadRatings, BadTable
from recobatch.interest import InterestOptions
from recobatch.models import ModelOptions
from recobatch.training.recipe import Recipe
from tests.support.taste_frames import taste_frame

pytestmark = pytest.mark.slow

FEW = ModelOptions(sweeps=30, bayesian_factors=3)


@pytest.fixture(scope="module")
def frame():
    return taste_frame()


@pytest.fixture(scope="module")
def model(frame):
    titles = pd.DataFrame({"movieId": range(100, 160), "title": [f"Film {n}" for n in range(60)]})
    return rb.fit(frame, options=FEW, items=titles.assign(kind=["odd", "even"] * 30))


@pytest.fixture(scope="module")
def plain(frame):
    return rb.fit(frame, options=FEW)


@pytest.mark.parametrize(
    "to", [pl.from_pandas, pa.Table.from_pandas, lambda frame: pl.from_pandas(frame).lazy().collect()]
)
def test_any_frame_gives_the_same_model(frame, plain, to):
    other = rb.fit(to(frame), options=FEW)
    assert other.loaded.fingerprints == plain.loaded.fingerprints
    assert other.interest.fingerprint == plain.interest.fingerprint


def test_a_path_gives_the_same_model(frame, plain, tmp_path):
    frame.to_csv(tmp_path / "ratings.csv", index=False)
    other = rb.fit(tmp_path / "ratings.csv", options=FEW)
    assert other.loaded.fingerprints == plain.loaded.fingerprints


def test_the_frame_is_not_changed(frame):
    before = frame.copy(deep=True)
    rb.fit(frame, options=FEW, interest=InterestOptions(method="none"))
    pd.testing.assert_frame_equal(frame, before)


def test_predictions_follow_the_rows(frame, model):
    rows = frame.sample(frac=1, random_state=1)
    predictions = model.predict(rows)
    assert predictions.dtype == np.float32
    assert predictions.shape == (len(rows),)
    assert np.mean((predictions - rows["rating"]) ** 2) < rows["rating"].var() / 2
    one = model.predict(pl.DataFrame({"item_id": [101], "user": ["u001"], "other": [1]}))
    wanted = model.loaded.model.predict_pairs(model.loaded.users.find(pa.array(["u001"])), np.array([1]))
    assert one == wanted


def test_unknown_ids_are_named_or_nan(model):
    pairs = pd.DataFrame({"userId": ["u001", "nobody", None], "movieId": [101, 101, 102]})
    with pytest.raises(BadInput, match=r"pairs, user: found 2 unknown ids \('nobody', None\)"):
        model.predict(pairs)
    assert np.isnan(model.predict(pairs, unknown="nan")).tolist() == [False, True, True]


def test_intervals_cover_ratings_that_the_model_does_not_know(frame):
    is_new = np.random.default_rng(3).random(len(frame)) < 0.25
    model = rb.fit(frame[~is_new], options=FEW, interest=InterestOptions(method="none"))
    new = frame[is_new]
    found = model.predict_interval(new)
    assert [(field.name, field.type) for field in found.schema] == [
        (name, pa.float32()) for name in ("prediction", "lower_90", "upper_90")
    ]
    prediction, lower, upper = (column.to_numpy() for column in found.columns)
    np.testing.assert_array_equal(prediction, model.predict(new))
    assert ((lower <= prediction) & (prediction <= upper)).all()
    inside = (lower <= new["rating"]) & (new["rating"] <= upper)
    assert 0.85 < inside.mean() < 0.97
    assert (upper - lower).std() > 0.01


def test_intervals_of_unknown_pairs_are_refused_or_nan(model):
    pairs = pd.DataFrame({"userId": ["u001", "nobody"], "movieId": [101, 101]})
    with pytest.raises(BadInput, match=r"pairs, user: found 1 unknown id"):
        model.predict_interval(pairs)
    found = model.predict_interval(pairs, unknown="nan").to_pandas()
    assert found.isna().all(axis=1).tolist() == [False, True]


@pytest.mark.parametrize("rows", [4, 5])
def test_a_rating_to_calibrate_on_is_needed_for_intervals(rows):
    few = pd.DataFrame({"user": [1, 1, 2, 2, 3], "item": [1, 2, 1, 2, 1], "rating": [1.0, 2.0, 3.0, 4.0, 5.0]})[:rows]
    model = rb.fit(few, options=FEW, interest=InterestOptions(method="none"))
    if rows == 5:
        assert model.predict_interval(few).num_rows == rows
        return
    with pytest.raises(BadInput, match=r"without calibrated intervals, expected .* at least 5 ratings"):
        model.predict_interval(few)


def test_lists_are_of_unrated_items_of_the_users_taste(frame, model):
    lists = model.recommend(["u003", "u000"], k=5)
    assert lists.column_names == ["user_id", "rank", "item_id", "title", "score", "prediction"]
    assert lists["user_id"].to_pylist() == ["u003"] * 5 + ["u000"] * 5
    assert lists["rank"].to_pylist() == [1, 2, 3, 4, 5] * 2
    assert lists["title"].to_pylist() == [f"Film {item - 100}" for item in lists["item_id"].to_pylist()]
    rated = set(zip(frame["userId"], frame["movieId"], strict=True))
    pairs = list(zip(lists["user_id"].to_pylist(), lists["item_id"].to_pylist(), strict=True))
    assert not rated & set(pairs)
    assert sum((int(user[1:]) + item) % 2 == 0 for user, item in pairs) >= 8
    everybody = model.recommend(k=5)
    assert len(everybody) == 120 * 5
    assert everybody.filter(pa.compute.equal(everybody["user_id"], "u003"))["item_id"].to_pylist() == [
        item for user, item in pairs if user == "u003"
    ]


def test_similar_items_are_of_the_same_taste(model):
    similar = model.similar_items(110, k=6)
    assert similar.column_names == ["item_id", "title", "similarity"]
    assert sum(item % 2 == 0 for item in similar["item_id"].to_pylist()) >= 5
    shares = similar["similarity"].to_pylist()
    assert shares == sorted(shares, reverse=True)
    assert 110 not in similar["item_id"].to_pylist()


def test_reasons_are_own_ratings_of_the_users_taste(frame, model):
    item = model.recommend("u003", k=1)["item_id"][0].as_py()
    why = model.why("u003", item, k=3)
    assert why.column_names == [
        "item_id", "title", "because", "because_title", "rating", "interest", "prediction",
    ]  # fmt: skip
    own = frame[frame["userId"] == "u003"].set_index("movieId")["rating"]
    assert [own[each] for each in why["because"].to_pylist()] == why["rating"].to_pylist()
    shares = why["interest"].to_pylist()
    assert 0 < sum(shares) <= 1
    assert shares == sorted(shares, reverse=True)
    assert None not in why["prediction"].to_pylist()


def test_a_saved_model_answers_the_same(model, tmp_path):
    model.save(tmp_path / "model")
    model.save(tmp_path / "model")  # over itself
    loaded = rb.load(tmp_path / "model")
    assert loaded.recommend("u003").equals(model.recommend("u003"))
    assert loaded.similar_items(110).equals(model.similar_items(110))
    assert loaded.why("u003", [101, 103]).equals(model.why("u003", [101, 103]))
    pairs = model.recommend("u003")
    assert loaded.predict_interval(pairs).equals(model.predict_interval(pairs))
    assert (loaded.name, dict(loaded.columns)) == ("bayesian_mf", dict(model.columns))
    assert sorted(path.suffix for path in (tmp_path / "model").iterdir() if path.suffix in {".pkl", ".pickle"}) == []


def test_what_is_not_a_saved_model_is_left_alone(model, tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(BadInput, match="found something that is not a saved model"):
        model.save(tmp_path)
    with pytest.raises(BadTable, match="found no saved model"):
        rb.load(tmp_path)
    assert (tmp_path / "diary.txt").read_text() == "mine"


def test_without_interest_lists_are_ranked_by_prediction(frame):
    model = rb.fit(frame, options=FEW, interest=InterestOptions(method="none"))
    lists = model.recommend("u003", k=60)
    assert lists["prediction"].to_pylist() == sorted(lists["prediction"].to_pylist(), reverse=True)
    with pytest.raises(BadTable, match="no interest model"):
        model.recommend("u003", rank_by="interest")
    assert len(model.similar_items(110, k=3)) == 3
    assert model.why("u003", 101)["interest"].null_count == len(model.why("u003", 101))


def test_a_keras_model_takes_a_recipe(frame):
    model = rb.fit(
        frame, model="explicit_mf_bias", recipe=Recipe(epochs=2), options=ModelOptions(n_factors=4),
        interest=InterestOptions(method="none"),
    )  # fmt: skip
    assert model.name == "explicit_mf_bias"
    assert np.isfinite(model.predict(frame)).all()
    with pytest.raises(BadInput, match="without a model of interest"):
        model.why("u003", 101)


def test_columns_can_be_named(frame, plain):
    renamed = frame.rename(columns={"userId": "who", "movieId": "what"})
    with pytest.raises(BadRatings, match=r"ratings: found no column for the user and the item.*pass user_column= and"):
        rb.fit(renamed)
    model = rb.fit(renamed, user_column="who", item_column="what", options=FEW)
    assert model.loaded.fingerprints == plain.loaded.fingerprints
    np.testing.assert_array_equal(model.predict(renamed), plain.predict(frame))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([1, 2, 3], "found 'list' that Arrow cannot read"),
        (pd.DataFrame({"user": [], "item": [], "rating": []}), "found columns and no ratings"),
        (pd.DataFrame({"user": [1, "a"], "item": [1, 2], "rating": [1.0, 2.0]}), "found 'DataFrame' that Arrow cannot"),
        (pd.DataFrame({"user": [1, 2], "item": [1, 2], "rating": ["x", "y"]}), "2 of 2 ratings cannot be used"),
        (pd.DataFrame({"user": [1, 2], "item": [7, 7], "rating": [1.0, 2.0]}), "2 users of 1 items, expected at least"),
    ],
)
def test_bad_ratings_are_refused_in_one_line(bad, words):
    with pytest.raises(BadInput, match=words) as refused:
        rb.fit(bad)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("ask", ["recommend", "similar_items", "why"])
def test_an_unknown_id_is_refused_with_known_ones(model, ask):
    arguments = {"recommend": ("nobody",), "similar_items": (7,), "why": ("u003", 7)}[ask]
    with pytest.raises(BadInput, match=r"expected one of the .* with ratings"):
        getattr(model, ask)(*arguments)

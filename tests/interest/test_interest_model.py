"""The interest model as data: saved, checked, moved to other items, and computed anew for other users."""

from dataclasses import replace

import numpy as np
import pytest

from recobatch.blas import one_blas_thread
from recobatch.errors import BadTable
from recobatch.interactions import EncodedInteractions
from recobatch.interest.candidates import IALS, Choice, Trainer, in_sizes
from recobatch.interest.ials import Ials
from recobatch.interest.options import InterestOptions
from recobatch.interest_model import Confidence, InterestModel
from recobatch.model_folder import load_interest
from tests.support.rounding import assert_equal_but_rounding
from tests.support.tastes import tastes

DATA = tastes()
SLOPE = Confidence(1, 5, 4)
# More than a penalty of 1 brings implicit ALS to nothing on so few ratings.
CHOICES = {
    "ease": Choice(SLOPE, 100.0), "ials": Choice(Confidence(1, 5, 4, 0.3), ials=IALS[:1]),
    "both": Choice(SLOPE, 100.0, in_sizes(Ials(16, 1, 0.1))),
}  # fmt: skip


@pytest.fixture(scope="module", params=[*CHOICES, "both in 20 columns"])
def model(request):
    with one_blas_thread():
        found = Trainer(DATA, InterestOptions(), 0).train(CHOICES[request.param.split()[0]])
        return found.in_columns(20) if "columns" in request.param else found


def assert_same_rows(model, found, expected):
    """To the bit, but where a product brings them to fewer columns."""
    if model.fewer is None:
        assert np.array_equal(found, expected)
    else:
        assert_equal_but_rounding(found, expected)


def test_no_more_columns_than_asked_for(model):
    assert (model.factors.n_factors == 20) == (model.fewer is not None)
    assert model.in_columns(1000) is model
    assert model.in_columns(5).factors.n_factors == 5


def test_saved_and_loaded(model, tmp_path):
    model.save(tmp_path / "interest.npz")
    loaded = load_interest(tmp_path / "interest.npz")
    assert loaded.fingerprint == model.fingerprint
    assert loaded.confidence == model.confidence
    assert np.array_equal(loaded.factors.item_factors, model.factors.item_factors)
    with np.load(tmp_path / "interest.npz", allow_pickle=False) as file:
        assert all(array.dtype != object for array in file.values())


def test_damaged_files_are_one_clear_line(model, tmp_path):
    path = tmp_path / "interest.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(BadTable, match=r"found no interest model .*train again"):
        InterestModel.load(path)
    model.save(path)
    with np.load(path) as file:
        arrays = dict(file)
    arrays["basis_0"] = arrays["basis_0"] + 1
    np.savez(path, **arrays)
    with pytest.raises(BadTable, match="differs from its fingerprint"):
        InterestModel.load(path)


def test_the_same_ratings_give_the_same_users(model):
    with one_blas_thread():
        again = model.for_users(DATA)
    np.testing.assert_allclose(again.factors.user_factors, model.factors.user_factors, atol=2e-4)


def test_a_user_depends_on_their_own_ratings_only(model):
    chosen = DATA.take(DATA.user_index == 7)
    alone = EncodedInteractions(
        np.zeros(len(chosen), np.int32), chosen.item_index, chosen.rating, chosen.timestamp, 1, DATA.n_items
    )
    with one_blas_thread():
        everyone = model.for_users(DATA)
        found = model.for_users(alone)
    assert_same_rows(model, found.factors.user_factors[0], everyone.factors.user_factors[7])


def test_new_ratings_and_new_users_count(model):
    liked = np.arange(0, 20, 2)
    rows = EncodedInteractions(
        np.full(len(liked), 1, np.int32), liked.astype(np.int32), np.full(len(liked), 5, np.float32),
        np.full(len(liked), -1), 3, DATA.n_items,
    )  # fmt: skip
    found = model.for_users(rows).factors
    scores = found.user_factors @ found.item_factors.T
    assert scores[1, 20::2].mean() > scores[1, 21::2].mean() + 0.5 * scores[1].std()
    assert np.array_equal(scores[0], scores[2]), "without ratings, the average user"
    average = np.concatenate([part.average_user for part in model.parts])
    average = average if model.fewer is None else average @ model.fewer.users
    np.testing.assert_allclose(found.user_factors[0], average, atol=1e-6)


def test_moved_to_other_items(model):
    places = np.arange(DATA.n_items)[::-1] + 2
    places[3] = -1
    moved = model.over_items(places, DATA.n_items + 5)
    kept = places >= 0
    assert_same_rows(model, moved.factors.item_factors[places[kept]], model.factors.item_factors[kept])
    unknown = np.setdiff1d(np.arange(moved.n_items), places)
    assert not moved.factors.item_factors[unknown].any()


def test_unknown_items_do_not_change_a_user(model):
    places = np.arange(DATA.n_items)[::-1] + 2
    moved = model.over_items(places, DATA.n_items + 5)
    there = EncodedInteractions(
        DATA.user_index, places[DATA.item_index].astype(np.int32), DATA.rating, DATA.timestamp, DATA.n_users,
        moved.n_items,
    )  # fmt: skip
    with one_blas_thread():
        np.testing.assert_allclose(
            moved.for_users(there).factors.user_factors, model.for_users(DATA).factors.user_factors, atol=2e-4
        )


def test_other_items_are_refused(model):
    with pytest.raises(BadTable, match=r"found ratings of 61 items, expected 60; .*over_items"):
        model.for_users(replace(DATA, n_items=61))


def test_weights_ascend_with_the_rating():
    ratings = np.array([1, 2, 3, 4, 5], np.float32)
    assert Confidence(1, 5, 4, 0.3).of(ratings).tolist() == pytest.approx([0.3, 0.3, 0.3, 1, 1])
    slope = SLOPE.of(ratings)
    assert slope.tolist() == sorted(slope.tolist())
    assert (slope[0], slope[-1]) == pytest.approx((1 / 9, 1))
    assert Confidence(3, 3, 3).of(np.array([3], np.float32)).tolist() == [1]

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recobatch.report.grouping import calibrate, group_by_count, item_errors, map_items


def test_calibration_of_a_perfect_model_lies_on_the_diagonal():
    rating = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], 20)
    groups = calibrate(rating, rating.copy())
    np.testing.assert_allclose(groups.predicted, groups.observed)
    assert len(groups.predicted) == 10


def test_calibration_with_fewer_rows_than_groups():
    groups = calibrate(np.array([1.0, 5.0]), np.array([2.0, 4.0]))
    np.testing.assert_allclose(groups.predicted, [2, 4])
    np.testing.assert_allclose(groups.observed, [1, 5])


@settings(deadline=None)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=400))
def test_every_row_is_in_the_group_that_its_label_names(counts):
    counts = np.array(counts)
    groups = group_by_count(counts)
    assert groups.sizes.sum() == len(counts)
    assert (groups.sizes > 0).all()
    for count, group in zip(counts, groups.group, strict=True):
        first, _, last = groups.labels[group].replace(",", "").partition("–")
        assert int(first) <= count <= int(last or first)


def test_rows_of_the_unseen_stay_apart_however_few():
    groups = group_by_count(np.r_[0, np.full(5000, 30)])
    assert groups.labels[0] == "0"
    assert groups.sizes[0] == 1


def test_error_per_group_is_the_root_mean_square():
    groups = group_by_count(np.array([1, 1, 30, 30]))
    rmse = groups.rmse(np.array([1.0, 1.0, 5.0, 5.0]), np.array([4.0, 5.0, 5.0, 5.0]))
    np.testing.assert_allclose(rmse, [np.sqrt(12.5), 0])


def test_items_come_by_rising_error_and_rare_ones_are_left_out():
    item = np.repeat(np.arange(22), 10)
    item = np.r_[item, 22]
    rating = np.full(len(item), 3.0)
    errors = item_errors(item, rating, rating + item / 10, [f"t{number}" for number in range(23)])
    assert [error.title for error in errors] == [f"t{number}" for number in range(22)]
    assert errors[-1].rmse == pytest.approx(2.1)
    assert errors[0].n_rows == 10


def test_the_map_keeps_distances_of_points_in_a_plane():
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(50, 2))
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0][:2]
    positions, shown = map_items((plane @ rotation + 3).astype(np.float32))
    wanted = np.linalg.norm(plane[:, None] - plane[None], axis=2)
    found = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert shown == pytest.approx(1)


@pytest.mark.parametrize("factors", [np.ones((5, 1)), np.ones((5, 3)), np.zeros((1, 4))])
def test_the_map_of_items_that_are_all_alike(factors):
    positions, shown = map_items(factors)
    np.testing.assert_allclose(positions, 0, atol=1e-9)
    assert 0 <= shown <= 1

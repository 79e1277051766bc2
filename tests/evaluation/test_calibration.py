import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.errors import BadInput, BadTable
from recobatch.evaluation.calibration import calibrate, calibrate_model
from recobatch.evaluation.noise import HeldOut, band_edges, fit_noise
from recobatch.evaluation.uncertainty import UncertaintyQuality, assess_crosswise, assess_uncertainty
from recobatch.factors import FactorModel, Link
from recobatch.interactions import EncodedInteractions
from recobatch.intervals import Calibration

pytestmark = pytest.mark.slow

N_USERS, N_ITEMS = 200, 120


def noisy(seed=0, n=24000, width=40.0):
    """Residuals whose variance is a sum of a user's and an item's, known here."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(99)
    user_sd, item_sd = truth.uniform(0.2, 1.2, N_USERS), truth.uniform(0.2, 0.8, N_ITEMS)
    user, item = rng.integers(0, N_USERS, n), rng.integers(0, N_ITEMS, n)
    sd = np.hypot(user_sd[user], item_sd[item])
    prediction = rng.normal(0, 1, n)
    return HeldOut(user, item, prediction + rng.normal(size=n) * sd, prediction), user_sd, item_sd, (-width, width)


def counts(seed=3):
    rng = np.random.default_rng(seed)
    return {"user_ratings": rng.integers(1, 300, N_USERS), "item_ratings": rng.integers(1, 300, N_ITEMS)}


def test_noise_terms_are_recovered():
    rows, user_sd, item_sd, _ = noisy()
    noise = fit_noise(rows, **counts())
    found = noise.pair_sd(rows.user_index, rows.item_index)
    truth = np.hypot(user_sd[rows.user_index], item_sd[rows.item_index])
    assert np.corrcoef(found, truth)[0, 1] > 0.95
    np.testing.assert_allclose(np.sqrt(np.mean(found**2)), np.sqrt(np.mean(truth**2)), rtol=0.05)


def test_few_residuals_shrink_to_the_mean():
    rows, *_ = noisy()
    few = fit_noise(rows.take(np.arange(300)), **counts())
    many = fit_noise(rows, **counts())
    assert few.user_sd.std() < 0.5 * many.user_sd.std()
    assert (few.user_sd > 0).all()


def test_training_residuals_sharpen_the_terms():
    held_out, user_sd, *_ = noisy(n=1500)
    seen, *_ = noisy(seed=1)
    seen = HeldOut(
        seen.user_index, seen.item_index, seen.prediction + 0.5 * (seen.rating - seen.prediction), seen.prediction
    )
    alone, both = fit_noise(held_out, **counts()), fit_noise(held_out, **counts(), seen=seen)
    assert np.corrcoef(both.user_sd, user_sd)[0, 1] > np.corrcoef(alone.user_sd, user_sd)[0, 1] + 0.1
    scale = np.mean(both.pair_sd(held_out.user_index, held_out.item_index) ** 2)
    assert scale == pytest.approx(np.mean(held_out.squared_residuals()), rel=0.1)


@pytest.mark.parametrize("tail", ["normal", "skewed"])
def test_intervals_cover_new_rows(tail):
    def rows(seed):
        found, user_sd, item_sd, _ = noisy(seed)
        if tail == "normal":
            return found
        sd = np.hypot(user_sd[found.user_index], item_sd[found.item_index])
        error = np.random.default_rng(seed).exponential(size=len(found)) - 1
        return HeldOut(found.user_index, found.item_index, found.prediction + sd * error, found.prediction)

    calibration = calibrate(rows(0), **counts(), rating_range=(-40.0, 40.0))
    quality = assess_uncertainty(calibration, rows(1))
    assert 0.88 < quality.coverage < 0.92
    for deciles in (quality.coverage_by_user_activity, quality.coverage_by_item_popularity):
        assert min(deciles) > 0.86
        assert max(deciles) < 0.94
    assert quality.crps < quality.crps_constant
    if tail == "normal":
        assert quality.nll < quality.nll_constant
        assert quality.sd_error_correlation > 0.25


def test_scores_are_those_of_the_normal_distribution():
    """CRPS of N(0, 1) at 0 is (2 φ(0) - 1/√π); NLL is log √(2π)."""
    one = np.zeros(1, int)
    rows = HeldOut(one, one, np.zeros(1), np.zeros(1))
    calibration = calibrate(noisy()[0], **counts(), rating_range=(-40.0, 40.0))
    sd = float(calibration.noise.pair_sd(one, one)[0])
    quality = assess_uncertainty(calibration, rows)
    assert quality.crps == pytest.approx(sd * (2 / np.sqrt(2 * np.pi) - 1 / np.sqrt(np.pi)), rel=1e-5)
    assert quality.nll == pytest.approx(np.log(sd) + 0.5 * np.log(2 * np.pi), rel=1e-5)
    assert quality.coverage_by_user_activity == (None,) * 10
    assert UncertaintyQuality.from_dict(quality.to_dict()) == quality
    assert not any("activity" in name for name in quality.metrics())


@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), constant=st.booleans())
def test_the_prediction_lies_within_its_interval(seed, n, constant):
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 5, n), rng.integers(0, 4, n)
    rating = np.full(n, 3.0) if constant else rng.integers(1, 6, n).astype(float)
    prediction = rating.copy() if constant else rng.uniform(1, 5, n)
    calibration = calibrate(
        HeldOut(user, item, rating, prediction), user_ratings=rng.integers(0, 9, 5), item_ratings=rng.integers(0, 9, 4),
        rating_range=(1.0, 5.0),
    )  # fmt: skip
    every = rng.uniform(1, 5, 20).astype(np.float32)
    lower, upper = calibration.bounds(np.arange(20) % 5, np.arange(20) % 4, every)
    assert ((lower <= every) & (every <= upper)).all()
    assert lower.min() >= 1
    assert upper.max() <= 5


def test_test_rows_are_judged_crosswise():
    """Each half by the other one: a calibration of the same rows would seem better than it is."""
    rows, *_ = noisy(n=1200)
    seen, *_ = noisy(seed=1, n=2000)
    calibration = calibrate(rows, **counts(), rating_range=(-40.0, 40.0), seen=seen)
    crosswise, itself = assess_crosswise(calibration, rows, seen), assess_uncertainty(calibration, rows)
    assert crosswise.nll > itself.nll
    assert 0.86 < crosswise.coverage < 0.94
    one = rows.take(np.arange(1))
    assert assess_crosswise(calibration, one, seen).coverage in (0.0, 1.0)


def test_other_users_and_items_get_the_mean_of_their_band():
    calibration = calibrate(noisy()[0], **counts(), rating_range=(-40.0, 40.0))
    busy = np.flatnonzero(calibration.user_ratings >= calibration.intervals.user_edges[-1])
    users, items = np.array([3, -1, -1, 0]), np.arange(N_ITEMS)
    now = np.array([5, 0, 10_000, 7])
    moved = calibration.over(users, items, user_ratings=now, item_ratings=calibration.item_ratings)
    np.testing.assert_array_equal(moved.noise.user_sd[[0, 3]], calibration.noise.user_sd[[3, 0]])
    mean = np.sqrt(np.mean(calibration.noise.user_sd[busy].astype(float) ** 2))
    assert moved.noise.user_sd[2] == pytest.approx(mean, rel=1e-6)
    assert np.isfinite(moved.noise.user_sd).all()
    np.testing.assert_array_equal(moved.user_ratings, now)
    np.testing.assert_array_equal(moved.noise.item_sd, calibration.noise.item_sd)


def test_predictions_of_a_training_that_diverged_count_as_the_middle():
    nothing = np.full((2, 1), np.nan, np.float32)
    model = FactorModel(nothing, nothing, *(np.zeros(2, np.float32),) * 2, 0.0, Link.IDENTITY, 1.0, 5.0)
    pairs = EncodedInteractions(np.array([0, 1]), np.array([1, 0]), np.array([2.0, 4.0]), np.zeros(2), 2, 2)
    np.testing.assert_array_equal(HeldOut.of(model, pairs).prediction, [3.0, 3.0])


def test_bands_hold_enough_rows():
    assert len(band_edges(np.arange(100), smallest=400)) == 0
    edges = band_edges(np.random.default_rng(0).integers(0, 1000, 4000), bands=5, smallest=400)
    assert len(edges) == 4


def test_calibration_survives_a_file(tmp_path):
    calibration = calibrate(noisy()[0], **counts(), rating_range=(-5.0, 5.0))
    calibration.save(tmp_path / "calibration.npz")
    loaded = Calibration.load(tmp_path / "calibration.npz")
    pairs = np.arange(50), np.arange(50) % 7, np.linspace(-2, 2, 50).astype(np.float32)
    for one, other in zip(calibration.bounds(*pairs), loaded.bounds(*pairs), strict=True):
        np.testing.assert_array_equal(one, other)
    assert loaded.fingerprint == calibration.fingerprint
    content = (tmp_path / "calibration.npz").read_bytes()
    changed = calibration.noise.user_sd[:1].tobytes()
    (tmp_path / "changed.npz").write_bytes(content.replace(changed, changed[::-1], 1))
    with pytest.raises(BadTable, match=r"found (no )?calibration"):  # the archive's own check sees it first
        Calibration.load(tmp_path / "changed.npz")
    (tmp_path / "bad.npz").write_text("nothing")
    with pytest.raises(BadTable, match="found no calibration"):
        Calibration.load(tmp_path / "bad.npz")


def test_no_held_out_ratings_are_refused():
    nothing = HeldOut(*(np.zeros(0, int) for _ in range(2)), *(np.zeros(0) for _ in range(2)))
    with pytest.raises(BadInput, match="found no held-out ratings"):
        calibrate(nothing, **counts(), rating_range=(1.0, 5.0))


def tastes(n=20_000, seed=0):
    """Ratings of a known model: users differ by 0.8, items by 0.5, the noise is 0.5. A fifth of each has no ratings."""
    rng = np.random.default_rng(seed)
    spread, sizes = (0.8, 0.5), (N_USERS, N_ITEMS)
    biases = [
        np.where(np.arange(size) < size * 4 // 5, rng.normal(0, sd, size), 0).astype(np.float32)
        for sd, size in zip(spread, sizes, strict=True)
    ]

    def rated(*index):
        rating = 3 + rng.normal(size=len(index[0])) * 0.5
        for sd, size, bias, rows in zip(spread, sizes, biases, index, strict=True):
            rating += np.where(rows < size * 4 // 5, bias[rows], rng.normal(0, sd, len(rows)))
        return EncodedInteractions(*index, rating.astype(np.float32), np.zeros(len(rating)), *sizes)

    rows = rated(rng.integers(0, N_USERS * 4 // 5, n), rng.integers(0, N_ITEMS * 4 // 5, n))
    empty = (np.zeros((size, 1), np.float32) for size in sizes)
    return FactorModel(*empty, *biases, 3.0, Link.IDENTITY, -40.0, 40.0), rows, rated


@pytest.mark.parametrize(
    ("users", "items"), [((160, 200), (0, 96)), ((0, 160), (96, 120)), ((160, 200), (96, 120)), ((0, 160), (0, 96))]
)
def test_intervals_of_users_and_items_without_ratings_are_as_wide_as_they_differ(users, items):
    model, rows, rated = tastes()
    held = np.arange(len(rows)) % 4 == 0
    calibration = calibrate_model(model, seen=rows.take(~held), held_out=rows.take(held), train=rows.take(~held))
    rng = np.random.default_rng(7)
    unseen = HeldOut.of(model, rated(rng.integers(*users, 4000), rng.integers(*items, 4000)))
    assert 0.85 < assess_uncertainty(calibration, unseen).coverage < 0.95


def test_later_users_without_ratings_are_as_uncertain_as_those_of_the_training():
    model, rows, _ = tastes()
    held = np.arange(len(rows)) % 4 == 0
    calibration = calibrate_model(model, seen=rows.take(~held), held_out=rows.take(held), train=rows.take(~held))
    moved = calibration.over(
        np.array([0, 199, -1, -1]), np.arange(N_ITEMS), user_ratings=np.array([90, 0, 0, 3]),
        item_ratings=calibration.item_ratings,
    )  # fmt: skip
    sd = moved.noise.user_sd
    np.testing.assert_array_equal(sd[:2], calibration.noise.user_sd[[0, 199]])
    assert sd[2] == pytest.approx(sd[1])
    assert sd[3] < 0.7 * sd[2]


def rated_once():
    """``tastes`` with one rating of a pair."""
    model, rows, _ = tastes()
    _, first = np.unique(rows.user_index * N_ITEMS + rows.item_index, return_index=True)
    return model, rows.take(np.sort(first))


def test_further_trainings_bring_their_held_out_ratings():
    model, rows = rated_once()
    part = np.arange(len(rows)) % 8
    given = {"seen": rows.take(part > 2), "train": rows}
    together = calibrate_model(model, held_out=rows.take(part < 2), **given)
    apart = calibrate_model(
        model, held_out=rows.take(part == 0), others=[(model, rows.take(part == 1))], **given
    )  # fmt: skip
    alone = calibrate_model(model, held_out=rows.take(part == 0), **given)
    assert apart.intervals.user_edges.tolist() == together.intervals.user_edges.tolist()
    different = [np.abs(each.noise.item_sd - together.noise.item_sd).max() for each in (apart, alone)]
    assert different[0] < 0.3 * different[1]


def test_noise_terms_do_not_see_the_ratings_that_further_trainings_hold_out():
    """The first training knows them, but intervals fitted to residuals that the noise terms saw are too narrow."""
    model, rows = rated_once()
    part = np.arange(len(rows)) % 8
    held, others = rows.take(part == 0), [(model, rows.take(part == 1))]
    seen, rest = (
        calibrate_model(model, seen=rows.take(part > least), held_out=held, train=rows, others=others)
        for least in (0, 1)
    )
    np.testing.assert_allclose(seen.noise.user_sd, rest.noise.user_sd, rtol=1e-2)
    np.testing.assert_array_equal(seen.intervals.lower[0], rest.intervals.lower[0])

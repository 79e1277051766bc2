"""No model depends on the scale of the ratings: the same opinions in other numbers give the same predictions."""

from dataclasses import replace

import numpy as np
import pytest

from recobatch.evaluation.evaluate import predict_rows
from recobatch.evaluation.rankings import EvaluationOptions, relevance_threshold
from recobatch.interactions import Split
from recobatch.interest import InterestOptions, train_interest
from recobatch.model_folder import ModelFolder
from recobatch.models import MODEL_NAMES, ModelOptions, load_model, to_factors
from recobatch.training import PRESETS, Recipe
from recobatch.training.fit import fitter
from recobatch.training.rating_scale import RatingScale
from tests.support.golden import notebook_split
from tests.support.scales import SCALES, explained, on_scale, split_on_scale, trained_error, training_inputs

pytestmark = pytest.mark.slow

TUNED = PRESETS["tuned"]


@pytest.fixture(scope="module")
def parts(low_rank):
    """Rounded to a tenth, with noise that no model explains."""
    noise = np.random.default_rng(2).normal(0, 0.3, len(low_rank))
    rating = np.clip(np.round(low_rank.rating + noise, 1), 1, 5).astype(np.float32)
    rating[:2] = 1, 5
    rows, later = replace(low_rank, rating=rating), np.arange(len(low_rank)) % 5 == 4
    return Split(rows.take(~later), rows.take(later))


def r2_by_model(parts, options, recipe):
    return {
        name: explained(trained_error(name, training_inputs(parts, options=options, recipe=recipe, seed=0))[0], parts)
        for name in MODEL_NAMES
    }


@pytest.fixture(scope="module")
def usual(parts):
    """R² of every model with ratings from 1 to 5, by preset."""
    return {preset: r2_by_model(parts, *setting) for preset, setting in SETTINGS.items()}


SMALL = {"n_factors": 2, "bayesian_factors": 2, "sweeps": 20}
SETTINGS = {
    "tuned": (TUNED.options.model_copy(update=SMALL), TUNED.recipe),
    "notebook": (ModelOptions(**SMALL), Recipe(epochs=40, learning_rate=0.01)),
}


@pytest.mark.long
@pytest.mark.parametrize("preset", SETTINGS)
@pytest.mark.parametrize("name", SCALES)
def test_errors_and_their_order_do_not_depend_on_the_scale(parts, usual, preset, name):
    found, expected = r2_by_model(split_on_scale(parts, SCALES[name]), *SETTINGS[preset]), usual[preset]
    assert max(expected.values()) > 0.8, "something can be learned"
    assert found == pytest.approx(expected, abs=0.01)
    assert sorted(found, key=found.get) == sorted(expected, key=expected.get)


@pytest.mark.parametrize("name", ["0 to 1", "1001 to 1005", "-10 to 10"])
def test_losses_are_in_rating_units(parts, name):
    factor, _ = scale = SCALES[name]
    recipe = Recipe(epochs=2, validation_fraction=0.1)
    usual, other = (
        trained_error("explicit_mf_bias", training_inputs(each, options=ModelOptions(), recipe=recipe, seed=0))[1]
        for each in (parts, split_on_scale(parts, scale))
    )
    for figure in ("loss", "val_loss", "val_mse", "val_se"):
        scaled = factor**2 * np.array(getattr(usual, figure))
        np.testing.assert_allclose(getattr(other, figure), scaled, rtol=1e-3)


@pytest.mark.long
@pytest.mark.parametrize("model", ["explicit_mf", "explicit_mf_bias"])
@pytest.mark.parametrize("name", ["0 to 1", "1001 to 1005"])
def test_the_keras_model_predicts_ratings_on_their_scale(parts, tmp_path, model, name):
    other = split_on_scale(parts, SCALES[name])
    inputs = training_inputs(other, options=TUNED.options, recipe=TUNED.recipe, seed=0)
    fitted = fitter(model)(model, inputs, ModelFolder(tmp_path), None)
    keras_model, test = load_model(tmp_path / "model.keras"), other.test
    low, high = inputs.rating_range
    predicted = keras_model.predict([test.user_index[:, None], test.item_index[:, None]], verbose=0)[:, 0]
    np.testing.assert_allclose(predict_rows(fitted.factors, test), np.clip(predicted, low, high), rtol=1e-6, atol=1e-4)
    assert (fitted.factors.min_rating, fitted.factors.max_rating) == (low, high)
    assert to_factors(keras_model, rating_range=(low, high)).fingerprint == fitted.factors.fingerprint


def test_nothing_is_converted_on_the_notebook_s_scale(parts, tmp_path):
    assert RatingScale(1, 5).is_identity
    assert RatingScale(1, 5).rows_to_unit(parts.train) is parts.train
    inputs = training_inputs(parts, options=ModelOptions(), recipe=Recipe(epochs=1), seed=0)
    fitter("explicit_mf")("explicit_mf", inputs, ModelFolder(tmp_path), None)
    assert [layer.name for layer in load_model(tmp_path / "model.keras").layers][-1] == "DotProduct"


def test_ratings_that_are_all_equal_are_predicted(parts):
    same = Split(*(replace(part, rating=np.full_like(part.rating, 7)) for part in (parts.train, parts.test)))
    for name in ("explicit_mf", "explicit_mf_bias"):
        inputs = training_inputs(same, options=TUNED.options, recipe=TUNED.recipe, seed=0)
        assert trained_error(name, inputs)[0] < 0.01


@pytest.mark.parametrize("name", ["0 to 1", "1001 to 1005", "0 to 1e6", "1e-6 to 5e-6", "100 to 100.4"])
def test_interest_does_not_depend_on_the_scale(parts, name):
    def trained(rows):
        low, high = float(rows.rating.min()), float(rows.rating.max())
        relevant = relevance_threshold(rows.rating, EvaluationOptions())
        options = InterestOptions(ease_rank=20, sweeps=2)
        return train_interest(rows, min_rating=low, max_rating=high, relevant=relevant, options=options)

    (model, report), (other, scaled) = trained(parts.train), trained(on_scale(parts.train, SCALES[name]))
    assert (scaled.chosen, scaled.rank_by) == (report.chosen, report.rank_by)
    assert scaled.rankings == pytest.approx(report.rankings, abs=0.01)
    np.testing.assert_allclose(other.factors.user_factors, model.factors.user_factors, atol=1e-3)


def tuned_r2(parts):
    """R² of the tuned models."""
    inputs = training_inputs(parts, options=TUNED.options, recipe=TUNED.recipe, seed=0)
    return {name: explained(trained_error(name, inputs)[0], parts) for name in ("explicit_mf", "explicit_mf_bias")}


@pytest.fixture(scope="module")
def movielens(ml100k_dir):
    """Its parts, and the R² of the tuned models."""
    parts = notebook_split(ml100k_dir)
    return parts, tuned_r2(parts)


@pytest.mark.long
@pytest.mark.parametrize("name", ["0 to 1", "1001 to 1005", "10 to 100", "-10 to 10"])
def test_the_tuned_models_of_movielens_do_not_depend_on_the_scale(movielens, name):
    parts, usual = movielens
    other = tuned_r2(split_on_scale(parts, SCALES[name]))
    assert other == pytest.approx(usual, abs=0.01)
    assert min(other.values()) > 0.35

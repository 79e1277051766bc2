import subprocess
import sys

import numpy as np
import pytest
import wasmtime

from recobatch.errors import BadSettings, BadTable
from recobatch.models import (
    KERAS_MODELS,
    REGISTRY,
    ModelOptions,
    build_model,
    diagram_svg,
    load_model,
    save_model,
    summary_text,
    to_factors,
)
from recobatch.models.diagram import Graphviz, graphviz

pytestmark = pytest.mark.slow


def small(name, **changes):
    sizes = {"n_users": 7, "n_items": 5, "min_rating": 1, "max_rating": 5, "options": ModelOptions(n_factors=3)}
    return build_model(name, **(sizes | {"seed": 1} | changes))


def every_pair(n_users, n_items):
    return np.repeat(np.arange(n_users), n_items), np.tile(np.arange(n_items), n_users)


def test_importing_names_and_options_imports_no_tensorflow():
    code = (
        "import recobatch.models, recobatch.training, sys; print({'keras', 'tensorflow', 'pandas'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize(
    ("name", "title", "parameters"),
    [("explicit_mf", "ExplicitMF", 105_000), ("explicit_mf_bias", "ExplicitMatrixFactorisationBias", 107_625)],
)
def test_as_large_as_in_the_notebook(name, title, parameters):
    model = small(name, n_users=np.int64(943), n_items=np.int64(1682), options=ModelOptions())
    assert (model.name, model.count_params()) == (title, parameters)
    assert REGISTRY[name].title == title
    assert [tensor.name for tensor in model.inputs] == ["User", "Item"]


def test_layer_names_of_the_notebook():
    plain = {"Item", "ItemEmbedding", "FlattenItemE", "User", "UserEmbedding", "FlattenUserE", "DotProduct"}
    biased = plain | {
        "ItemBias",
        "UserBias",
        "FlattenItemBiasE",
        "FlattenUserBiasE",
        "AddBias",
        "Sigmoid",
        "RatingRange",
    }
    assert {layer.name for layer in small("explicit_mf").layers} == plain
    assert {layer.name for layer in small("explicit_mf_bias").layers} == biased


@pytest.mark.parametrize("name", KERAS_MODELS)
@pytest.mark.parametrize("scale", [None, 0.3])
def test_factors_predict_what_the_model_predicts(name, scale):
    model = small(name, n_users=30, n_items=20, options=ModelOptions(n_factors=4, initial_scale=scale))
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(size=weights.shape) for weights in model.get_weights()])
    users, items = every_pair(30, 20)
    expected = model.predict([users[:, None], items[:, None]], verbose=0)[:, 0]
    np.testing.assert_allclose(to_factors(model).predict_pairs(users, items), expected, atol=1e-5)
    clipped = to_factors(model, rating_range=(1, 5)).predict_pairs(users, items)
    np.testing.assert_allclose(clipped, np.clip(expected, 1, 5), atol=1e-5)
    assert clipped.min() >= 1


@pytest.mark.parametrize("name", KERAS_MODELS)
def test_a_saved_model_loads_in_safe_mode(name, tmp_path):
    model = small(name)
    save_model(model, tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert to_factors(loaded).fingerprint == to_factors(model).fingerprint


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "model.keras").write_text("nothing")
    with pytest.raises(BadTable, match=r"model\.keras: found no model that loads .*train again"):
        load_model(tmp_path / "model.keras")


@pytest.mark.parametrize("name", KERAS_MODELS)
def test_the_seed_decides_the_start(name):
    one, same, other = (to_factors(small(name, seed=seed)) for seed in (1, 1, 2))
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert not np.array_equal(one.user_factors[:5], one.item_factors)


def test_a_scale_sets_the_spread_and_starts_in_the_middle():
    options = ModelOptions(n_factors=50, initial_scale=0.01)
    factors = to_factors(small("explicit_mf", n_users=500, n_items=500, options=options))
    assert factors.user_factors.std() == pytest.approx(0.01, rel=0.05)
    assert (factors.user_factors @ factors.item_factors.T).mean() == pytest.approx(3, abs=0.02)
    biased = to_factors(small("explicit_mf_bias", options=options))
    assert not biased.user_bias.any()
    assert abs(biased.user_factors.mean()) < 0.01


def test_an_unknown_model_is_named():
    known = "explicit_mf, explicit_mf_bias, bayesian_mf"
    with pytest.raises(BadSettings, match=f"model: found 'svd', expected one of {known}, or"):
        small("svd")


def test_summary_and_diagram_tell_layers_and_shapes():
    model = small("explicit_mf_bias")
    assert "ItemEmbedding" in summary_text(model)
    assert max(map(len, summary_text(model).splitlines())) <= 120
    picture = diagram_svg(model)
    assert picture.lstrip().startswith("<?xml")
    assert all(layer.name in picture for layer in model.layers)
    assert "(n, 3)" in picture
    assert "21 parameters" in picture
    assert picture == diagram_svg(small("explicit_mf_bias"))


def test_a_diagram_needs_no_home(monkeypatch):
    monkeypatch.setenv("HOME", "/dev/null/nobody")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(wasmtime.WasmtimeError):
        wasmtime.Config().cache = True
    assert Graphviz().render("digraph { a -> b }") == graphviz().render("digraph { a -> b }")

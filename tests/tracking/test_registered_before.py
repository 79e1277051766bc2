"""A model that recobatch 0.1.0 registered still loads: module paths and file formats are those of released models.

``tests/data/registered-0.1.0`` is the folder of such a model as MLflow stored it; only ``artifact_path`` in its MLmodel
file was changed, to a neutral one.
"""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model

from recobatch.rated import RatedPairs
from tests.support.served_copy import predict_without_recobatch

REGISTERED = Path(__file__).parents[1] / "data" / "registered-0.1.0"
PAIRS = {"user_id": ["u01", "u20", "u07", "u01"], "item_id": [115, 101, 108, 101]}
USERS, ITEMS = [0, 19, 6, 0], [14, 0, 7, 0]


@pytest.fixture
def folder(tmp_path):
    """A copy: loading a model leaves compiled modules in its folder."""
    return Path(shutil.copytree(REGISTERED, tmp_path / "model"))


@pytest.fixture(scope="module")
def ratings():
    """From the stored arrays alone (Koren et al. 2009, eq. 4, through a sigmoid scaled to the ratings' range)."""
    with np.load(REGISTERED / "served" / "factors.npz") as stored:
        assert stored["link"] == "scaled_sigmoid"
        low, high = stored["rating_range"]
        score = (stored["user_factors"][USERS].astype(float) * stored["item_factors"][ITEMS]).sum(axis=1)
        score += stored["user_bias"][USERS] + stored["item_bias"][ITEMS] + stored["global_bias"]
        return low + (high - low) / (1 + np.exp(-score))


@pytest.mark.process
def test_the_installed_recobatch_serves_it(folder, ratings):
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(str(folder))
    np.testing.assert_allclose(model.predict(pd.DataFrame(PAIRS)), ratings, rtol=1e-6)


@pytest.mark.process
def test_the_copy_that_travels_with_it_serves_it(folder, ratings):
    np.testing.assert_allclose(predict_without_recobatch(str(folder), PAIRS), ratings, rtol=1e-6)


@pytest.mark.slow  # TensorFlow is loaded
def test_its_keras_flavor_loads_in_safe_mode(folder, ratings):
    import mlflow.keras

    model = mlflow.keras.load_model(str(folder), load_model_kwargs={"safe_mode": True})
    inputs = {"User": np.array(USERS), "Item": np.array(ITEMS)}
    named = [inputs[tensor.name] for tensor in model.inputs]
    np.testing.assert_allclose(model.predict(named, verbose=0).ravel(), ratings, rtol=1e-5)


def test_every_file_has_the_digest_of_its_registration():
    sums = Model.load(str(REGISTERED / "MLmodel")).metadata["sha256"]
    for name, expected in sums.items():
        path = REGISTERED / ("data" if name.endswith(".keras") else "served") / name
        assert hashlib.sha256(path.read_bytes()).hexdigest() == expected, name
    assert len(sums) == 5


def test_the_pairs_rated_at_its_training_load():
    rated = RatedPairs.load(REGISTERED / "served" / "rated.npz")
    assert rated.mask(slice(0, 20)).sum() == 180

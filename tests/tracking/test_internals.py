"""Private parts of MLflow are as they were when they were checked."""

import pytest

from recobatch.tracking.internals import CHECKED_VERSION, INTERNALS
from tests.support.internals import minor, parameters, private_imports
from tests.support.paths import REPO

pytestmark = pytest.mark.slow


@pytest.mark.slow  # imports a server, and only another version changes it
@pytest.mark.parametrize("name", INTERNALS)
def test_an_internal_has_not_changed(name):
    assert parameters(name) == INTERNALS[name]


def test_the_version_is_the_one_they_were_checked_on():
    found = minor("mlflow")
    assert found == CHECKED_VERSION, "check every name in recobatch.tracking.internals, then raise CHECKED_VERSION"


def test_none_is_missing_from_the_list():
    assert set(private_imports(REPO / "recobatch", "mlflow")) <= set(INTERNALS)


def test_the_metrics_of_a_run_still_come_with_their_steps():
    from mlflow.entities import Metric, RunData

    metric = Metric("loss", 0.5, 7, 3)
    assert list(RunData(metrics=[metric])._metric_objs) == [metric]

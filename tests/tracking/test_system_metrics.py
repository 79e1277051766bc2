"""The load of the machine is logged with a run if that is wanted, through the same records as all else."""

import threading

import pytest

from recobatch.tracking import Tracker, TrackingOptions
from recobatch.tracking.system_metrics import SystemMetrics
from tests.support.dataset import DATASET


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [None, 3600])
def test_the_load_of_the_machine_is_logged_if_wanted(root, client, model_files, seconds):
    tracker = Tracker(TrackingOptions(system_metrics_seconds=seconds), root)
    run = tracker.start_run(batch_id="b1", model_name="mean", params={}, dataset=DATASET)
    run.log_metrics({"test_mse": 0.9})
    run.log_model(model_files)
    run.finish()
    load = {name for name in client.get_run(run.run_id).data.metrics if name.startswith("system/")}
    if seconds is None:
        assert load == set()
    else:  # the first sample is taken at once
        assert {"system/cpu_utilization_percentage", "system/system_memory_usage_percentage"} <= load
    (model,) = client.search_logged_models([client.get_experiment_by_name("recobatch").experiment_id])
    assert {metric.key for metric in model.metrics} == {"test_mse"}


def test_samples_are_numbered_until_the_end():
    steps, enough = [], threading.Event()

    def log(values, step):
        assert all(isinstance(value, int | float) for value in values.values())
        steps.append(step)
        if step == 2:
            enough.set()

    sampling = SystemMetrics(0.001, log)
    assert enough.wait(60)
    sampling.stop()
    taken = len(steps)
    assert steps == list(range(taken))
    assert not [thread for thread in threading.enumerate() if thread.name == "system-metrics"]

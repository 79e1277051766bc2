"""The log of a batch's stages."""

from prefect.utilities.collections import visit_collection

from flows.job import open_services
from flows.settings.load import load_settings


def test_prefect_does_not_walk_what_tasks_side_by_side_change(tmp_path, monkeypatch):
    """It walks the parameters of every task, and a dictionary that grows meanwhile ends the run."""
    monkeypatch.chdir(tmp_path)
    job = open_services(load_settings({}, environment={})).begin("batch")
    job.stages._seconds["train"] = seconds = 12.5
    job.stages.note_reused(reused := "split of a batch")
    seen = []
    visit_collection(job, visit_fn=lambda each: seen.append(each) or each, return_data=False)
    assert tmp_path in seen  # it does walk the job
    assert not [each for each in seen if each in (seconds, reused)]
    assert job.stages.batch_id == "batch"

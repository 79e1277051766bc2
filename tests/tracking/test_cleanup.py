"""Artifacts of published runs are found with their sizes and removed; params, metrics and an alias' version stay."""

from pathlib import Path

import pytest

from recobatch.tracking import TrackingOptions
from recobatch.tracking.cleanup import ArtifactCleanup, _size
from tests.support.dataset import DATASET


@pytest.fixture
def publish(tracker, model_files):
    """Track a run that registers its model, as of a batch that publishes unless it is told otherwise."""

    def publish(batch_id, *, alias=None, published=True):
        run = tracker.start_run(batch_id=batch_id, model_name="m", params={"k": 1}, dataset=DATASET)
        run.log_metrics({"test_mse": 0.5})
        run.log_model(model_files)
        version = tracker.register(run, description="", tags={"batch_id": batch_id})
        if alias:
            tracker.set_alias(alias, version)
        if published:
            run.set_tags({"table_version": batch_id})
        run.finish()
        return run.run_id

    return publish


@pytest.fixture
def cleanup(root):
    return ArtifactCleanup(TrackingOptions(), root)


def bytes_below(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_runs_that_published_are_found_the_newest_first(publish, cleanup, root):
    first, second = publish("b1"), publish("b2", alias="champion")
    publish("b3", published=False)
    newest, oldest = cleanup.stored_runs()
    assert [newest.run.run_id, oldest.run.run_id] == [second, first]
    assert [newest.aliases, oldest.aliases] == [("champion",), ()]
    assert 0 < newest.bytes + oldest.bytes < bytes_below(root / "mlruns")  # of three runs
    assert all(root.resolve().as_uri() in location for location in newest.locations)


def test_removal_leaves_what_is_compared(publish, cleanup, client, root):
    gone, kept = publish("b1"), publish("b2")
    before = bytes_below(root / "mlruns")
    newest, oldest = cleanup.stored_runs()
    cleanup.remove(oldest)
    assert bytes_below(root / "mlruns") == before - oldest.bytes == newest.bytes
    assert [stored.run.run_id for stored in cleanup.stored_runs()] == [kept]
    assert [version.run_id for version in client.search_model_versions("name = 'recobatch'")] == [kept]
    data = client.get_run(gone).data
    assert (data.params["k"], data.metrics["test_mse"]) == ("1", 0.5)


def test_what_an_alias_points_at_is_not_removed(publish, cleanup, client, root):
    publish("b1", alias="champion")
    before = bytes_below(root / "mlruns")
    [stored] = cleanup.stored_runs()
    with pytest.raises(ValueError, match="champion"):
        cleanup.remove(stored)
    assert bytes_below(root / "mlruns") == before
    assert client.get_model_version_by_alias("recobatch", "champion").run_id == stored.run.run_id


def test_a_run_whose_folder_is_gone_already_has_no_size_and_can_be_removed(publish, cleanup, root):
    publish("b1")
    for folder in Path(root, "mlruns").iterdir():
        folder.rename(root / "elsewhere")
    [stored] = cleanup.stored_runs()
    assert stored.bytes == 0
    cleanup.remove(stored)
    assert list(cleanup.stored_runs()) == []


def test_artifacts_elsewhere_have_no_size():
    assert _size("s3://bucket/mlruns/1") == 0

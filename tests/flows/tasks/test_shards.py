"""How shards become tasks, and what a worker has to be before it computes one."""

import platform
from dataclasses import replace
from types import SimpleNamespace

import pytest

from flows.settings.load import load_settings
from flows.tasks.engines import _check_workers, lost_workers_explained
from flows.tasks.same_build import Build, Expected
from flows.tasks.shards import MAX_TASKS, grouped
from recobatch import __version__
from recobatch.errors import RecobatchError

SETTINGS = load_settings({"score": {"rows_per_shard": 1000}}, environment={})
PYTHON = platform.python_version()


@pytest.mark.parametrize("total", [1, 7, 2000, 2001, 4000, 300_001])
def test_a_run_makes_some_two_thousand_tasks_at_most(total):
    groups = grouped(range(total), total)
    assert [shard for group in groups for shard in group] == list(range(total))
    assert len(groups) <= MAX_TASKS
    assert total > MAX_TASKS or len(groups) == total


def test_a_process_of_the_same_build_and_settings_may_compute(monkeypatch):
    monkeypatch.setenv("RECOBATCH_SCORE__ROWS_PER_SHARD", "1000")
    monkeypatch.setenv("RECOBATCH_SCORE__THREADS", "7")
    monkeypatch.setenv("RECOBATCH_TABLE__PATH", "elsewhere")
    Expected.of(SETTINGS).check()


@pytest.mark.parametrize("name", ["python", "recobatch", "numpy", "pyarrow"])
def test_another_build_is_refused(name):
    expected = Expected(replace(Build.here(), **{name: "0.0"}), {})
    with pytest.raises(
        RecobatchError, match=rf"^found {name} \S.*, expected 0\.0 as the run has; start it from the run"
    ):
        expected.check()


def test_another_setting_is_refused(monkeypatch):
    monkeypatch.setenv("RECOBATCH_SCORE__ROWS_PER_SHARD", "999")
    with pytest.raises(RecobatchError, match=r"^found score\.rows_per_shard=999 in its environment, expected 1000 as"):
        Expected.of(SETTINGS).check()


def client_of(**worker):
    facts = {"host": {"python": f"{PYTHON}.final.0"}, "packages": {"recobatch": __version__}} | worker
    return SimpleNamespace(
        wait_for_workers=lambda n, timeout: None, get_versions=lambda packages: {"workers": {"tcp://1.2.3.4:5": facts}}
    )


def test_workers_are_asked_before_anything_is_sent_to_them():
    _check_workers(client_of(), "tcp://s:1")
    other = {"host": {"python": "3.9.1.final.0"}}
    with pytest.raises(
        RecobatchError, match=r"found Python 3\.9 on the worker at tcp://1\.2\.3\.4:5, expected 3\.\d+ as"
    ):
        _check_workers(client_of(**other), "tcp://s:1")
    with pytest.raises(RecobatchError, match=r"found recobatch missing on the worker at .* start every worker from"):
        _check_workers(client_of(packages={"recobatch": None}), "tcp://s:1")


def test_a_scheduler_without_workers_is_named():
    def wait_for_workers(n, timeout):
        raise TimeoutError

    with pytest.raises(
        RecobatchError, match=r"found no worker at tcp://s:1 for 60 seconds, expected one; start 'dask wo"
    ):
        _check_workers(SimpleNamespace(wait_for_workers=wait_for_workers), "tcp://s:1")


def test_work_that_dask_has_given_up_is_told_in_one_line():
    class KilledWorker(Exception):
        """As Dask's own."""

    with (
        pytest.raises(RecobatchError, match=r"several workers in turn died .* then run again: it resumes"),
        lost_workers_explained(),
    ):
        raise KilledWorker
    with pytest.raises(KeyError), lost_workers_explained():
        raise KeyError

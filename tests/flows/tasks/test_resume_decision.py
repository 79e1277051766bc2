"""Which batch a run makes: the unfinished one of the same inputs whose runs can be gone on with, else a new one."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.tasks import resume
from recobatch.table import Unfinished


class Run:
    def __init__(self):
        self.status = None

    def finish(self, status):
        self.status = status


class Services(SimpleNamespace):
    """Says what a run begins, and what it did with the table."""

    def __init__(self, *left, runs=None, fresh=False):
        self.cleaned, self.fresh, self.settings = False, fresh, None
        self.table = SimpleNamespace(unfinished=lambda: left, clean=self.clean)
        self.tracker = SimpleNamespace(resume_run=lambda journal, *, model_name, model: (runs or {}).get(journal))

    def clean(self):
        self.cleaned = True

    def begin(self, batch_id=None, resumed=None):
        return SimpleNamespace(batch_id=batch_id, resumed=resumed, stages=SimpleNamespace(log=lambda *_: None))


def unfinished(version, *, inputs="same", shaped_by="key"):
    return Unfinished(Path(version), version, shaped_by, {"inputs": inputs}, finished=2)


@pytest.mark.parametrize(
    ("left", "resumed"),
    [
        ([], None),
        ([unfinished("v1", inputs="others")], None),
        ([unfinished("v1", inputs="others"), unfinished("v2")], "v2"),
        ([unfinished("v1"), unfinished("v2")], "v2"),
        ([unfinished("v1")], None),
        ([Unfinished(Path("v2"), "v2", "key", {}, finished=0)], None),
    ],
)
def test_a_batch_of_the_same_inputs_whose_runs_are_there_is_resumed(monkeypatch, left, resumed):
    runs = {"v2": {"m": Run()}}
    by_notes = {id(each.notes): runs.get(each.version, {}) for each in left}
    monkeypatch.setattr(resume, "find_runs", lambda services, ratings, parts, noted: by_notes[id(noted)])
    services = Services(*left)
    job = resume.begin_batch(services, "same", ratings=None, parts=None)
    assert job.batch_id == resumed
    assert job.resumed == (runs["v2"] if resumed else None)
    assert services.cleaned == (resumed is None)  # its files name runs that are gone


def test_all_runs_are_resumed_or_none():
    noted = {name: {"factors": "f", "journal": f"1-{name}"} for name in ("one", "two")}
    models = {"one": None, "two": None}
    whole = {"1-one": Run(), "1-two": Run()}
    assert resume._resume(Services(runs=whole), noted, models) == {"one": whole["1-one"], "two": whole["1-two"]}
    assert [run.status for run in whole.values()] == [None, None]
    part = {"1-one": Run()}
    assert resume._resume(Services(runs=part), noted, models) == {}
    assert part["1-one"].status == "KILLED"


@pytest.mark.parametrize(("fresh", "key", "resumed"), [(False, "key", "v1"), (True, "key", None), (False, "new", None)])
def test_a_scoring_of_the_same_predictions_is_resumed_unless_all_is_to_be_fresh(monkeypatch, fresh, key, resumed):
    monkeypatch.setattr(resume, "predictions_fingerprint", lambda settings, models: key)
    services = Services(unfinished("v1"), unfinished("v0", shaped_by="old"), fresh=fresh)
    services.stages = SimpleNamespace(timed=lambda name: nullcontext())
    assert resume.begin_scoring(services, {}).batch_id == resumed

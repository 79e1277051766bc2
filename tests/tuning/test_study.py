"""A study on disk: what a killed process leaves, and what the next one makes of it."""

import os
import signal
import subprocess
import sys

import pytest

from recobatch.errors import BadSettings, RecobatchError
from recobatch.models.search_space import Choices, Range, SearchSpace
from recobatch.tuning import Budget
from recobatch.tuning.study import TimeUp, open_study

SPACE = SearchSpace(
    {"train.decay": Range(0.0, 1.0), "model.n_factors": Range(1, 9, whole=True), "train.optimizer": Choices(("a", "b"))}
)


def opened(root, *, space=SPACE, shaped_by="ratings", **options):
    return open_study(root, "mine", space=space, shaped_by=shaped_by, seed=3, **options)


def parabola(suggestion, report):
    report(1, 1.0)
    return (suggestion.values["train.decay"] - 0.3) ** 2, {"best_epoch": 7}


def test_trials_are_kept_and_counted_by_the_next_run(tmp_path):
    with opened(tmp_path) as study:
        study.optimize(parabola, Budget(trials=4), workers=1)
        before = study.trials()
    with opened(tmp_path) as study:
        assert study.trials() == before
        study.optimize(parabola, Budget(trials=6), workers=2)
        after = study.trials()
    assert after[:4] == before
    assert [trial.number for trial in after] == list(range(6))
    assert {trial.state for trial in after} == {"finished"}
    assert {trial.best_epoch for trial in after} == {7}
    for trial in after:
        assert 0 <= trial.values["train.decay"] <= 1
        assert trial.values["model.n_factors"] in range(1, 10)
        assert trial.values["train.optimizer"] in ("a", "b")
        assert trial.validation_mse == (trial.values["train.decay"] - 0.3) ** 2


def test_the_first_trial_has_the_values_of_the_space(tmp_path):
    space = SearchSpace({"train.decay": Range(0.0, 1.0)}, first={"train.decay": 0.25})
    for trials in (1, 3):
        with opened(tmp_path, space=space) as study:
            study.optimize(parabola, Budget(trials=trials), workers=1)
            found = [trial.values["train.decay"] for trial in study.trials()]
    assert found[0] == 0.25
    assert len(set(found)) == 3


@pytest.mark.slow
def test_proposals_approach_the_minimum(tmp_path):
    with opened(tmp_path) as study:
        study.optimize(parabola, Budget(trials=40), workers=1)
        assert min(trial.validation_mse for trial in study.trials()) < 1e-3
        shares = study.importance()
    assert next(iter(shares)) == "train.decay"
    assert sum(shares.values()) == pytest.approx(1)


def test_importance_of_few_trials_is_not_given(tmp_path):
    with opened(tmp_path) as study:
        study.optimize(parabola, Budget(trials=5), workers=1)
        assert study.importance() == {}


def test_a_trial_that_is_worse_than_the_others_is_stopped(tmp_path):
    def objective(suggestion, report):
        for epoch in range(1, 21):
            report(epoch, 1.0 if suggestion.number < 9 else 2.0)
        return 1.0, {}

    with opened(tmp_path) as study:
        study.optimize(objective, Budget(trials=10), workers=1)
        last = study.trials()[-1]
    assert last.state == "pruned"
    assert last.validation_mse is None
    assert 12 <= len(last.val_loss) < 20  # what begins slowly is given time


def test_trials_that_diverge_or_run_out_of_time_do_not_end_the_search(tmp_path):
    def objective(suggestion, report):
        if suggestion.number == 0:
            raise RecobatchError("diverged")
        if suggestion.number == 1:
            raise TimeUp("over")
        return parabola(suggestion, report)

    with opened(tmp_path) as study:
        study.optimize(objective, Budget(trials=3), workers=1)
        assert [trial.state for trial in study.trials()] == ["failed", "pruned", "finished"]


@pytest.mark.process
def test_a_killed_search_keeps_its_finished_trials(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from recobatch.models.search_space import *; "
        "from recobatch.tuning import Budget; from recobatch.tuning.study import open_study\n"
        "def objective(suggestion, report):\n"
        "    report(1, 1.0)\n"
        "    if suggestion.number == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return 0.5, {}\n"
        "space = SearchSpace({'train.decay': Range(0.0, 1.0)})\n"
        "with open_study(Path(sys.argv[1]), 'mine', space=space, shaped_by='ratings', seed=3) as study:\n"
        "    study.optimize(objective, Budget(trials=10), workers=1)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, tmp_path], check=False, env=os.environ)
    assert ended.returncode == -signal.SIGKILL
    journal = tmp_path / "mine" / "journal.log"
    journal.write_bytes(journal.read_bytes() + b'{"op_code": 6, "torn')  # as a power cut may leave it
    with opened(tmp_path, space=SearchSpace({"train.decay": Range(0.0, 1.0)})) as study:
        assert [trial.state for trial in study.trials()] == ["finished"] * 3 + ["failed"]
        study.optimize(parabola, Budget(trials=5), workers=1)
        assert [trial.state for trial in study.trials()].count("finished") == 5


def test_a_study_of_other_ratings_is_refused_and_can_be_begun_again(tmp_path):
    with opened(tmp_path) as study:
        study.optimize(parabola, Budget(trials=2), workers=1)
        study.note("what", [1])
    with (
        pytest.raises(BadSettings, match="--study: found the study mine of other ratings"),
        opened(tmp_path, shaped_by="others"),
    ):
        pass
    with opened(tmp_path, shaped_by="others", fresh=True) as study:
        assert study.trials() == []
        assert "what" not in study.facts


def test_an_unreadable_journal_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "journal.log").write_text("no journal\nat all\n")
    with pytest.raises(BadSettings, match="found no readable journal"), opened(tmp_path):
        pass


def test_a_study_is_open_once(tmp_path):
    with (
        opened(tmp_path),
        pytest.raises(RecobatchError, match="found the study open in another process"),
        opened(tmp_path),
    ):
        pass

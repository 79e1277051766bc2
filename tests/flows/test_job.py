"""The order in which a run takes and frees what it holds."""

import pytest

from recobatch.errors import TableBusy
from recobatch.storage.workspace import Workspace
from recobatch.table import open_table

QUICK = ("--set", "train.epochs=1", "--set", "model.n_factors=4", "--set", "gate.baseline=none")

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("one_model")]


@pytest.mark.parametrize("command", ["run", "score"])
def test_the_table_is_held_until_the_run_is_closed(recobatch, ratings_csv, at_project, monkeypatch, command):
    """A run whose MLflow runs are still open must not be resumed by another."""
    assert recobatch("train", ratings_csv, *QUICK).code == 0
    busy, prune = [], Workspace.prune

    def observed(workspace, **options):
        try:
            with open_table(at_project / f"held-{command}").lock(holder="another"):
                busy.append(False)
        except TableBusy:
            busy.append(True)
        prune(workspace, **options)

    monkeypatch.setattr(Workspace, "prune", observed)
    arguments = (ratings_csv, *QUICK) if command == "run" else ()
    outcome = recobatch(command, *arguments, "--table", f"held-{command}")
    assert outcome.code == 0, outcome.err
    assert busy == [True]

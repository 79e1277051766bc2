"""Find the run of a process that was killed, for the next one to resume."""

from pathlib import Path

from recobatch.tracking.connection import Connection
from recobatch.tracking.delivery import JOURNAL_TAG
from recobatch.tracking.outbox import OUTBOX, Journal, RunState


def find_journal(
    connection: Connection, root: Path, name: str, label: str, *, needs_model: bool = True
) -> Journal | None:
    """A journal in which a run can be resumed: its own where it still exists here, else a new one.

    Args:
        connection: Where a run is looked up whose journal was delivered.
        root: The project root.
        name: Of the run's first journal.
        label: Part of the name of a new one.
        needs_model: Whether the run logs a model.

    Returns:
        None if the run is unknown, the server is unreachable, or the run's model never arrived.
    """
    folder = root / OUTBOX / Path(name).name
    if folder.is_dir():
        return Journal.reopen(folder)
    state = _look_up(connection, name, needs_model) if connection.is_up or connection.open() else None
    return None if state is None else Journal.create(root / OUTBOX, label, state)


def _look_up(connection: Connection, name: str, needs_model: bool) -> RunState | None:
    from mlflow.exceptions import MlflowException

    client = connection.client
    try:
        found = client.search_runs([connection.experiment_id], f"tags.`{JOURNAL_TAG}` = '{name}'", max_results=1)
        run_id = found[0].info.run_id
        if not needs_model:
            return RunState(run_id=run_id)
        outputs = client.get_run(run_id).outputs
        return RunState(run_id=run_id, model_id=outputs.model_outputs[-1].model_id)
    except (MlflowException, IndexError, AttributeError):
        return None

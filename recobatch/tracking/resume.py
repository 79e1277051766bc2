"""Finding the run of a process that died, so that the next one goes on with it."""

from pathlib import Path

from recobatch.tracking.connection import Connection
from recobatch.tracking.delivery import SPOOL_TAG
from recobatch.tracking.events import RunState
from recobatch.tracking.spool import SPOOL, RunSpool


def find_journal(connection: Connection, root: Path, journal: str, label: str) -> RunSpool | None:
    """A journal in which a run can be gone on with: its own where it still lies here, else a new one.

    Args:
        connection: Where to ask for a run whose journal was delivered.
        root: The project root.
        journal: Name of the run's first journal.
        label: What to call a new one.

    Returns:
        None if nobody knows the run any more, the server is away, or its model never arrived.
    """
    folder = root / SPOOL / Path(journal).name
    if folder.is_dir():
        return RunSpool.reopen(folder)
    state = _ask(connection, journal) if connection.is_up or connection.open() else None
    if state is None:
        return None
    spool = RunSpool.create(root, label)
    spool.acknowledge(0, state)
    return spool


def _ask(connection: Connection, journal: str) -> RunState | None:
    from mlflow.exceptions import MlflowException

    client = connection.client
    try:
        found = client.search_runs([connection.experiment_id], f"tags.`{SPOOL_TAG}` = '{journal}'", max_results=1)
        run_id = found[0].info.run_id
        outputs = client.get_run(run_id).outputs
        return RunState(run_id=run_id, model_id=outputs.model_outputs[-1].model_id)
    except (MlflowException, IndexError, AttributeError):
        return None

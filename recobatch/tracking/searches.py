"""The runs of a search for settings: one for the search, and one below it for each trial that finished."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from recobatch.tracking.connection import Connection
from recobatch.tracking.options import DatasetInfo
from recobatch.tracking.outbox import Journal, Record
from recobatch.tracking.params import flatten_params
from recobatch.tracking.run import TrackedRun
from recobatch.tracking.sender import Sender

SEARCH_TAG = "study"
"""Names the study of a search and of its trials. They have no ``batch_id``: they belong to no batch."""


class SearchRuns:
    """Writes the runs of one search; see ``Tracker.searches``."""

    def __init__(self, connection: Connection, sender: Sender, outbox: Path, *, user: str) -> None:
        self._connection, self._sender, self._outbox = connection, sender, outbox
        self._source = {"mlflow.user": user, "mlflow.source.name": "recobatch", "mlflow.source.type": "JOB"}
        self._trials: list[TrackedRun] = []

    def start(
        self, studies: Mapping[str, str], *, params: Mapping[str, object], dataset: DatasetInfo
    ) -> TrackedRun:  # fmt: skip
        """Begin the run of a search.

        Args:
            studies: Name of a model → name of its study.
            params: The settings that every trial shares, nested as the settings are.
            dataset: What the trials are trained on.
        """
        models, names = ", ".join(studies), ", ".join(studies.values())
        label = next(iter(studies)) if len(studies) == 1 else "models"
        run = TrackedRun(self._connection, self._sender, models, Journal.create(self._outbox, f"search_{label}"))
        tags = {SEARCH_TAG: names, "model": models, **self._source}
        run.post("start", {"name": f"tune {models}" + (f" · {names}" if len(studies) == 1 else ""), "tags": tags})
        run.post("params", flatten_params({**params, "dataset": {"fingerprint": dataset.fingerprint}}))
        run.post("dataset", asdict(dataset))
        return run

    def log_trial(
        self, search: TrackedRun, *, name: str, model: str, study: str, params: Mapping[str, object],
        metrics: Mapping[str, float], val_loss: Sequence[float], seconds: float,
    ) -> None:  # fmt: skip
        """Write the whole run of a finished trial; returns at once, before anything is sent.

        Args:
            search: The run of the search.
            name: Of the trial.
            model: Name of the model.
            study: Name of the study.
            params: The trial's settings.
            metrics: Figures of the whole trial.
            val_loss: By epoch, from 1.
            seconds: How long it took; the run began so long ago.
        """
        # Journals are delivered by name: within a millisecond, "search" comes before "trial" too.
        journal = Journal.create(self._outbox, f"trial_{model}")
        ended = time.time_ns() // 1_000_000
        tags = {SEARCH_TAG: study, "model": model, **self._source}
        start = {"name": name, "tags": tags, "parent": search.journal}
        curve = [{"step": number + 1, "values": {"val_loss": loss}} for number, loss in enumerate(val_loss)]
        records = [
            Record("start", start, ended - round(1000 * seconds)),
            Record("params", flatten_params(params), ended),
            *(Record("metrics", point, ended) for point in curve),
            Record("metrics", {"step": len(curve), "values": dict(metrics)}, ended),
            Record("finish", {"status": "FINISHED"}, ended),
        ]
        for record in records:
            journal.append(record)
        run = TrackedRun(self._connection, self._sender, f"trial of {model}", journal)
        self._trials.append(run)
        self._sender.submit(journal)

    def flush(self, search: TrackedRun) -> None:
        """Wait, within bounds, until the trials have arrived below their search; the rest is kept on disk."""
        search.flush()
        for run in self._trials:
            run.flush()
        for run in self._trials:
            run.close()
        self._trials.clear()

"""Progress artifacts of training and scoring on the run's page in Prefect."""

from __future__ import annotations

import logging
import re
from contextvars import copy_context
from dataclasses import dataclass
from threading import Condition, Thread
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.utilities.context import get_task_and_flow_run_ids

log = logging.getLogger("prefect.flows.progress")

_PAUSE_SECONDS = 1.0
"""Between two rounds of posting, so that posting does not slow the job down."""


@dataclass
class _Bar:
    """One stage's artifact: its current and its posted state."""

    stage: str
    task_run_id: UUID | None
    flow_run_id: UUID | None
    percent: float = 0.0
    note: str = ""
    posted: tuple[float, str] | None = None
    artifact_id: UUID | None = None

    def post(self, client: SyncPrefectClient) -> None:
        percent, note = self.percent, self.note
        if self.posted == (percent, note):
            return
        description = f"{self.stage}: {note}" if note else self.stage
        if self.artifact_id is None:
            new = ArtifactCreate(
                key=_key(self.stage), type="progress", description=description, data=percent,
                task_run_id=self.task_run_id, flow_run_id=self.flow_run_id,
            )  # fmt: skip
            self.artifact_id = client.create_artifact(new).id
        else:
            client.update_artifact(self.artifact_id, ArtifactUpdate(description=description, data=percent))
        self.posted = (percent, note)


class ProgressPage:
    """Posts from a thread of its own, at most once a second; stops at the first error."""

    def __init__(self) -> None:
        self._bars: dict[str, _Bar] = {}
        self._changed, self._closing = False, False
        self._condition = Condition()
        self._thread: Thread | None = None

    def show(self, stage: str, part: float, note: str = "") -> None:
        """Set the progress of a stage; returns at once.

        Args:
            stage: Whose progress; the task and flow run of the first call are those that the artifact belongs to.
            part: Within [0, 1].
            note: Text beside it.
        """
        with self._condition:
            bar = self._bars.get(stage)
            if bar is None:
                bar = self._bars[stage] = _Bar(stage, *get_task_and_flow_run_ids())
            bar.percent, bar.note = round(100 * min(1.0, max(0.0, part)), 1), note or bar.note
            self._changed = True
            self._condition.notify()
            if self._thread is None:
                # Prefect keeps the address of its server in the context.
                self._thread = Thread(target=copy_context().run, args=(self._work,), name="progress", daemon=True)
                self._thread.start()

    def close(self, seconds: float) -> None:
        """Post the last figures, and wait for that no longer than ``seconds``."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join(seconds)

    def _work(self) -> None:
        try:
            with get_client(sync_client=True) as client:
                while not self._post_changes(client):
                    with self._condition:
                        self._condition.wait_for(lambda: self._closing, timeout=_PAUSE_SECONDS)
        except Exception as error:  # noqa: BLE001 - a page that cannot be written must not stop a batch
            log.debug("progress is not shown any more: %s", error)

    def _post_changes(self, client: SyncPrefectClient) -> bool:
        """Wait for changes and post them; returns whether they were the last."""
        with self._condition:
            self._condition.wait_for(lambda: self._changed or self._closing)
            self._changed, last, bars = False, self._closing, list(self._bars.values())
        for bar in bars:
            bar.post(client)
        return last


def _key(stage: str) -> str:
    """Prefect allows lower-case letters, digits and dashes."""
    return "progress-" + re.sub(r"[^a-z0-9]+", "-", stage.lower()).strip("-")

"""Runs that were killed with their machine are marked as crashed, since they would keep later ones from starting.

Such a run cannot report its end. Prefect would show it as Running for ever, and its place in the work pool would stay
taken, so that every later run waits. ``lost_runs.json`` is an automation of Prefect's that marks it Crashed after two
minutes without a heartbeat, which frees its place. Runs of the job send one every thirty seconds
(``PREFECT_FLOWS_HEARTBEAT_FREQUENCY``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.client.orchestration import get_client

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

AUTOMATION = Path(__file__).with_name("lost_runs.json")
"""File for ``prefect automation create --from-file``."""
_REPORTED = "reported"
"""Tag of a lost run whose end was posted to the webhook."""
_LOOKED_BACK = timedelta(days=7)


def notice_lost_runs() -> None:
    """Create the automation on the server of this process, or update it."""
    from prefect.events.schemas.automations import AutomationCore  # lazy: only a served schedule needs it

    automation = AutomationCore.model_validate_json(AUTOMATION.read_text(encoding="utf-8"))
    with get_client(sync_client=True) as client:
        found = client.read_automations_by_name(automation.name)
        if found:
            client.update_automation(found[0].id, automation)
        else:
            client.create_automation(automation)


def unreported_lost_runs() -> Iterator[tuple[str, FlowRun]]:
    """Runs of the last week that the automation marked as crashed and nobody was told of, with their flow's name."""
    from prefect.client.schemas.filters import (
        FlowFilter,
        FlowFilterName,
        FlowRunFilter,
        FlowRunFilterStartTime,
        FlowRunFilterState,
        FlowRunFilterStateName,
    )

    automation = json.loads(AUTOMATION.read_text(encoding="utf-8"))
    [related] = automation["trigger"]["match_related"]
    [action] = automation["actions"]
    crashed = FlowRunFilter(
        state=FlowRunFilterState(name=FlowRunFilterStateName(any_=["Crashed"])),
        start_time=FlowRunFilterStartTime(after_=datetime.now(UTC) - _LOOKED_BACK),
    )
    with get_client(sync_client=True) as client:
        for name in related["prefect.resource.name"]:
            of_flow = FlowFilter(name=FlowFilterName(any_=[name]))
            for run in client.read_flow_runs(flow_filter=of_flow, flow_run_filter=crashed):
                is_lost = run.state is not None and run.state.message == action["message"]
                if is_lost and _REPORTED not in run.tags:
                    yield name, run


def mark_reported(run: FlowRun) -> None:
    """Note at a run that its end was posted."""
    with get_client(sync_client=True) as client:
        client.update_flow_run(run.id, tags=[*run.tags, _REPORTED])

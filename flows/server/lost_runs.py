"""Runs that were killed with their machine are marked as crashed, since they would keep later ones from starting.

Such a run cannot report its end. Prefect would show it as Running for ever, and its slot of the concurrency limit would
stay taken, so that every later run is cancelled. ``lost_runs.json`` is an automation of Prefect's that marks it Crashed
after two minutes without a heartbeat, which frees its slot. Runs of the job send one every thirty seconds
(``PREFECT_FLOWS_HEARTBEAT_FREQUENCY``).
"""

from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore

AUTOMATION = Path(__file__).with_name("lost_runs.json")
"""File for ``prefect automation create --from-file``."""


def notice_lost_runs() -> None:
    """Create the automation on the server of this process, or update it."""
    automation = AutomationCore.model_validate_json(AUTOMATION.read_text(encoding="utf-8"))
    with get_client(sync_client=True) as client:
        found = client.read_automations_by_name(automation.name)
        if found:
            client.update_automation(found[0].id, automation)
        else:
            client.create_automation(automation)

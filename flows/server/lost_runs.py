"""Runs that were killed with their machine: Prefect is made to notice, or they would keep later ones from starting.

Such a run cannot say that it ended. Prefect would show it as Running for ever, and its place under the concurrency
limit would stay taken, so that every later run is cancelled. ``lost_runs.json`` is an automation of Prefect's that
marks it Crashed after two minutes without a sign of life, which frees its place. Runs of the job give one every thirty
seconds (``PREFECT_FLOWS_HEARTBEAT_FREQUENCY``).
"""

from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore

AUTOMATION = Path(__file__).with_name("lost_runs.json")
"""What ``prefect automation create --from-file`` takes."""


def notice_lost_runs() -> None:
    """Make the automation on the server of this process, or bring it up to date."""
    automation = AutomationCore.model_validate_json(AUTOMATION.read_text(encoding="utf-8"))
    with get_client(sync_client=True) as client:
        found = client.read_automations_by_name(automation.name)
        if found:
            client.update_automation(found[0].id, automation)
        else:
            client.create_automation(automation)

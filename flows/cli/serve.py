"""Serve the job to Prefect on a schedule, in the foreground."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.cli.output import echo
from flows.cli.signals import handled
from flows.server.environment import prepare_environment
from flows.server.local import prefect_server


def serve_batches(settings: Mapping[str, Any], *, cron: str | None, timezone: str) -> None:
    """Serve ``batch-scoring`` until Ctrl-C; a run waits for the one before.

    Args:
        settings: What serve's command line sets, for every run; the rest is read when a run starts.
        cron: Schedule in cron's five fields; None waits for runs started by hand.
        timezone: IANA name of the schedule's time zone.
    """
    prepare_environment(Path.cwd())
    with prefect_server(with_scheduler=True) as server:
        from prefect.schedules import Cron

        from flows.batch import batch_scoring
        from flows.server.lost_runs import notice_lost_runs

        if server is not None:
            server.wait_until_ready()
            echo(f"Prefect server for as long as this runs: {server.api_url.removesuffix('/api')}", err=True)
            echo(f"Its page asks for a password: {server.where_password}", err=True)
        notice_lost_runs()
        schedule = Cron(cron, timezone=timezone) if cron else None
        handled()  # Prefect catches Ctrl-C and returns
        batch_scoring.serve(
            name="batch-scoring",
            schedule=schedule,
            parameters={"settings": dict(settings)},
            limit=1,  # of this process; Prefect ends a run that cannot renew its place under a global limit
        )

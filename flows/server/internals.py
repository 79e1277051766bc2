"""Undocumented parts of Prefect that the job uses; a test holds them to the version they were checked on.

Besides these names: the variable ``PREFECT__SERVER_EPHEMERAL`` and the tuple ``API_ROUTERS``, which ``create_app``
reads, and the first words of a few log messages (flows.cli.launch).
"""

CHECKED_VERSION = "3.8"
"""Major and minor."""

INTERNALS: dict[str, tuple[str, ...]] = {
    # flows.server.outage: drop log lines and events while the server is unreachable
    "prefect.events.clients.NullEventsClient": (),
    "prefect.events.clients.PrefectEventsClient": (
        "api_url",
        "reconnection_attempts",
        "checkpoint_every",
        "checkpoint_interval",
    ),
    "prefect.events.worker.EventsWorker.set_client_override": ("client_type", "client_kwargs"),
    "prefect.events.worker.emit_events_to_cloud": (),
    "prefect.logging.handlers.APILogWorker.instance": ("args",),
    "prefect.logging.handlers.APILogWorker.send": ("self", "item"),
    "prefect.logging.handlers.set_api_log_sink": ("sink",),
    # flows.cli.launch: send the last log lines
    "prefect.logging.handlers.APILogHandler.flush": ("self",),
    # flows.cli.signals: a signal during a flow is never forgotten
    "prefect.utilities.engine._prefect_sigterm_handler": ("sig_num", "args"),
    # flows.server.local: serve the API on a socket of our own
    "prefect.server.api.server.create_app": (
        "settings",
        "ephemeral",
        "webserver_only",
        "final",
        "ignore_cache",
    ),
    # flows.progress.artifact: the runs that a progress artifact belongs to
    "prefect.utilities.context.get_task_and_flow_run_ids": (),
    # flows.results.assets: assets that only the settings of a run name
    "prefect.context.AssetContext.get": (),
    "prefect.tasks.MaterializingTask": ("fn", "assets", "materialized_by", "task_kwargs"),
    # flows.results.notification: the address of a run's page
    "prefect.utilities.urls.url_for": ("obj", "obj_id", "url_type", "default_base_url", "additional_format_kwargs"),
}
"""Dotted name → names of its parameters."""

"""Process environment that must stand before Prefect, MLflow or TensorFlow is imported. Imports none of them."""

import os
from pathlib import Path

_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_CLIENT_METRICS_ENABLED": "false",
    # A server that went away holds up a call for 14 s, and one that hangs for a minute; by default, 62 s and 7 minutes.
    "PREFECT_CLIENT_MAX_RETRIES": "3",
    "PREFECT_API_REQUEST_TIMEOUT": "10",
    # How often a run says that it lives; by default, every three minutes.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}


def prepare_environment(root: Path) -> None:
    """Set what the vendors read at import, leaving alone whatever the caller has set.

    Args:
        root: Project root; Prefect keeps its state in ``<root>/.prefect`` unless PREFECT_HOME says otherwise.
    """
    os.environ.setdefault("PREFECT_HOME", str(root / ".prefect"))
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)

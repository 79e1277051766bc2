"""Process environment that must be set before Prefect, MLflow or TensorFlow is imported. Imports none of them."""

import os
from pathlib import Path

_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_CLIENT_METRICS_ENABLED": "false",
    # An unreachable server delays a call by 14 s, and one that hangs by a minute; by default, 62 s and 7 minutes.
    "PREFECT_CLIENT_MAX_RETRIES": "3",
    "PREFECT_API_REQUEST_TIMEOUT": "10",
    # Seconds between a run's heartbeats; by default, three minutes.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}


def prepare_environment(root: Path) -> None:
    """Set the variables that the vendors read at import, except those that are set already.

    Args:
        root: Project root; Prefect keeps its state in ``<root>/.prefect`` unless PREFECT_HOME is set.
    """
    os.environ.setdefault("PREFECT_HOME", str(root / ".prefect"))
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)

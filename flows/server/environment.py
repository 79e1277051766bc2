"""Process environment that must be set before Prefect, MLflow or TensorFlow is imported. Imports none of them."""

import os
from pathlib import Path
from urllib.parse import unquote

from recobatch.addresses import Address, without_secrets
from recobatch.errors import BadSettings

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

    Raises:
        BadSettings: If Prefect could not open its database there, the address of its server is malformed, or this user
            has no home.
    """
    _check_user_has_home()
    home = os.environ.setdefault("PREFECT_HOME", str(root / ".prefect"))
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if api_url := os.environ.get("PREFECT_API_URL"):
        _separate_password(api_url)
    elif "?" in home:
        raise BadSettings(
            f"{home}: found a question mark in the path of Prefect's folder, expected none, since the address of its "
            f"database ends there; rename the folder, or set PREFECT_HOME to another one"
        )


def _check_user_has_home() -> None:
    """Prefect cannot be imported without."""
    try:
        Path.home()
    except RuntimeError:
        raise BadSettings(
            f"HOME: found neither the variable nor a home for user {os.getuid()}, expected one; set HOME to a folder "
            f"that this user may write"
        ) from None


def _separate_password(api_url: str) -> None:
    """Prefect logs and stores its server's address, and links to it; the variable for passwords it keeps to itself."""
    if user_info := Address.parse(api_url).user_info:
        os.environ.setdefault("PREFECT_API_AUTH_STRING", unquote(user_info))
        os.environ["PREFECT_API_URL"] = without_secrets(api_url)

"""How the job is run: flows, settings, deployments, the command line. It composes; it computes nothing."""

import os
from pathlib import Path

from flows.progress.startup import STARTED

for _name, _value in {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}.items():
    os.environ.setdefault(_name, _value)
# Prefect and MLflow read these when they are imported, also where the flows are called from Python or by a worker.

__all__ = ["CODE", "STARTED"]
# Imported first of all, so that the clock counts every import after it.

CODE = Path(__file__).parent
"""Source of the flows, which shapes a table as that of recobatch does."""

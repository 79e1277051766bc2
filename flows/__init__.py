"""How the job is run: flows, settings, deployments, the command line. It composes; it computes nothing."""

from pathlib import Path

from flows.progress.startup import STARTED

__all__ = ["CODE", "STARTED"]
# Imported first of all, so that the clock counts every import after it.

CODE = Path(__file__).parent
"""Source of the flows, which shapes a table as that of recobatch does."""

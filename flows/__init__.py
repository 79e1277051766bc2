"""How the job is run: flows, settings, deployments, the command line. It composes; it computes nothing."""

from flows.progress.startup import STARTED

__all__ = ["STARTED"]
# Imported first of all, so that the clock counts every import after it.

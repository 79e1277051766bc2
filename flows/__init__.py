"""How the job is run: flows, settings, deployments, the command line. It composes; it computes nothing."""

import time

STARTED = time.perf_counter()
"""When this process began to load the job; what a run's seconds are counted from."""

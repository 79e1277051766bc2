"""Where the seconds go before the first stage: imports, MLflow, waiting for the server, Prefect's start of the flow."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

STARTED = time.perf_counter()
"""When this process began to load the job; what a run's seconds are counted from."""

_laps: dict[str, float] = {}


@contextmanager
def lap(name: str) -> Iterator[None]:
    """Time a part of the start."""
    began = time.perf_counter()
    yield
    _laps[name] = time.perf_counter() - began


@contextmanager
def no_collection() -> Iterator[None]:
    """Pause the garbage collector while modules are imported: what they make stays, and searching it takes time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def start_timings() -> dict[str, float]:
    """Part of the start → seconds, up to now; what no lap covers is Prefect's start of the flow."""
    return {**_laps, "start flow": time.perf_counter() - STARTED - sum(_laps.values())}

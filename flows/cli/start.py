"""Begin a run: its Prefect server first, since that takes longer than all that this process imports meanwhile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.options import load_given
from flows.progress.startup import lap, no_collection
from flows.server.environment import prepare_environment
from flows.server.local import LocalServer, prefect_server

if TYPE_CHECKING:
    from flows.settings.tree import Settings


@contextmanager
def started_server() -> Iterator[LocalServer | None]:
    """A server that is starting, for ``launch``; None where PREFECT_API_URL names one, or this is the first run here.

    A first run may be a mistake that the settings show, and leaves nothing behind then.
    """
    prepare_environment(Path.cwd())
    if not Path(os.environ["PREFECT_HOME"]).expanduser().exists():
        yield None
        return
    with prefect_server() as server:
        yield server


def load_settings_of(ratings: str | None, options: dict[str, Any]) -> "Settings":
    """As ``load_given``, with a place in the timings of the run.

    Raises:
        BadSettings: As ``load_given``.
    """
    with lap("load settings"), no_collection():
        return load_given(ratings, options)

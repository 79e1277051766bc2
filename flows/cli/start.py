"""Run a flow, its Prefect server first: that takes longer than all that this process imports meanwhile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.cli.options import load_given
from flows.progress.startup import lap, no_collection
from flows.server.environment import prepare_environment
from flows.server.local import LocalServer, prefect_server


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


def run_flow(
    name: str,
    ratings: str | None,
    options: dict[str, Any],
    *,
    as_json: bool,
    **parameters: Any,  # noqa: ANN401
) -> None:
    """Read the settings and run the flow called ``name`` with them, while its server starts.

    Args:
        name: As ``launch`` takes it.
        ratings: As ``load_given`` takes them.
        options: Likewise.
        as_json: Whether the summary is printed as JSON.
        parameters: Of the flow.

    Raises:
        RecobatchError: As the settings or the flow raised it.
    """
    with started_server() as server:
        with lap("load settings"), no_collection():
            settings = load_given(ratings, options)
        from flows.cli.launch import launch

        launch(name, settings, server=server, as_json=as_json, **parameters)

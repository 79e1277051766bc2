"""Run one flow from the command line: its server, its display, its last words."""

import importlib
import logging
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from flows.cli.evaluate import print_result
from flows.cli.output import echo_json
from flows.cli.signals import raise_in_flows
from flows.progress.display import Display
from flows.progress.json_log import log_as_json
from flows.progress.startup import lap, no_collection
from flows.server.environment import prepare_environment
from flows.server.local import LocalServer, prefect_server
from flows.settings.tree import Settings
from recobatch.addresses import is_uri
from recobatch.errors import RecobatchError
from recobatch.models import KERAS_MODELS, check_model, is_import_path
from recobatch.sources.datasets import check_path
from recobatch.storage.durable import is_disk_trouble
from recobatch.training.keras_process import keras_process

_CHATTER = (
    "Finished in state",
    "Crash detected! Execution was aborted by",  # Ctrl-C and SIGTERM have a line of their own
    "Unable to connect to",  # as has a server that went away
    "Service 'EventsWorker' failed",
    "Running hook 'post_lost_runs'",
    "Hook 'post_lost_runs'",
)
"""What Prefect says of a thing that the run says better."""
_OF_FIRST_CALL = (
    "prefect.flow_engine", "prefect.task_engine", "prefect.utilities.visualization", "fastapi.encoders",
    "anyio._backends._asyncio",
)  # fmt: skip
"""What Prefect imports at the first call of a flow: imported while its server starts."""


class Show(Protocol):
    """Prints what a flow returned."""

    def __call__(self, result: dict[str, Any], *, as_json: bool) -> None:
        """Print it, as JSON or for people."""


def launch(
    name: str,
    settings: Settings,
    *,
    as_json: bool,
    show: Show | None = None,
    server: LocalServer | None = None,
    **parameters: Any,  # noqa: ANN401
) -> None:
    """Run the flow called ``name`` to its end and print its summary, with ``show`` if it is not that of a batch.

    ``server`` is one that ``started_server`` began to start already; without it, one is started here.

    Raises:
        RecobatchError: As the flow raised it.
    """
    prepare_environment(Path.cwd())
    as_lines = settings.log.format == "json"
    display = Display()
    display.enabled &= not as_lines
    if display.enabled:
        # A person waits for this; where nobody does, the run fails for Prefect and the webhook to tell of.
        check_path(settings.data.ratings)
    with display.live(), prefect_server() as own, ExitStack() as during_run:
        server = server or own
        if _will_train(name, settings, parameters):
            during_run.enter_context(keras_process())
        with display.stage("start"), no_collection():
            flow = _import_flow(name)
            if name != "score-pairs":
                _check_models(settings)
            if not _may_be_unchanged(name, settings, parameters):
                with lap("open MLflow"):
                    _open_tracker(settings)
            from flows.server.outage import require_server, run_to_its_end, without_heartbeats

            if server is not None:
                during_run.enter_context(without_heartbeats())  # takes a while: before the wait
                with lap("await server"):
                    server.wait_until_ready()
        _calm_console(quiet=display.enabled, is_own_server=server is not None)
        if as_lines:
            log_as_json()
        require_server(os.environ["PREFECT_API_URL"])
        try:
            result = run_to_its_end(flow, settings=settings, **parameters)
        finally:
            _flush_logs()
    (show or _print)(result, as_json=as_json)


def _import_flow(name: str) -> Any:  # noqa: ANN401 - a Prefect flow
    """Import what the flow needs while the server starts; TensorFlow is none of it: see ``_will_train``."""
    with lap("import Prefect"):
        for module in _OF_FIRST_CALL:
            importlib.import_module(module)
        raise_in_flows()
        if name == "score-pairs":
            from flows.score import score_pairs

            return score_pairs
        if name == "evaluate-models":
            from flows.evaluate import evaluate_models

            return evaluate_models
        if name == "tune-models":
            from flows.tune import tune_models

            return tune_models
        from flows.batch import batch_scoring
        from flows.train import train_models

    return train_models if name == "train-models" else batch_scoring


def _may_be_unchanged(name: str, settings: Settings, parameters: dict[str, Any]) -> bool:
    """Whether a run may find nothing new, and so need neither MLflow nor its database."""
    if name != "batch-scoring" or parameters.get("force") or parameters.get("fresh"):
        return False
    return is_uri(settings.table.path) or Path(settings.table.path, "current").exists()


def _will_train(name: str, settings: Settings, parameters: dict[str, Any]) -> bool:
    """Whether a run is sure to train Keras models of ours, whatever the ratings are.

    One of the user's own is built in this process to be checked, which imports TensorFlow here.
    """
    models = settings.models
    if name not in ("batch-scoring", "train-models") or any(map(is_import_path, models)):
        return False
    if not set(models) & set(KERAS_MODELS):
        return False
    if parameters.get("fresh"):
        return True
    work = settings.work.path
    return not is_uri(work) and not Path(work).exists()  # without outputs of stages there is nothing to reuse


def _check_models(settings: Settings) -> None:
    """Refuse a model of the user's own that cannot be used, before anything is read."""
    for model in settings.models:
        check_model(model)


def _open_tracker(settings: Settings) -> None:
    from flows.job import open_tracker

    open_tracker(settings.tracking, Path.cwd())


def _calm_console(*, quiet: bool, is_own_server: bool) -> None:
    """Keep refusals' tracebacks and Prefect's chatter off the console.

    Args:
        quiet: Keep the log lines off too, where the display shows the progress.
        is_own_server: Keep off the links to a server that ends with the run.
    """
    unwanted = (*_CHATTER, "View at ") if is_own_server else _CHATTER

    def wanted(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        from_client = error is not None and type(error).__module__.startswith("httpx")
        is_told = from_client or is_disk_trouble(error) or isinstance(error, RecobatchError)
        return not (is_told or record.getMessage().startswith(unwanted))

    logging.raiseExceptions = False  # a server that takes no log line would be told of at every line
    for name in ("prefect", "prefect._internal", None):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.addFilter(wanted)
                handler.setLevel(logging.WARNING if quiet else handler.level)


def _flush_logs() -> None:
    """Let the last log lines reach the server before it ends."""
    from prefect.logging.handlers import APILogHandler

    for logger in (logging.getLogger("prefect.flow_runs"), logging.getLogger("prefect.task_runs")):
        for handler in logger.handlers:
            if isinstance(handler, APILogHandler):
                handler.flush()


def _print(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        echo_json(result)
        return
    if "evaluation_id" in result:
        print_result(result)
        return
    from flows.results.closing import print_closing
    from flows.results.summary import BatchSummary

    print_closing(BatchSummary.from_dict(result), sys.stdout)

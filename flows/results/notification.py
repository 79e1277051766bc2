"""Post to a webhook when a flow run failed, crashed or was refused; the flow decorator that does so."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from contextvars import copy_context
from datetime import UTC, datetime
from logging import LoggerAdapter
from threading import Thread
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from prefect import Flow, flow

from flows.server.lost_runs import mark_reported, unreported_lost_runs
from flows.settings.load import load_settings
from flows.settings.sections import NotifySettings
from flows.settings.sources import webhook_address
from recobatch.errors import BadInput, BadSettings, GateRefused, TableBusy

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

P = ParamSpec("P")
R = TypeVar("R")

_KINDS = {GateRefused: "refused", TableBusy: "busy", BadInput: "bad input"}


def job_flow(name: str) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Decorate a flow of the job: its failures are posted to the webhook, and nothing of it is pickled."""
    return flow(
        name=name,
        on_failure=[post_failure],
        on_crashed=[post_failure],
        on_running=[post_lost_runs],
        persist_result=False,
        result_serializer="json",  # Prefect stores what a flow raises, by default as a pickle with all its causes
    )


def post_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Post the reason of a failure to the webhook, if one is set; a hook of every flow.

    A receiver that fails or is slow costs a warning and at most ``notify.timeout_seconds``.
    """
    from prefect.logging.loggers import flow_run_logger

    log = flow_run_logger(flow_run, flow)
    options, address = _receiver(flow_run.parameters, log)
    if address is None and options.block is None:
        return
    # A thread: no timeout of the standard library bounds the whole of name look-up, connection and answer.
    # It needs the context, in which Prefect keeps the address of its server.
    arguments = (_post, address, options, _message(flow, flow_run, state), log)
    sender = Thread(target=copy_context().run, args=arguments, daemon=True)
    sender.start()
    sender.join(options.timeout_seconds)
    if sender.is_alive():
        log.warning(
            "the webhook has not answered within %g s; check whether it received the failure", options.timeout_seconds
        )


def post_lost_runs(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Post the runs that died with their machine since, a hook of every flow that begins.

    The automation of ``lost_runs.json`` marks such a run as crashed on the server, where no hook of it can run.
    """
    from prefect.logging.loggers import flow_run_logger

    if not flow_run.deployment_id:
        return  # its server ends with it
    log = flow_run_logger(flow_run, flow)
    options, address = _receiver(flow_run.parameters, log)
    if address is None and options.block is None:
        return
    try:
        for name, lost in unreported_lost_runs():
            found = _about_run(name, lost, "crashed", (lost.state and lost.state.message) or "no sign of life")
            if _post(address, options, found, log):
                mark_reported(lost)
    except Exception as error:  # noqa: BLE001 - the run that begins comes first
        log.warning("runs that died with their machine could not be looked for (%s)", type(error).__name__)


def _receiver(parameters: Mapping[str, Any], log: LoggerAdapter[Any]) -> tuple[NotifySettings, str | None]:
    """Where to post; settings that cannot be read may be the very failure to be posted."""
    try:
        address = webhook_address()
        return load_settings(parameters.get("settings")).notify, address
    except BadSettings:
        try:
            return NotifySettings(), webhook_address()
        except BadSettings as error:
            log.warning("%s", error)
            return NotifySettings(), None


def _message(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> dict[str, Any]:
    error = _error(state)
    kind = next((name for cause, name in _KINDS.items() if isinstance(error, cause)), state.type.value.lower())
    message = str(error) if error is not None else state.message
    return _about_run(flow.name, flow_run, kind, message or "no reason is known")


def _about_run(name: str, flow_run: FlowRun, kind: str, message: str) -> dict[str, Any]:
    reason = next(iter(message.splitlines()), "")
    return {
        "text": f"recobatch {name} {kind}: {reason}", "flow": name, "kind": kind, "reason": reason,
        "time": datetime.now(UTC).isoformat(timespec="seconds"), "flow_run": flow_run.name,
        "flow_run_id": str(flow_run.id), "url": _page(flow_run),
    }  # fmt: skip


def _error(state: State[Any]) -> BaseException | None:
    """What the flow raised; None where its process was killed."""
    try:
        result = state.result(raise_on_failure=False, _sync=True)  # type: ignore[call-overload]
    except Exception:  # noqa: BLE001 - a state may have lost its data; the failure is posted without it
        return None
    return result if isinstance(result, BaseException) else None


def _page(flow_run: FlowRun) -> str | None:
    """The run's page, where a server outlives the run."""
    from prefect.utilities.urls import url_for

    return url_for(flow_run) if flow_run.deployment_id else None


def _post(address: str | None, options: NotifySettings, message: Mapping[str, Any], log: LoggerAdapter[Any]) -> bool:
    """Whether the receiver took the message."""
    try:
        address = address or _address_in_block(options.block)
        request = urllib.request.Request(
            address, json.dumps(message).encode(), {"Content-Type": "application/json", "User-Agent": "recobatch"}
        )
        with urllib.request.urlopen(request, timeout=options.timeout_seconds):  # nosec B310
            return True  # the settings take http and https only
    except Exception as error:  # noqa: BLE001 - a post that fails must not become another failure
        # The address is a secret, and some errors repeat it.
        host = urlsplit(address).hostname if address else f"the block {options.block}"
        log.warning("the failure could not be posted to the webhook at %s (%s)", host, type(error).__name__)
        return False


def _address_in_block(name: str | None) -> str:
    from prefect.blocks.system import Secret

    secret = str(Secret.load(name, _sync=True).get())  # type: ignore[union-attr, arg-type, call-arg]
    return webhook_address({"RECOBATCH_NOTIFY__WEBHOOK": secret}) or ""

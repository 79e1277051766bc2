"""Tell a webhook of a flow run that failed, crashed or was refused."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from contextvars import copy_context
from datetime import UTC, datetime
from logging import LoggerAdapter
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flows.settings.load import load_settings
from flows.settings.sections import NotifySettings
from flows.settings.sources import webhook_address
from recobatch.errors import BadInput, BadSettings, GateRefused, TableBusy

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State

_KINDS = {GateRefused: "refused", TableBusy: "busy", BadInput: "bad input"}


def tell_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Post what went wrong, if somebody wants to know; a hook of every flow.

    A receiver that is dead, slow or unwell costs a line in the log and at most ``notify.timeout_seconds``.
    """
    from prefect.logging.loggers import flow_run_logger

    log = flow_run_logger(flow_run, flow)
    options, address = _receiver(flow_run.parameters, log)
    if address is None and options.block is None:
        return
    # A thread: no timeout of the standard library bounds the whole of name look-up, connection and answer.
    # It needs the context, in which Prefect keeps the address of its server.
    told = (_tell, address, options, _message(flow, flow_run, state), log)
    teller = Thread(target=copy_context().run, args=told, daemon=True)
    teller.start()
    teller.join(options.timeout_seconds)
    if teller.is_alive():
        log.warning(
            "the webhook has not answered within %g s; go and look whether it was told", options.timeout_seconds
        )


def _receiver(parameters: Mapping[str, Any], log: LoggerAdapter[Any]) -> tuple[NotifySettings, str | None]:
    """Settings that cannot be read may be the very failure to tell of."""
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
    kind = next((word for kind, word in _KINDS.items() if isinstance(error, kind)), state.type.value.lower())
    told = str(error) if error is not None else state.message
    reason = next(iter((told or "no reason is known").splitlines()))
    return {
        "text": f"recobatch {flow.name} {kind}: {reason}", "flow": flow.name, "kind": kind, "reason": reason,
        "time": datetime.now(UTC).isoformat(timespec="seconds"), "flow_run": flow_run.name,
        "flow_run_id": str(flow_run.id), "url": _page(flow_run),
    }  # fmt: skip


def _error(state: State[Any]) -> BaseException | None:
    """What the flow raised; nothing where its process was killed."""
    try:
        result = state.result(raise_on_failure=False, _sync=True)  # type: ignore[call-overload]
    except Exception:  # noqa: BLE001 - a state may have lost its data, and the telling must go on
        return None
    return result if isinstance(result, BaseException) else None


def _page(flow_run: FlowRun) -> str | None:
    """The run's page, where a server outlives the run."""
    from prefect.utilities.urls import url_for

    return url_for(flow_run) if flow_run.deployment_id else None


def _tell(address: str | None, options: NotifySettings, message: Mapping[str, Any], log: LoggerAdapter[Any]) -> None:
    try:
        address = address or _address_in_block(options.block)
        request = urllib.request.Request(
            address, json.dumps(message).encode(), {"Content-Type": "application/json", "User-Agent": "recobatch"}
        )
        with urllib.request.urlopen(request, timeout=options.timeout_seconds):  # nosec B310
            pass  # the settings take http and https only
    except Exception as error:  # noqa: BLE001 - telling of a failure must not become another one
        # The address is a secret, and some errors repeat it.
        host = urlsplit(address).hostname if address else f"the block {options.block}"
        log.warning("the webhook at %s could not be told of the failure (%s)", host, type(error).__name__)


def _address_in_block(name: str | None) -> str:
    from prefect.blocks.system import Secret

    secret = str(Secret.load(name, _sync=True).get())  # type: ignore[union-attr, arg-type, call-arg]
    return webhook_address({"RECOBATCH_NOTIFY__WEBHOOK": secret}) or ""

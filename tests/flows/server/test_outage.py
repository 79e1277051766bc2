"""Log lines and events reach a Prefect server only while it answers."""

import logging

import pytest
from prefect.events.clients import NullEventsClient, PrefectEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.server import outage


@pytest.fixture
def server(monkeypatch):
    """A server that answers, or not, as the test says; and the lines that were sent to it."""
    state = {"answers": True, "probes": 0, "now": 0.0, "sent": []}

    def answers(_url):
        state["probes"] += 1
        return state["answers"]

    class Worker:
        send = state["sent"].append

        @classmethod
        def instance(cls):
            return cls

    monkeypatch.setattr(outage, "answers", answers)
    monkeypatch.setattr(outage, "APILogWorker", Worker)
    monkeypatch.setattr(outage.time, "monotonic", lambda: state["now"])
    monkeypatch.setattr(outage.time, "sleep", lambda _seconds: None)
    yield state
    EventsWorker.set_client_override(None)


def events_client():
    return EventsWorker._client_override[0]


def test_an_unreachable_server_is_sent_nothing_until_it_answers_again(server, caplog):
    breaker = outage._CircuitBreaker("http://host/api")
    breaker.send_log("first")
    assert events_client() is PrefectEventsClient
    server |= {"answers": False, "now": 10.0}
    breaker.send_log("second")
    breaker.send_log("third")
    assert events_client() is NullEventsClient
    server |= {"answers": True, "now": 100.0}
    breaker.send_log("fourth")
    assert events_client() is PrefectEventsClient
    assert server["sent"] == ["first", "fourth"]
    assert [record.message for record in caplog.records] == [
        "the Prefect server at http://host/api is unreachable; the run continues without it",
        "the Prefect server at http://host/api answers again",
    ]


def test_a_server_that_died_since_the_last_probe_is_found_out_before_a_request_that_would_be_repeated(server):
    breaker = outage._CircuitBreaker("http://host/api")
    assert breaker.is_reachable()
    server["answers"] = False
    assert breaker.is_reachable(), "it was probed a moment ago"
    assert not breaker.is_reachable(now=True)


def test_a_server_that_was_busy_is_asked_again_before_the_result_is_left_off_its_page(server):
    breaker = outage._CircuitBreaker("http://host/api")
    server |= {"answers": False, "now": 10.0}
    assert not breaker.is_reachable()
    server |= {"answers": True, "now": 11.0}
    assert not breaker.is_reachable(), "it is left alone for a while"
    assert breaker.is_reachable(now=True)
    assert events_client() is PrefectEventsClient


def test_one_missed_answer_is_no_outage_and_many_lines_are_one_probe(server, monkeypatch):
    breaker = outage._CircuitBreaker("http://host/api")
    found = iter([False, True])
    monkeypatch.setattr(outage, "answers", lambda _url: next(found))
    for line in range(100):
        breaker.send_log(line)
    assert len(server["sent"]) == 100


def test_a_line_that_is_logged_by_the_probe_itself_does_not_wait_for_it(server):
    breaker = outage._CircuitBreaker("http://host/api")
    server["answers"] = False

    class Handler(logging.Handler):
        def emit(self, record):
            breaker.send_log(record.getMessage())

    handler = Handler()
    outage.log.addHandler(handler)
    try:
        breaker.send_log("first")
    finally:
        outage.log.removeHandler(handler)
    assert server["sent"] == []


def test_the_final_state_is_tried_once_where_the_server_is_unreachable(server, monkeypatch):
    class Flow:
        fn = staticmethod(lambda: PREFECT_CLIENT_MAX_RETRIES.value())

        def __call__(self):
            retries.extend([self.fn(), PREFECT_CLIENT_MAX_RETRIES.value()])
            return "done"

    flow, retries = Flow(), []
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 3, PREFECT_API_URL: "http://host/api"}):
        monkeypatch.setattr(outage, "_breaker", outage._CircuitBreaker("http://host/api"))
        server["answers"] = False
        assert outage.run_to_its_end(flow) == "done"
        assert retries == [3, 0]
        assert PREFECT_CLIENT_MAX_RETRIES.value() == 3
        assert outage.is_reachable()


def test_a_run_with_a_server_of_its_own_sends_no_heartbeats():
    from prefect.settings import get_current_settings

    from flows.server.outage import without_heartbeats

    with without_heartbeats():
        assert get_current_settings().flows.heartbeat_frequency is None
    assert get_current_settings().flows.heartbeat_frequency is not None

"""Spans leave by OTLP over HTTP; requests continue the trace of their caller; a collector that is gone stops nothing."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import patch

import pytest
from litestar import get
from litestar.params import FromPath
from litestar.testing import TestClient
from opentelemetry.sdk.trace.export import SpanExportResult
from prometheus_client import REGISTRY
from requests import PreparedRequest, Response
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.http.app import traceparent_of
from prizewire_chassis.logging import get_logger
from prizewire_chassis.testing_traces import CollectorStandIn, collector_stand_in
from prizewire_chassis.tracing import Kind, Span, calling, export, record, set_recorder, wanted
from prizewire_chassis.tracing.export import ANSWER_BYTES_MAX, OtlpRecorder, _BriefAnswers
from prizewire_chassis.tracing.spans import LINKS_MAX
from prizewire_contracts.traces import carried_trace
from prizewire_devstack.waiting import eventually

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID = TRACE[3:35]
UNSAMPLED = f"{TRACE[:53]}00"
_log = get_logger(__name__)


@get("/api/things/{name:str}")
async def thing(name: FromPath[str]) -> dict[str, str | None]:
    _log.info("looked up")
    with calling("rail look", rail="fake"):
        return {"carried": carried_trace(), "name": name}


def client() -> TestClient:
    return TestClient(build_app(service="payouts", controllers=[thing], health=Health(), tokens=None))


@pytest.fixture
def collector() -> Iterator[CollectorStandIn]:
    with collector_stand_in() as found:
        yield found
    set_recorder(None)


async def test_a_request_is_a_span_of_its_callers_trace(collector: CollectorStandIn) -> None:
    """Its name is the template of the route, and the call inside it is its child. Nothing of the path is in it."""
    recorder = OtlpRecorder(endpoint=collector.url, service="payouts", version="1")
    set_recorder(recorder)
    with client() as http:
        assert (
            http.get("/api/things/hush", headers={"traceparent": TRACE}).json()["carried"][3:35] == TRACE_ID
        )
        http.get("/api/things/hush", headers={"traceparent": UNSAMPLED})
        http.get("/health/live")
    await recorder.close()
    assert not wanted()
    served = {span.name: span for span in collector.taken}
    assert sorted(served) == ["GET /api/things/{name}", "rail look"]
    assert served["GET /api/things/{name}"].parent == TRACE[36:52]
    assert served["rail look"].parent == served["GET /api/things/{name}"].span_id
    assert {span.trace_id for span in collector.taken} == {TRACE_ID}
    assert {span.service for span in collector.taken} == {"prizewire-payouts"}
    assert "hush" not in repr(collector.taken)


@pytest.mark.parametrize(
    "headers",
    [[], [("traceparent", "nonsense")]],
    ids=["none", "malformed"],
)
def test_a_request_without_a_valid_traceparent_starts_a_trace(headers: list[tuple[str, str]]) -> None:
    """It is answered as any other, its log lines have the id of the new trace, and the answer names no trace."""
    with client() as http, capture_logs(processors=[merge_contextvars]) as lines:
        answer = http.get("/api/things/one", headers=headers)
    assert answer.status_code == 200
    assert "traceparent" not in answer.headers
    assert answer.json()["carried"][3:35] not in {TRACE_ID, "0" * 32}
    assert {line["trace_id"] for line in lines} == {answer.json()["carried"][3:35]}


@pytest.mark.parametrize(("times", "found"), [(0, None), (1, TRACE), (2, None)])
def test_a_traceparent_that_is_given_twice_counts_as_none(times: int, found: str | None) -> None:
    """It would otherwise depend on a proxy which one counts."""
    scope: Any = {"headers": [(b"host", b"one"), *[(b"traceparent", TRACE.encode())] * times]}
    assert traceparent_of(scope) == found


def test_the_callers_flags_are_kept() -> None:
    """A caller that records nothing decides so for what its request causes."""
    with client() as http:
        assert http.get("/api/things/one", headers={"traceparent": UNSAMPLED}).json()["carried"] == UNSAMPLED


async def test_a_collector_that_is_gone_is_logged_once() -> None:
    """Spans are lost, and nothing else."""
    with collector_stand_in() as gone:
        url = gone.url
    with capture_logs() as lines:
        recorder = OtlpRecorder(endpoint=url, service="payouts", version="1")
        set_recorder(recorder)
        for _ in range(3):
            with client() as http:
                assert http.get("/api/things/one").status_code == 200

        def is_logged() -> bool:
            return any("collector" in line["event"] for line in lines)

        await eventually(is_logged)
        with client() as http:
            http.get("/api/things/one")
        await recorder.close()
    assert [line["log_level"] for line in lines if "collector" in line["event"]] == ["warning"]


class Endless(BaseHTTPRequestHandler):
    """A collector that answers without end."""

    written = 0

    def do_POST(self) -> None:
        """Write until the client goes."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while True:
                Endless.written += self.wfile.write(b"x" * 65_536)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Write nothing."""


async def test_an_endless_answer_is_read_to_a_bound() -> None:
    """Its status counts, the connection is closed, and later spans are sent again."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    recorder = OtlpRecorder(endpoint=f"http://127.0.0.1:{server.server_port}", service="payouts", version="1")
    taken: list[Response] = []
    send = _BriefAnswers.send

    def seen(self: _BriefAnswers, request: PreparedRequest, *args: Any, **named: Any) -> Response:
        taken.append(send(self, request, *args, **named))
        return taken[-1]

    with patch.object(_BriefAnswers, "send", seen):
        set_recorder(recorder)
        for number in range(1, 3):
            with client() as http:
                http.get("/api/things/one")
            await eventually(lambda number=number: len(taken) >= number)
        await recorder.close()
    server.shutdown()
    server.server_close()
    serving.join()
    assert {(one.status_code, len(one.content)) for one in taken} == {(200, ANSWER_BYTES_MAX)}


def test_a_span_has_a_bounded_number_of_links() -> None:
    """A batch may have more events than a span has links."""
    taken: list[Span] = []

    class Recorder:
        def record(self, span: Span) -> None:
            taken.append(span)

    set_recorder(Recorder())
    try:
        links = [TRACE] * (LINKS_MAX + 1)
        record("x", kind=Kind.INTERNAL, traceparent=TRACE, parent=None, started_ns=1, links=links)
    finally:
        set_recorder(None)
    assert len(taken[0].links) == LINKS_MAX


def lost(reason: str) -> float:
    return REGISTRY.get_sample_value("prizewire_spans_lost_total", {"reason": reason}) or 0.0


async def test_spans_that_are_lost_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """By reason: those that the collector did not take, and those for which the queue had no room. Both begin at 0."""
    monkeypatch.setattr(export, "QUEUE_MAX", 2)
    sending, go_on = threading.Event(), threading.Event()

    def refuse(*_: object) -> SpanExportResult:
        sending.set()
        go_on.wait(60)
        return SpanExportResult.FAILURE

    monkeypatch.setattr(export.OTLPSpanExporter, "export", refuse)
    before = lost("queue_full"), lost("not_taken")
    recorder = OtlpRecorder(endpoint="http://127.0.0.1:1", service="payouts", version="1")
    set_recorder(recorder)

    def spans(count: int) -> None:
        for _ in range(count):
            record("x", kind=Kind.INTERNAL, traceparent=TRACE, parent=None, started_ns=1, ended_ns=2)

    spans(2)
    await eventually(sending.is_set)
    spans(2 + 3)
    go_on.set()
    await recorder.close()
    await eventually(lambda: lost("not_taken") - before[1] == 4)
    assert lost("queue_full") - before[0] == 3


def test_the_sdk_is_not_loaded_without_a_collector() -> None:
    """A service without the setting pays for no part of OpenTelemetry."""
    loaded = "import prizewire_chassis.lifecycle, sys; print([name for name in sys.modules if 'opentelemetry.sdk' in name])"
    done = subprocess.run((sys.executable, "-c", loaded), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

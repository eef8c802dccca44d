"""Spans leave by OTLP over HTTP; requests continue the trace of their caller; a collector that is gone stops nothing."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from litestar import get
from litestar.params import FromPath
from litestar.testing import TestClient
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.http.app import traceparent_of
from prizewire_chassis.logging import get_logger
from prizewire_chassis.testing_traces import CollectorStandIn, collector_stand_in
from prizewire_chassis.tracing import calling, set_recorder, wanted
from prizewire_chassis.tracing.export import OtlpRecorder
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


def test_the_sdk_is_not_loaded_without_a_collector() -> None:
    """A service without the setting pays for no part of OpenTelemetry."""
    loaded = "import prizewire_chassis.lifecycle, sys; print([name for name in sys.modules if 'opentelemetry.sdk' in name])"
    done = subprocess.run((sys.executable, "-c", loaded), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

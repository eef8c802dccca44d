"""Spans leave by OTLP over HTTP, in a thread of the OpenTelemetry SDK.

A collector that cannot be reached slows nothing: spans wait in a queue of bounded size, and are dropped when it is full.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import SPANS_LOST
from prizewire_chassis.metrics.labels import LostSpans
from prizewire_chassis.tracing.spans import Kind, Span, set_recorder
from prizewire_contracts.traces import span_id_of, trace_id_of

PATH: Final = "/v1/traces"
"""The path for traces below a collector's base URL (OTLP specification, "OTLP/HTTP Request")."""
ANSWER_BYTES_MAX: Final = 64 * 1024
"""How much of a collector's answer is read."""
QUEUE_MAX: Final = 8_192
"""How many spans wait for the collector at most; further ones are dropped."""
_SENT_EVERY_S = 1.0
_SENT_MAX = 512
_TIMEOUT_S = 5.0
_STOP_S = 3.0
_SCOPE = InstrumentationScope("prizewire")
_KINDS = {
    Kind.INTERNAL: SpanKind.INTERNAL,
    Kind.SERVER: SpanKind.SERVER,
    Kind.CLIENT: SpanKind.CLIENT,
    Kind.PRODUCER: SpanKind.PRODUCER,
    Kind.CONSUMER: SpanKind.CONSUMER,
}
_log = get_logger(__name__)


class _BriefAnswers(HTTPAdapter):
    """Reads the beginning of an answer only, for a bounded time: the status says all, and a collector may answer without end."""

    def send(self, request: PreparedRequest, *args: Any, **named: Any) -> Response:
        """Send a request, and return its answer with at most ``ANSWER_BYTES_MAX`` bytes of its body."""
        answer = super().send(request, *args, **{**named, "stream": True})
        read, ends = bytearray(), time.monotonic() + _TIMEOUT_S
        try:
            while len(read) < ANSWER_BYTES_MAX and time.monotonic() < ends:
                part = answer.raw.read1(ANSWER_BYTES_MAX - len(read), decode_content=False)
                if not part:
                    break
                read += part
            else:
                answer.close()
        except Exception:
            answer.close()
            raise
        answer.raw = BytesIO(bytes(read))
        return answer


def _session() -> Session:
    session = Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _BriefAnswers())
    return session


class _LoggedOnce(SpanExporter):
    """An exporter that logs when the collector first fails, and when it answers again, and counts the spans that are lost."""

    def __init__(self, exporter: SpanExporter, *, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._failing = False
        self.left = 0
        """How many spans left the queue. Only the thread of the SDK writes it."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; a failure is a result and no exception."""
        self.left += len(spans)
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001 - whatever the client raises, the spans are lost and nothing else is
            result = SpanExportResult.FAILURE
        failed = result is not SpanExportResult.SUCCESS
        if failed:
            SPANS_LOST.labels(LostSpans.NOT_TAKEN).inc(len(spans))
        if failed and not self._failing:
            _log.warning(
                "the collector of traces does not take spans; they are lost", endpoint=self._endpoint
            )
        if self._failing and not failed:
            _log.info("the collector of traces takes spans again", endpoint=self._endpoint)
        self._failing = failed
        return result

    def shutdown(self) -> None:
        """End the exporter, and a retry that is waiting."""
        self._exporter.shutdown()


class OtlpRecorder:
    """Records spans by sending them to a collector."""

    def __init__(self, *, endpoint: str, service: str, version: str) -> None:
        """``endpoint``: the collector's base URL."""
        # its own log lines would repeat at each failure
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._resource = Resource.create({"service.name": f"prizewire-{service}", "service.version": version})
        url = endpoint.rstrip("/") + PATH
        self._exporter = _LoggedOnce(
            OTLPSpanExporter(endpoint=url, timeout=_TIMEOUT_S, session=_session()), endpoint=endpoint
        )
        self._queued = 0
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=QUEUE_MAX,
            max_export_batch_size=min(_SENT_MAX, QUEUE_MAX),
            schedule_delay_millis=_SENT_EVERY_S * 1000,
        )

    def record(self, span: Span) -> None:
        """See ``Recorder``."""
        if self._queued - self._exporter.left >= QUEUE_MAX:
            # the queue drops its oldest span for this one
            SPANS_LOST.labels(LostSpans.QUEUE_FULL).inc()
        else:
            self._queued += 1
        self._processor.on_end(
            ReadableSpan(
                name=span.name,
                context=_context(span.traceparent, remote=False),
                parent=None if span.parent is None else _context(span.parent, remote=True),
                resource=self._resource,
                attributes=span.attributes,
                links=[Link(_context(one, remote=True)) for one in span.links],
                kind=_KINDS[span.kind],
                instrumentation_scope=_SCOPE,
                status=Status() if span.error is None else Status(StatusCode.ERROR, span.error),
                start_time=span.started_ns,
                end_time=span.ended_ns,
            )
        )

    async def close(self) -> None:
        """Send the spans that wait, for a few seconds at most."""
        set_recorder(None)
        # a thread that may be left behind: a collector that does not answer must not keep the process
        ending = threading.Thread(target=self._processor.shutdown, name="end of traces", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, _STOP_S)
        if ending.is_alive():
            self._exporter.shutdown()


def _context(traceparent: str, *, remote: bool) -> SpanContext:
    return SpanContext(
        int(trace_id_of(traceparent), 16),
        int(span_id_of(traceparent), 16),
        is_remote=remote,
        trace_flags=TraceFlags(int(traceparent[53:55], 16)),
    )

"""HTTP/1.1 on a socket with limits: time for a request's headers and body, and a number of connections.

uvicorn bounds only how long an idle connection is kept. Here a connection that begins a request has ``header_s``
seconds for its line and headers and ``body_s`` more for its body; a body that an answer no longer waits for counts as
well. A target of more than ``TARGET_BYTES_MAX`` bytes is refused with 414, a request line and headers of more than
``HEAD_BYTES_MAX`` with 431, whatever the path. Beyond ``connections_max`` connections the one that has been idle longest is
closed, and where none is idle the new one is refused with 503.

While the service drains, each answer has ``Connection: close``. At the shutdown idle connections are closed, and a request
that has begun to arrive is still answered.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Final

import h11
import orjson
from uvicorn.protocols.http.h11_impl import H11Protocol

from prizewire_chassis.metrics import HTTP_CONNECTIONS, HTTP_REFUSED
from prizewire_chassis.problems import Problem

_ANSWER_S: Final = 5.0
"""How much later than the service itself the protocol ends a slow body: the service answers with more to read."""
TARGET_BYTES_MAX: Final = 8_192
"""The size limit of a request's target (path and query); 200 ids are 7,900 bytes. RFC 9110 (4.1) asks for 8,000 at least."""
HEAD_BYTES_MAX: Final = 16_384
"""The size limit of a request's line and headers together."""
_LINGER_S: Final = 5.0
"""How long a refused connection stays open at most, in seconds, for a client that still sends. If it were closed before the
client has sent all, TCP would reset it, and the client might never see the answer (RFC 9112, 9.6).
"""
_FIRST_REQUEST_S: Final = 1.0
"""How long a new connection may take to begin its first request, in seconds, once the listener is closed."""
_CLOSE: Final = (b"connection", b"close")


class _Refused(h11.RemoteProtocolError):
    """A request that is refused with a status and a code of its own."""

    def __init__(self, *, status: int, code: str, detail: str) -> None:
        super().__init__(detail, error_status_hint=status)
        self.status = status
        self.code = code


def _target_too_long() -> _Refused:
    detail = f"the request's path and query have more than {TARGET_BYTES_MAX} bytes: send fewer or shorter parameters"
    return _Refused(status=414, code="uri_too_long", detail=detail)


def _headers_too_large() -> _Refused:
    detail = (
        f"the request's line and headers have more than {HEAD_BYTES_MAX} bytes: send fewer or shorter headers"
    )
    return _Refused(status=431, code="headers_too_large", detail=detail)


class _LimitedConnection(h11.Connection):
    """A connection that refuses a target or headers that are too long, however many reads they arrive in: h11 alone takes
    any size that arrives in one.
    """

    def __init__(self, draining: Callable[[], bool]) -> None:
        super().__init__(h11.SERVER, HEAD_BYTES_MAX)
        self._draining = draining

    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        """The bytes of an event that ``send`` joins. While the service drains, an answer to a request that has arrived whole closes its connection,
        so that clients and proxies use another one. A client that still sends might not see such an answer.
        """
        if type(event) is h11.Response and self.their_state is not h11.SEND_BODY and self._draining():
            headers = list(event.headers.raw_items())
            if _CLOSE not in headers:
                event = h11.Response(
                    status_code=event.status_code, headers=[*headers, _CLOSE], reason=event.reason
                )
        return super().send_with_data_passthrough(event)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next event.

        Raises:
            h11.RemoteProtocolError: the request is not HTTP, or too long (``_Refused``).
        """
        reading = self.their_state
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint != 431 or reading is not h11.IDLE:
                raise
            line_ends = b"\n" in self.trailing_data[0][:HEAD_BYTES_MAX]
            raise (_headers_too_large() if line_ends else _target_too_long()) from error
        if type(event) is h11.Request:
            _check_size(event)
        return event


def _check_size(request: h11.Request) -> None:
    if len(request.target) > TARGET_BYTES_MAX:
        raise _target_too_long()
    line = len(request.method) + len(request.target) + len("  HTTP/1.1\r\n")
    fields = sum(len(name) + len(value) + len(": \r\n") for name, value in request.headers)
    if line + fields > HEAD_BYTES_MAX:
        raise _headers_too_large()


class _LimitedProtocol(H11Protocol):
    header_s: float
    body_s: float
    connections_max: int
    answer_s: float
    draining: Callable[[], bool]

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.conn = _LimitedConnection(self.draining)
        self._ending = False
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None
        self._waiting_for: object = None
        self._requests = 0
        self._seen: object = None
        self.idle_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Accept the connection, or refuse it beyond the limit."""
        super().connection_made(transport)
        HTTP_CONNECTIONS.set(len(self.connections))
        if len(self.connections) > self.connections_max and not self._make_room():
            self._refuse(503, "too_many_connections", "there are too many connections: try again later")
            self.transport.close()
            return
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection from the count."""
        self._stop()
        super().connection_lost(exc)
        HTTP_CONNECTIONS.set(len(self.connections))

    def data_received(self, data: bytes) -> None:
        """Process the data, and start or stop the timer."""
        if self._refused or self.transport.is_closing():
            return
        self.idle_since = None
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Start or stop the timer for the next request."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self._watch()

    def shutdown(self) -> None:
        """Close the connection if it is idle, else after the answer to its request, of which a part may have arrived. One
        without any request is closed after ``_FIRST_REQUEST_S``.
        """
        self._ending = True
        if self.idle_since is not None:
            self.timeout_keep_alive_handler()
        elif self._waiting_for == "headers" and not self.conn.trailing_data[0]:
            self._stop()
            self._deadline = self.loop.call_later(_FIRST_REQUEST_S, self.timeout_keep_alive_handler)

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is not HTTP or too long, with problem details."""
        error = sys.exception()
        if isinstance(error, _Refused):
            self._refuse(error.status, error.code, str(error))
            return
        self._refuse(400, "malformed_request", f"this is not an HTTP request that can be read: {msg}")

    def _watch(self) -> None:
        """Start, keep or end the timer, by what the client still has to send."""
        if self._refused:
            return
        reading = self.conn.their_state
        if reading is h11.SEND_BODY:
            self._expect(self.cycle, self.body_s + self.answer_s)
        elif reading is h11.IDLE and (self.cycle is None or self.conn.trailing_data[0]):
            self._expect("headers", self.header_s)
        else:
            self._stop()
            if reading is h11.IDLE and self.cycle is not None and self.cycle.response_complete:
                self.idle_since = self.loop.time()
                if self._ending:
                    self.timeout_keep_alive_handler()

    def _expect(self, what: object, within_s: float) -> None:
        if self._waiting_for is what and self._deadline is not None:
            return
        self._stop()
        self._waiting_for = what
        self._deadline = self.loop.call_later(within_s, self._too_slow)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._waiting_for = None

    def _too_slow(self) -> None:
        headers = self._waiting_for == "headers"
        self._deadline = None
        detail = f"the request's headers did not arrive within {self.header_s:g} seconds"
        code = "header_timeout" if headers else "body_timeout"
        self._refuse(408, code, detail if headers else "the request's body did not arrive in time")

    def _make_room(self) -> bool:
        """Close the connection that has been idle longest. Returns whether there was one."""
        idle = [
            (one.idle_since, id(one), one)
            for one in self.connections
            if isinstance(one, _LimitedProtocol) and one.idle_since is not None
        ]
        if not idle:
            return False
        HTTP_REFUSED.labels("idle_connection_closed").inc()
        min(idle)[2].timeout_keep_alive_handler()
        return True

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Send an answer, unless one has begun, and close the connection once the client has read it."""
        HTTP_REFUSED.labels(code).inc()
        self._refused = True
        self._stop()
        answered = False
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and (
            self.cycle is None or self.cycle.response_complete or not self.cycle.response_started
        ):
            body = orjson.dumps(Problem(status=status, code=code, detail=detail).body(instance=""))
            headers = [
                (b"content-type", b"application/problem+json"),
                (b"content-length", str(len(body)).encode()),
                _CLOSE,
            ]
            answer: list[h11.Event] = [
                h11.Response(status_code=status, headers=headers),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ]
            for event in answer:
                sent = self.conn.send(event)
                self.transport.write(sent or b"")
            answered = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if answered and self.transport.can_write_eof() and not self.transport.is_closing():
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Send no more, and ignore what the client sends, until it closes the connection or ``_LINGER_S`` have passed. A new
        connection beyond the limit closes this one.
        """
        self.transport.write_eof()
        self.flow.resume_reading()
        self.idle_since = self.loop.time()
        self._deadline = self.loop.call_later(_LINGER_S, self.transport.close)


def limited_protocol(
    *,
    header_s: float,
    body_s: float,
    connections_max: int,
    draining: Callable[[], bool] = lambda: False,
    answer_s: float = _ANSWER_S,
) -> type[H11Protocol]:
    """The protocol with these limits. ``draining``: whether the service stops, so that each answer closes its connection.
    ``answer_s``: how much later than ``body_s`` a slow body is ended.
    """
    return type(
        "LimitedProtocol",
        (_LimitedProtocol,),
        {
            "header_s": header_s,
            "body_s": body_s,
            "connections_max": connections_max,
            "answer_s": answer_s,
            "draining": staticmethod(draining),
        },
    )

"""Deliveries over HTTP: signed, refused for internal addresses, limited in time and in bytes read.

Addresses are checked where the connection is opened. Every address of the host is checked, the connection goes to a
checked address, and the address of the connected peer is checked again. Redirects are not followed, and
no proxy of the environment is used, since a proxy would resolve the name again.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore
from standardwebhooks import Webhook

from prizewire_chassis.clock import Clock
from prizewire_webhooks.errors import AddressRefused, HostUnknown, PortRefused, SchemeRefused, UrlRefused
from prizewire_webhooks.outbound.adapters.secrets import SecretBox
from prizewire_webhooks.outbound.domain.addresses import Target, TargetRules, is_refused, parse_url
from prizewire_webhooks.outbound.domain.decisions import SEND_TIMEOUT_S
from prizewire_webhooks.outbound.domain.model import Answer, Task
from prizewire_webhooks.outbound.domain.redaction import redact

_BODY_BYTES_MAX = 4_096
_LOOKUP_TIMEOUT_S = 5.0
_KEEPALIVE_S = 4.0
_CONTENT_TYPE = b"application/cloudevents+json; charset=utf-8"
"""Structured mode of the CloudEvents HTTP binding: their SDKs read the body as it is."""
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
SocketOptions = Iterable[
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
]


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, in the system's order.

    Raises:
        HostUnknown: there are none.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError):
        raise HostUnknown from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class AddressGuard(httpcore.AsyncNetworkBackend):
    """``ports.AddressBook``. Every connection of a delivery is opened here."""

    def __init__(self, *, allow_loopback: bool, rules: TargetRules, lookup: Lookup = system_lookup) -> None:
        self._allow_loopback = allow_loopback
        self.rules = rules
        self._lookup = lookup
        self._network = httpcore.AnyIOBackend()

    async def check(self, target: Target) -> None:
        """See the port."""
        self.rules.check(target)
        try:
            async with asyncio.timeout(_LOOKUP_TIMEOUT_S):
                await self._judged(target.host, target.port)
        except TimeoutError:
            raise HostUnknown from None

    async def _judged(self, host: str, port: int) -> Sequence[str]:
        addresses = await self._lookup(host, port)
        if not addresses:
            raise HostUnknown
        for address in addresses:
            self._judge(address)
        return addresses

    def _judge(self, address: str) -> None:
        if is_refused(address, allow_loopback=self._allow_loopback):
            raise AddressRefused

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a judged address of ``host``, the next one when one does not answer.

        Raises:
            HostUnknown, AddressRefused: see ``check``.
            httpcore.ConnectError, httpcore.ConnectTimeout: no address answered.
        """
        failure: Exception = HostUnknown()
        for address in await self._judged(host, port):
            try:
                stream = await self._network.connect_tcp(
                    address, port, timeout=timeout, local_address=local_address, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            peer: Any = stream.get_extra_info("server_addr")
            try:
                self._judge(str(peer[0]) if isinstance(peer, tuple) else "")
            except AddressRefused:
                await stream.aclose()
                raise
            return stream
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Pause between httpcore's own connection retries; none are configured."""
        await self._network.sleep(seconds)


class HttpSender:
    """``ports.Sender``."""

    def __init__(
        self,
        *,
        box: SecretBox,
        guard: AddressGuard,
        clock: Clock,
        connections: int,
        timeout_s: float = SEND_TIMEOUT_S,
    ) -> None:
        self._box = box
        self._clock = clock
        self._timeout_s = timeout_s
        self._rules = guard.rules
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=connections,
            max_keepalive_connections=connections // 2,
            keepalive_expiry=_KEEPALIVE_S,
            retries=0,
            network_backend=guard,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    def _headers(self, task: Task, body: bytes, now: datetime) -> list[tuple[bytes, bytes]]:
        text = body.decode()
        signatures = [
            Webhook(self._box.open(secret)).sign(task.event_id, now, text) for secret in task.secrets
        ]
        return [
            (b"content-type", _CONTENT_TYPE),
            (b"user-agent", b"prizewire-webhooks/1"),
            (b"accept-encoding", b"identity"),
            (b"webhook-id", task.event_id.encode()),
            (b"webhook-timestamp", str(int(now.timestamp())).encode()),
            (b"webhook-signature", " ".join(signatures).encode()),
        ]

    async def send(self, task: Task, *, body: bytes, now: datetime) -> Answer:
        """See the port.

        Raises:
            UnreadableSecret: the mounted key does not open the subscription's secret.
        """
        headers = self._headers(task, body, now)
        started = time.perf_counter()
        status: int | None = None
        code: str | None = None
        retry_after: int | None = None
        read = b""
        try:
            # a subscription may be older than the rules
            self._rules.check(parse_url(task.url))
            async with (
                asyncio.timeout(self._timeout_s),
                self._pool.stream("POST", task.url, headers=headers, content=body) as response,
            ):
                async for chunk in response.aiter_stream():
                    read += chunk[: _BODY_BYTES_MAX - len(read)]
                    if len(read) >= _BODY_BYTES_MAX:
                        break
                status, retry_after = response.status, self._retry_after(response.headers)
        except (AddressRefused, HostUnknown, PortRefused, SchemeRefused, UrlRefused) as error:
            code = error.code
        except (TimeoutError, httpcore.TimeoutException):
            code = "timeout"
        except httpcore.ConnectError as error:
            code = "tls_failed" if "ssl" in repr(error.__cause__).lower() else "connect_failed"
        except httpcore.NetworkError:
            code = "connection_lost"
        except httpcore.ProtocolError:
            code = "protocol_error"
        return Answer(
            status=status,
            code=code,
            latency_ms=int((time.perf_counter() - started) * 1000),
            retry_after_s=retry_after,
            excerpt=redact(read) if status is not None else "",
        )

    def _retry_after(self, headers: Sequence[tuple[bytes, bytes]]) -> int | None:
        """Seconds to wait, from delta-seconds or an HTTP date (RFC 9110, 10.2.3); None when it says neither."""
        for name, value in headers:
            if name.lower() != b"retry-after":
                continue
            text = value.decode("latin-1").strip()
            if text.isascii() and text.isdigit():
                return int(text[:9])
            try:
                moment = parsedate_to_datetime(text)
            except (ValueError, OverflowError):
                return None
            if moment.tzinfo is None:
                return None
            return max(0, int((moment - self._clock.now()).total_seconds()))
        return None

"""Stand-ins for the world outside: a subscriber's real HTTP server, and a vendor's webhook verifier."""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import uvicorn

from prizewire_contracts.rails import ProviderEvent, WebhookRefused
from prizewire_railkit import VerifierContext

START_DEADLINE_S = 600


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the subscriber's server saw it."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]


Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Receiver:
    """A subscriber's HTTP server on a free loopback port. ``answer`` may be replaced by a test."""

    seen: list[Request] = field(default_factory=list)
    answer: Callable[[Request], Reply | Awaitable[Reply]] = lambda _: (204, {}, b"")
    port: int = 0
    most_at_once: int = 0
    _at_once: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        request = Request(scope["path"], headers, body)
        self.seen.append(request)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            reply = self.answer(request)
            status, extra, text = await reply if isinstance(reply, Awaitable) else reply
        finally:
            self._at_once -= 1
        raw = [(name.encode(), value.encode()) for name, value in extra.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": text})

    async def start(self) -> Callable[[], Awaitable[None]]:
        config = uvicorn.Config(
            self, host="127.0.0.1", port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        server.capture_signals = _nothing
        serving = asyncio.create_task(server.serve())
        async with asyncio.timeout(START_DEADLINE_S):
            while not server.started:
                await asyncio.sleep(0)
        self.port = server.servers[0].sockets[0].getsockname()[1]

        async def stop() -> None:
            server.should_exit = True
            await serving

        return stop


class _nothing:  # noqa: N801 - stands in for a context manager function
    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        return


def signed(body: bytes, *, secret: str) -> dict[str, str]:
    """The signature header of the invented provider."""
    return {"x-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


class HmacVerifier:
    """An invented provider: HMAC-SHA256 of the raw body in ``x-signature`` or ``Authorization: Acme …``; the body is
    ``{"id", "type"}``.
    """

    def __init__(self, built_from: VerifierContext | None = None) -> None:
        self.built_from = built_from

    def verify(
        self, *, body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime
    ) -> ProviderEvent:
        given = headers.get("x-signature") or headers.get("authorization", "").removeprefix("Acme ")
        wanted = [signed(body, secret=one)["x-signature"].encode() for one in secrets]
        if not any(hmac.compare_digest(one, given.encode()) for one in wanted):
            raise WebhookRefused("signature_invalid")
        document = orjson.loads(body)
        return ProviderEvent(
            event_id=document["id"],
            event_type=document["type"],
            provider_key=None,
            provider_ref=document.get("ref"),
        )


def build_verifier(context: VerifierContext) -> HmacVerifier:
    """The factory that an installed package would announce. It knows one option, ``mode``."""
    context.options.text("mode", "x")
    context.options.finish()
    return HmacVerifier(context)

"""A subscriber's server: takes webhooks and checks their signatures, as any subscriber would."""

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Final

import orjson
from standardwebhooks import Webhook, WebhookVerificationError

from prizewire_devstack.api import Api
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.ports import LOOPBACK

EVENT_TYPE: Final = "prizewire.payout.paid.v1"
BODY_BYTES_MAX: Final = 1_000_000


class Receiver:
    """Received deliveries. `paid` counts verified ones by correlation id, each webhook id once."""

    def __init__(self) -> None:
        self.secret = ""
        self.refused = 0
        self._seen: dict[str, str] = {}
        self._lock = Lock()

    def take(self, headers: dict[str, str], body: bytes) -> bool:
        """Verify one delivery (Standard Webhooks) and count it; say whether its signature was valid."""
        try:
            Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            with self._lock:
                self.refused += 1
            return False
        correlation_id = str(_correlation_of(orjson.loads(body)))
        with self._lock:
            self._seen[headers["webhook-id"]] = correlation_id
        return True

    @property
    def paid(self) -> Counter[str]:
        """Verified deliveries by correlation id."""
        with self._lock:
            return Counter(self._seen.values())


def _correlation_of(body: object) -> object:
    """The correlation id of a payload: at its top level or in its data."""
    if not isinstance(body, dict):
        return None
    for name in ("correlation_id", "correlationid"):
        if name in body:
            return body[name]
    return _correlation_of(body.get("data"))


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        """Receive one delivery."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, BODY_BYTES_MAX))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(204 if self.receiver.take(headers, body) else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Write no log lines."""


@contextmanager
def subscribed(api: Api) -> Iterator[Receiver]:
    """Serve on a free loopback port, subscribed to `payout.paid`; the subscription ends with the block.

    Raises:
        DevstackError: the subscription was refused, or could not be ended although all went well. What went wrong
            inside the block is never hidden by the latter.
    """
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with _serving(ThreadingHTTPServer((LOOPBACK, 0), handler)) as port:
        subscription = api.post(
            "/api/webhooks",
            {
                "url": f"http://{LOOPBACK}:{port}/prizes",
                "event_types": [EVENT_TYPE],
                "description": "demonstration",
            },
            key=f"demo:{port}:{secrets.token_hex(8)}",
        )
        receiver.secret = subscription["secret"]
        path = f"/api/webhooks/{subscription['id']}"
        try:
            yield receiver
        except BaseException as error:
            try:
                api.delete(path)
            except DevstackError as also:
                error.add_note(f"The subscription could not be ended either: {also}")
            raise
        api.delete(path)


@contextmanager
def _serving(server: ThreadingHTTPServer) -> Iterator[int]:
    """Serve in a thread; answers the port."""
    with server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()

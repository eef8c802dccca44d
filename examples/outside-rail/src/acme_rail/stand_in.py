"""A server that behaves as the vendor does, for tests: it keeps its payments in memory, and fails on demand."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from acme_rail.webhooks import HEADER, signature

LOOKS = 2
"""The number of look-ups after which a pending payment is paid."""
LATE_S = 1.0


@dataclass
class Sent:
    """A webhook: the key of its payment, its body and its headers."""

    key: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Acme:
    """The vendor. ``behaviour`` has the names of `prizewire_railkit.conformance.Behaviour`; ``effects`` are the payments that
    were made, by key; ``webhooks`` are those that were sent.
    """

    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    behaviour: str = "success"
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)
    webhooks: list[Sent] = field(default_factory=list)
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def serve(self) -> Iterator["Acme"]:
        """Serve on a free loopback port."""
        server = _Server(self)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            self._stop.set()
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """One request, as the vendor answers it."""
        key, _, action = path.removeprefix("/payments/").partition("/")
        with self._lock:
            if method == "PUT":
                return self._put(key, body)
            if action == "cancel":
                return 200, self._cancel(key)
            return self._get(key)

    def late(self) -> None:
        """Wait as long as a slow vendor does."""
        self._stop.wait(LATE_S)

    def _put(self, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        known = self.payments.get(key)
        if known is not None:
            same = known["body"] in ({}, body)
            return (200, known) if same else (409, {"error": "conflict"})
        reason = None
        if self.behaviour == "failure":
            reason = "card_refused"
        elif self.behaviour == "retryable" and body["attempt"] == 1:
            reason = "try_later"
        state = "refused" if reason else "pending" if self.behaviour == "pending" else "paid"
        self.payments[key] = {
            "state": state,
            "reason": reason,
            "amount": body["amount"],
            "reference": f"acme-{len(self.payments)}",
            "body": body,
            "looks": 0,
        }
        self._reached(key, state)
        return 200, self.payments[key]

    def _get(self, key: str) -> tuple[int, dict[str, Any]]:
        known = self.payments.get(key)
        if known is None:
            return 404, {"error": "not_found"}
        known["looks"] += 1
        if known["state"] == "pending" and known["looks"] > LOOKS:
            known["state"] = "paid"
            self._reached(key, "paid")
        return 200, known

    def _cancel(self, key: str) -> dict[str, Any]:
        known = self.payments.setdefault(
            key, {"state": "pending", "amount": "0", "reference": "", "body": {}, "looks": 0}
        )
        if known["state"] == "pending":
            known |= {"state": "cancelled", "reason": "cancelled"}
            self._reached(key, "cancelled")
        return known

    def _reached(self, key: str, state: str) -> None:
        if state == "paid":
            self.effects.append(key)
        body = json.dumps({"key": key, "state": state}).encode()
        headers = {HEADER: signature(body, secret=self.webhook_secret, at=datetime.now(UTC))}
        self.webhooks.append(Sent(key, body, headers))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, vendor: Acme) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.vendor = vendor


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        vendor, behaviour = self.server.vendor, self.server.vendor.behaviour
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if behaviour == "outage":
            return  # the connection closes without an answer
        if self.headers.get("authorization") != f"Bearer {vendor.api_key}":
            self._send(401, b'{"error": "unauthorized"}')
            return
        if behaviour == "throttled":
            self._send(429, b"{}", {"retry-after": "2"})
            return
        status, answer = vendor.answer(self.command, self.path, json.loads(raw or b"{}"))
        if behaviour == "lost_answer":
            return
        if behaviour == "slow":
            vendor.late()
        shown = {name: value for name, value in answer.items() if name not in ("body", "looks")}
        self._send(status, b"<html>welcome</html>" if behaviour == "garbage" else json.dumps(shown).encode())

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        with contextlib.suppress(OSError):  # the caller may have gone
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return

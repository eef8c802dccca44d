"""A request to OpenBao carries the trace of the slot that is signed."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from prizewire_contracts.traces import carrying_trace
from prizewire_signer.adapters.backends.openbao import TransitServer

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str | None]]]:
    """A server that answers every request, with its URL and the traceparent of each."""
    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("traceparent"))
            body = b'{"data": {}}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            """Write nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()
    serving.join()


def test_a_request_to_openbao_carries_the_trace(asked: tuple[str, list[str | None]], tmp_path: Path) -> None:
    """Outside the work on a slot it carries none."""
    url, seen = asked
    token = tmp_path / "token"
    token.write_text("hush")
    token.chmod(0o600)
    server = TransitServer(url=url, mount="transit", token_file=token)
    server.call(lambda client: client.secrets.transit.read_key(name="stellar"))
    with carrying_trace(TRACE):
        server.call(lambda client: client.secrets.transit.read_key(name="stellar"))
    assert seen == [None, TRACE]

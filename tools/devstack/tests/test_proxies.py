"""A proxy of the environment is for downloads: local addresses are reached directly."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from prizewire_devstack.api import TOKEN_VARIABLE, URL_VARIABLE
from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.home import HOME_VARIABLE
from prizewire_devstack.ports import LOOPBACK
from prizewire_devstack.proxies import spare_loopback

DEAD = "http://127.0.0.1:9"
PROXIED = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"), DEAD)


class _NothingStuck(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"items": [], "entries": [], "next_cursor": None}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@pytest.fixture(scope="module")
def installation() -> Iterator[str]:
    server = ThreadingHTTPServer((LOOPBACK, 0), _NothingStuck)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{LOOPBACK}:{server.server_port}"
    server.shutdown()


def test_a_command_reaches_this_machine_past_a_dead_proxy(installation: str, tmp_path: Path) -> None:
    """Over the dead proxy the command would fail."""
    done = subprocess.run(
        (sys.executable, "-m", "prizewire_devstack", "stuck", "list"),
        env={
            **base_environment(),
            **PROXIED,
            HOME_VARIABLE: str(tmp_path),
            URL_VARIABLE: installation,
            TOKEN_VARIABLE: "any",
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "Nothing is stuck.\n"), done.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "intranet.example"}, "intranet.example,127.0.0.1,localhost"),
        ({"no_proxy": "a.example, localhost"}, "a.example,localhost,127.0.0.1"),
        ({"NO_PROXY": "a.example", "no_proxy": "b.example"}, "a.example,b.example,127.0.0.1,localhost"),
    ],
)
def test_present_proxy_exceptions_stay(before: dict[str, str], after: str) -> None:
    """Both variables have the same value afterwards, and the proxy itself does not change."""
    environment = {"HTTPS_PROXY": DEAD, **before}
    spare_loopback(environment)
    assert environment == {"HTTPS_PROXY": DEAD, "NO_PROXY": after, "no_proxy": after}


def test_a_proxy_exception_for_everything_stays() -> None:
    """An asterisk counts only as the whole value."""
    environment = {"NO_PROXY": "*"}
    spare_loopback(environment)
    assert environment == {"NO_PROXY": "*"}

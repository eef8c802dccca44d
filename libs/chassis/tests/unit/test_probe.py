"""The probe of a container's health."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from prizewire_chassis.probe import live, ready


class Answering(BaseHTTPRequestHandler):
    """Answers with the status of its server, at one path only."""

    def do_GET(self):
        self.send_response(self.server.status if self.path == self.server.path else 404)
        self.end_headers()

    def log_message(self, *arguments):
        """No output."""


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Answering) as made:
        made.status, made.path = 200, "/health/live"
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_a_service_that_answers_is_live(server):
    """200 at /health/live of HTTP_PORT is the answer that counts; every other status is not."""
    environment = {"HTTP_PORT": str(server.server_port)}
    assert live(environment)
    server.status = 500
    assert not live(environment)


def test_readiness_is_asked_at_a_path_of_its_own(server):
    """A service that is live and not ready gets no requests: the two questions have two answers."""
    environment = {"HTTP_PORT": str(server.server_port)}
    assert live(environment)
    assert not ready(environment)
    done = subprocess.run(
        (sys.executable, "-m", "prizewire_chassis.probe", "ready"), env=environment, check=False
    )
    assert done.returncode == 1
    server.path = "/health/ready"
    assert ready(environment)
    assert not live(environment)


def test_a_service_that_does_not_answer_is_not_live(unused_tcp_port):
    """Where nothing listens, or something that is not HTTP answers, the service is not live."""
    assert not live({"HTTP_PORT": str(unused_tcp_port)})


def test_the_command_ends_with_the_answer(server):
    """The command of the health check ends with 0 or 1, prints nothing, and loads nothing but the standard library."""
    command = (sys.executable, "-X", "importtime", "-m", "prizewire_chassis.probe")
    for status, code in ((200, 0), (503, 1)):
        server.status = status
        done = subprocess.run(
            command, env={"HTTP_PORT": str(server.server_port)}, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (code, "")
        loaded = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines()[1:]}
        assert loaded & {"pydantic", "uvicorn", "litestar", "sqlalchemy", "prizewire_contracts"} == set()
